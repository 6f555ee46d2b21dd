//! Why a page of Envoy's admin API says nothing.
//!
//! Owns what a status, silence and garbage mean there, in one wording for everybody who asks; must
//! never say what follows from it.

use crate::core::answer::Fault;

/// Why there is nothing to judge by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// 403: Envoy from 1.37 on, with `allow_paths`.
    #[error("403, this path is locked (add it to the admin API's allow_paths)")]
    Locked,
    /// 404: a server that has no such page.
    #[error("404, this server has no such page (is it Envoy's admin API?)")]
    Missing,
    /// Another status than 200, 403 and 404.
    #[error("status {0}, which Envoy's admin API does not answer here")]
    Status(u16),
    /// Nobody listens there.
    #[error("nobody listens there")]
    Gone,
    /// No complete answer in time.
    #[error("no answer in time")]
    Silent,
    /// The socket cannot be reached: permission, no route.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// More bytes than this page may have.
    #[error("its answer is longer than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// No HTTP, or a body that is not this page.
    #[error("no answer of Envoy's: {0}")]
    Garbage(String),
}

impl Unread {
    /// What a status other than 200 means; `None` for 200.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            200 => None,
            403 => Some(Self::Locked),
            404 => Some(Self::Missing),
            status => Some(Self::Status(status)),
        }
    }
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused | Fault::NoSocket => Self::Gone,
            Fault::Silent => Self::Silent,
            Fault::Unreachable(why) | Fault::Exhausted(why) => Self::Unreachable(why),
            Fault::Broken(why) | Fault::Cut(why) => Self::Garbage(why),
        }
    }
}
