//! Who is asked to end, given how the proxy stands and what the run's end followed.
//!
//! Owns the rule; must never ask anybody.

use std::fmt;

use crate::core::endpoint::Endpoint;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::stopping::standing::{self, Standing};

/// What is known when the proxy is to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// `--quit-url`: each is a proxy of its own, and is asked in any case.
    pub urls: &'a [Endpoint],
    /// The mesh's proxy, where there is one.
    pub proxy: Option<&'a Proxy>,
    /// Has what listens there not shown that it is this proxy?
    pub is_stranger: bool,
    /// Is it a native sidecar?
    pub is_native: bool,
    /// How it stands.
    pub standing: Standing,
    /// Has a stop signal come?
    pub stopped: bool,
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressees {
    /// These: a list for each proxy, its endpoints in the order to try.
    Each(Vec<Vec<Endpoint>>),
    /// Envoy itself, once nothing is in flight: its agent would only wait for its time to be over.
    EnvoyOnceIdle(Endpoint),
    /// Nobody.
    Nobody(NoAddressee),
}

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAddressee {
    /// There is none.
    NoProxy,
    /// Something listens on its ports that has not shown to be it.
    Stranger(Mesh),
    /// Kubernetes ends it, and would start it again.
    Native,
    /// It is ending already.
    Ending(Mesh),
    /// It has ended, or was never there.
    Gone(Mesh),
    /// Only this container was asked to stop.
    OnlyThisContainer(Mesh),
    /// Kubernetes ends it, and whether it does so now does not show.
    LeftToKubernetes(Mesh),
    /// It cannot be ended from here: why.
    Endless(Mesh, &'static str),
}

impl fmt::Display for NoAddressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProxy => {
                f.write_str("there is no proxy in this pod that could be asked to end")
            }
            Self::Stranger(mesh) => write!(
                f,
                "what listens on the ports of the {mesh} proxy has given no answer of such a \
                 proxy: it is not asked to end; name the mesh with --mesh if it is one"
            ),
            Self::Native => f.write_str(
                "the proxy is a native sidecar, which Kubernetes ends by itself and would start \
                 again: not asked",
            ),
            Self::Ending(mesh) => write!(f, "the {mesh} proxy is ending already: not asked"),
            Self::Gone(mesh) => {
                write!(f, "nobody listens where the {mesh} proxy is expected: nobody is asked")
            }
            Self::OnlyThisContainer(mesh) => write!(
                f,
                "the {mesh} proxy is not ending, so this container alone was told to stop: the \
                 proxy is not asked to end"
            ),
            Self::LeftToKubernetes(mesh) => write!(
                f,
                "Kubernetes ends the {mesh} proxy of a pod that is told to stop: it is not asked"
            ),
            Self::Endless(mesh, why) => {
                write!(f, "the {mesh} proxy cannot be ended from this container: {why}")
            }
        }
    }
}

impl Addressees {
    /// The rule.
    ///
    /// After a stop signal the agent is never asked: the kubelet tells it to end at the same time,
    /// and a request of ours would turn its drain into a kill (istio: `pkg/envoy/agent.go`).
    #[must_use]
    pub fn of(known: Known<'_>) -> Self {
        let own = known.proxy.map(Proxy::quit).unwrap_or_default();
        let is_its = |url: &Endpoint| own.iter().any(|own| is_same_port(own, url));
        if !known.urls.is_empty() {
            let asked = known.urls.iter().filter(|url| !(known.is_native && is_its(url)));
            let each: Vec<Vec<Endpoint>> = asked.map(|url| vec![url.clone()]).collect();
            return if each.is_empty() {
                Self::Nobody(NoAddressee::Native)
            } else {
                Self::Each(each)
            };
        }
        let Some(proxy) = known.proxy.filter(|_| !own.is_empty()) else {
            return Self::Nobody(NoAddressee::NoProxy);
        };
        let mesh = proxy.mesh;
        match (known.stopped, known.standing) {
            _ if known.is_stranger => Self::Nobody(NoAddressee::Stranger(mesh)),
            _ if known.is_native => Self::Nobody(NoAddressee::Native),
            (_, Standing::Endless(why)) => Self::Nobody(NoAddressee::Endless(mesh, why)),
            (false, Standing::Ending) => Self::Nobody(NoAddressee::Ending(mesh)),
            // Where nobody listens, that is what the asking comes to.
            (false, Standing::Serving | Standing::Gone) => Self::Each(vec![own]),
            (true, Standing::Ending) => Self::EnvoyOnceIdle(envoys(proxy, own)),
            (true, Standing::Gone) => Self::Nobody(NoAddressee::Gone(mesh)),
            (true, Standing::Serving) if standing::shows_ending(proxy) => {
                Self::Nobody(NoAddressee::OnlyThisContainer(mesh))
            }
            (true, Standing::Serving) => Self::Nobody(NoAddressee::LeftToKubernetes(mesh)),
        }
    }
}

