//! Is the proxy ready now? The state that a wait would see becomes a finding.
//!
//! Owns which states are errors; the words are the wait's own. Must never ask anybody.

use crate::core::answer::Fault;
use crate::core::findings::codes::Code;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::judged::Judged;
use crate::core::findings::pod::{Expected, Pod};
use crate::core::mesh::Mesh;
use crate::core::waiting::causes;
use crate::core::waiting::diagnosis;
use crate::core::waiting::not_ready::{AgentSeen, Hints, NotReady, SeenAt};
use crate::core::waiting::observation::Observation;

const SOURCE: &str = "the proxy's own readiness endpoints, as a wait reads them";

/// Judges what the readiness endpoints say.
#[must_use]
pub fn judge(pod: &Pod) -> Judged {
    if pod.proxy.mesh == Mesh::None {
        return without_a_proxy(pod);
    }
    let cheap = pod.readiness.cheap.iter();
    let seen: Vec<SeenAt<'_>> =
        cheap.chain(&pod.readiness.endpoints).map(|(at, seen)| (at, seen)).collect();
    let is = |is: fn(&Observation) -> bool| seen.iter().all(|(_, seen)| is(seen));
    if pod.readiness.endpoints.iter().any(|(_, seen)| *seen == Observation::Ready) {
        return Judged::default();
    }
    let (last, mesh) = (diagnosis::last_seen(&seen), pod.proxy.mesh);
    // Neither says anything about the proxy.
    if is(|seen| match seen {
        Observation::Failed(fault) => matches!(fault, Fault::Unreachable(_) | Fault::Exhausted(_)),
        seen => *seen == Observation::Locked,
    }) {
        return Judged::blind(format!("whether the {mesh} proxy is ready: {last}"));
    }
    let is_gone = is(Observation::is_nobody);
    let hints = Hints { unready: pod.readiness.unready.clone(), rejected: Vec::new() };
    let runs = mesh.profile().agent.is_some_and(|agent| {
        pod.sockets.all.iter().any(|socket| socket.bound.address.port() == agent.port)
    });
    let agent = AgentSeen::Never.after(runs);
    let (code, what) = if is_gone {
        (Code::ProxyGone, "does not listen")
    } else {
        (Code::ProxyNotReady, "is not ready")
    };
    vec![Finding {
        code,
        severity: Severity::Error,
        seen: format!("the {mesh} proxy {what}: {last}"),
        why: NO_TRAFFIC.to_owned(),
        remedy: causes::advice(&NotReady { agent, ..NotReady::of(mesh, seen, &hints) }),
        source: SOURCE,
    }]
    .into()
}

const NO_TRAFFIC: &str =
    "so what the application sends and receives through it fails, or is about to";

fn without_a_proxy(pod: &Pod) -> Judged {
    if pod.is_ambient || pod.expected == Expected::ByUser {
        return Judged::default();
    }
    if pod.sockets.unread.is_some() {
        return Judged::blind(
            "which mesh this is, since the pod's sockets are not known; name it with --mesh"
                .to_owned(),
        );
    }
    let seen = "no mesh's proxy listens in this pod".to_owned();
    let finding = if pod.expected == Expected::ByInjector {
        Finding {
            code: Code::ProxyGone,
            severity: Severity::Error,
            seen: format!("{seen}, and MESHIM_INJECTED says that it has one"),
            why: NO_TRAFFIC.to_owned(),
            remedy: "look at the sidecar's container: has it started, or does it keep ending?"
                .to_owned(),
            source: SOURCE,
        }
    } else {
        Finding {
            code: Code::NoMesh,
            severity: Severity::Info,
            seen,
            why: "so its traffic goes over the network as the application sends it".to_owned(),
            remedy: "nothing, if that is meant; else see whether the namespace or the pod is \
                     marked for injection, or name the mesh with --mesh"
                .to_owned(),
            source: "the kernel's table of listening sockets",
        }
    };
    vec![finding].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::endpoint::Endpoint;
    use crate::core::envoy::state::State;
    use crate::core::findings::pod::ReadinessFacts;
    use crate::core::profile::{Expect, Ready};
    use crate::core::proxy::Proxy;

    fn at(url: &str, seen: Observation) -> (Ready<Endpoint>, Observation) {
        (Ready { url: url.parse().unwrap(), expect: Expect::Ok }, seen)
    }

    fn judged(cheap: Observation, ready: Observation) -> Judged {
        let mut pod = Pod::of(Proxy::of(Mesh::Istio));
        pod.readiness = ReadinessFacts {
            cheap: Some(at("http://localhost:15000/ready", cheap)),
            endpoints: vec![at("http://localhost:15021/healthz/ready", ready)],
            unready: vec!["LDS".to_owned()],
        };
        judge(&pod)
    }

    fn codes(judged: &Judged) -> Vec<Code> {
        judged.findings.iter().map(|finding| finding.code).collect()
    }

    fn refused() -> Observation {
        Observation::Failed(Fault::Refused)
    }

    fn says(state: State) -> Observation {
        Observation::NotReady { status: 503, state }
    }

    #[test]
    fn whatever_keeps_a_wait_waiting_is_an_error() {
        let table = [
            (refused(), refused(), Code::ProxyGone),
            (says(State::PreInitializing), refused(), Code::ProxyNotReady),
            (Observation::Ready, says(State::Other(String::new())), Code::ProxyNotReady),
            (says(State::Draining), says(State::Draining), Code::ProxyNotReady),
            (Observation::Failed(Fault::Silent), refused(), Code::ProxyNotReady),
            (Observation::Locked, refused(), Code::ProxyNotReady),
        ];
        for (cheap, authority, code) in table {
            let judged = judged(cheap.clone(), authority.clone());
            assert_eq!(codes(&judged), [code], "{cheap} {authority}");
            assert!(judged.not_seen.is_empty());
        }
        assert_eq!(judged(Observation::Ready, Observation::Ready), Judged::default());
        assert_eq!(judged(Observation::Locked, Observation::Ready), Judged::default());
    }

    #[test]
    fn a_proxy_that_may_not_be_asked_is_neither_ready_nor_not() {
        let judged = judged(Observation::Locked, Observation::Locked);
        assert!(judged.findings.is_empty());
        assert!(judged.not_seen[0].contains("403"), "{judged:?}");
    }

    #[test]
    fn the_words_are_the_waits() {
        let text = judged(says(State::PreInitializing), refused()).findings[0].to_string();
        for part in ["http://localhost:15000/ready: 503 PRE_INITIALIZING", "LDS", "istiod"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn no_mesh_is_information_unless_one_was_announced() {
        let of = |expected, is_ambient| {
            let mut pod = Pod::of(Proxy::of(Mesh::None));
            (pod.expected, pod.is_ambient) = (expected, is_ambient);
            codes(&judge(&pod))
        };
        assert_eq!(of(Expected::ByNobody, false), [Code::NoMesh]);
        assert_eq!(of(Expected::ByInjector, false), [Code::ProxyGone]);
        assert_eq!(of(Expected::ByUser, false), []);
        assert_eq!(of(Expected::ByNobody, true), []);
        let mut pod = Pod::of(Proxy::of(Mesh::None));
        pod.sockets.unread = Some("no".to_owned());
        assert_eq!(judge(&pod).not_seen.len(), 1);
    }
}
