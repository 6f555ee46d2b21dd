//! What a judge of the doctor answers: findings with the resource and field that are wrong, or why
//! it could not look.
//!
//! Owns the types; must never judge.

use std::fmt;

use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::core::findings::finding::Finding;
use crate::core::mesh::Mesh;

/// A finding, and where to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was found.
    pub finding: Finding,
    /// The resource that is wrong: `VirtualService shop/reviews`.
    pub resource: Option<String>,
    /// The field of it, or the annotation: `spec.http[].fault`.
    pub field: Option<&'static str>,
    /// What can be copied: YAML or a command, as it stands.
    pub snippet: Option<String>,
    /// What was counted or measured, by name.
    pub numbers: Vec<(&'static str, u64)>,
}

impl From<Finding> for Diagnosis {
    fn from(finding: Finding) -> Self {
        Self { finding, resource: None, field: None, snippet: None, numbers: Vec::new() }
    }
}

impl Diagnosis {
    /// On this resource, and on this field of it.
    #[must_use]
    pub fn on(self, resource: Option<String>, field: &'static str) -> Self {
        let field = Some(field).filter(|field| !field.is_empty());
        Self { resource, field, ..self }
    }

    /// With something to copy.
    #[must_use]
    pub fn with(self, snippet: impl Into<String>) -> Self {
        Self { snippet: Some(snippet.into()), ..self }
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, number: u64) -> Self {
        self.numbers.push((name, number));
        self
    }
}

/// Why a judge could not look, or not at everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSeen {
    /// No proxy listens in this pod.
    NoProxy,
    /// The proxy has no admin API that this container can reach.
    NoAdmin(Mesh),
    /// The node's ztunnel carries the traffic.
    Ambient,
    /// This mesh's proxy does not show it.
    AnotherMesh(Mesh),
    /// A page could not be read: its path, and why.
    Unread(&'static str, Unread),
    /// The proxy is still loading its configuration.
    Loading(Option<State>),
    /// The proxy's settings hide what it would take.
    Hidden(&'static str),
    /// There is more than is ever read.
    Cut(&'static str),
    /// The system does not show it.
    System(String),
}

impl NotSeen {
    /// A word for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoProxy => "no-proxy",
            Self::NoAdmin(_) => "no-admin-api",
            Self::Ambient => "ambient",
            Self::AnotherMesh(_) => "another-mesh",
            Self::Unread(_, why) => match why {
                Unread::Locked => "locked",
                Unread::Missing => "missing",
                Unread::Status(_) => "status",
                Unread::Gone => "refused",
                Unread::Silent => "silent",
                Unread::Unreachable(_) => "unreachable",
                Unread::TooLarge(_) => "too-large",
                Unread::Garbage(_) => "garbage",
            },
            Self::Loading(_) => "loading",
            Self::Hidden(_) => "hidden",
            Self::Cut(_) => "cut",
            Self::System(_) => "system",
        }
    }
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProxy => f.write_str("no mesh's proxy listens in this pod"),
            Self::NoAdmin(mesh) => {
                write!(f, "the {mesh} proxy has no admin API that this container can reach")
            }
            Self::Ambient => f.write_str("the node's ztunnel carries this pod's traffic"),
            Self::AnotherMesh(mesh) => write!(f, "the {mesh} proxy does not show it"),
            Self::Unread(page, why) => write!(f, "{page}: {why}"),
            Self::Loading(Some(State::Live)) => f.write_str(
                "the proxy has just become LIVE: clusters and routes may be on their way",
            ),
            Self::Loading(Some(state)) => {
                write!(f, "the proxy is still loading its configuration ({state})")
            }
            Self::Loading(None) => f.write_str("the proxy is still loading its configuration"),
            Self::Hidden(what) => f.write_str(what),
            Self::Cut(what) => write!(f, "{what}: there are more than meshim reads"),
            Self::System(why) => f.write_str(why),
        }
    }
}

/// What a judge that has looked came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it found.
    pub found: Vec<Diagnosis>,
    /// What it could not look at beside that.
    pub beside: Option<NotSeen>,
}

impl Seen {
    /// This, but not everything was looked at.
    #[must_use]
    pub fn but(self, beside: Option<NotSeen>) -> Self {
        Self { beside, ..self }
    }
}

impl From<Vec<Diagnosis>> for Seen {
    fn from(found: Vec<Diagnosis>) -> Self {
        Self { found, beside: None }
    }
}

impl From<Option<Diagnosis>> for Seen {
    fn from(found: Option<Diagnosis>) -> Self {
        Self { found: found.into_iter().collect(), beside: None }
    }
}

/// A judge's answer.
pub type Diagnosed = Result<Seen, NotSeen>;