/// Envoy's own endpoint.
fn envoys(proxy: &Proxy, mut own: Vec<Endpoint>) -> Endpoint {
    match &proxy.admin {
        Some(admin) => admin.at("/quitquitquit"),
        None => own.pop().expect("a proxy without any endpoint has been left out"),
    }
}

/// Do two endpoints belong to the same server of this pod? 127.0.0.1, `[::1]` and localhost are.
fn is_same_port(one: &Endpoint, other: &Endpoint) -> bool {
    one.address == other.address
        || (one.address.port().is_some() && one.address.port() == other.address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    fn known(proxy: &Proxy, stopped: bool, standing: Standing) -> Known<'_> {
        let (is_native, is_stranger) = (false, false);
        Known { urls: &[], proxy: Some(proxy), is_stranger, is_native, standing, stopped }
    }

    #[test]
    fn without_a_stop_signal_its_own_endpoints_are_asked_unless_it_is_ending() {
        let istio = Proxy::of(Mesh::Istio);
        for standing in [Standing::Serving, Standing::Gone] {
            let asked = Addressees::of(known(&istio, false, standing));
            assert_eq!(asked, Addressees::Each(vec![istio.quit()]));
        }
        let ending = Addressees::of(known(&istio, false, Standing::Ending));
        assert_eq!(ending, Addressees::Nobody(NoAddressee::Ending(Mesh::Istio)));
    }

    #[test]
    fn after_a_stop_signal_nobody_but_an_ending_proxys_envoy_is_asked() {
        let table = [
            (Mesh::Istio, "http://localhost:15000/quitquitquit"),
            (Mesh::Kuma, "http://localhost:9901/quitquitquit"),
        ];
        for (mesh, envoy) in table {
            let proxy = Proxy::of(mesh);
            let asked = |standing| Addressees::of(known(&proxy, true, standing));
            assert_eq!(asked(Standing::Ending), Addressees::EnvoyOnceIdle(url(envoy)));
            assert_eq!(asked(Standing::Gone), Addressees::Nobody(NoAddressee::Gone(mesh)));
            let alone = Addressees::Nobody(NoAddressee::OnlyThisContainer(mesh));
            assert_eq!(asked(Standing::Serving), alone);
        }
        let consul = Proxy::of(Mesh::Consul);
        let asked = Addressees::of(known(&consul, true, Standing::Serving));
        assert_eq!(asked, Addressees::Nobody(NoAddressee::LeftToKubernetes(Mesh::Consul)));
    }

    #[test]
    fn urls_of_the_users_own_are_asked_in_any_case_but_a_native_sidecars() {
        let istio = Proxy::of(Mesh::Istio);
        let urls = [url("http://127.0.0.1:15000/quitquitquit"), url("http://127.0.0.1:7000/stop")];
        for stopped in [false, true] {
            let given = Known { urls: &urls, ..known(&istio, stopped, Standing::Serving) };
            let each = urls.iter().map(|url| vec![url.clone()]).collect();
            assert_eq!(Addressees::of(given), Addressees::Each(each));
            let native = Addressees::of(Known { is_native: true, ..given });
            assert_eq!(native, Addressees::Each(vec![vec![urls[1].clone()]]));
        }
    }

    #[test]
    fn a_stranger_a_native_sidecar_and_one_that_cannot_be_ended_are_sent_nothing() {
        let kuma = Proxy::of(Mesh::Kuma);
        for stopped in [false, true] {
            let serving = known(&kuma, stopped, Standing::Serving);
            let native = Addressees::of(Known { is_native: true, ..serving });
            assert_eq!(native, Addressees::Nobody(NoAddressee::Native));
            let endless = Addressees::of(known(&kuma, stopped, Standing::Endless("why")));
            assert_eq!(endless, Addressees::Nobody(NoAddressee::Endless(Mesh::Kuma, "why")));
        }
        let stranger = Known { is_stranger: true, ..known(&kuma, false, Standing::Serving) };
        assert_eq!(Addressees::of(stranger), Addressees::Nobody(NoAddressee::Stranger(Mesh::Kuma)));
        let none = Proxy::of(Mesh::None);
        let nobody = Addressees::Nobody(NoAddressee::NoProxy);
        assert_eq!(Addressees::of(known(&none, false, Standing::Serving)), nobody);
        let nothing = Known { proxy: None, ..known(&none, true, Standing::Serving) };
        assert_eq!(Addressees::of(nothing), nobody);
    }
}
