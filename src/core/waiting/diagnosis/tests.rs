use super::*;
use crate::core::answer::Fault;
use crate::core::envoy::state::State;
use crate::core::profile::Expect;
use crate::core::waiting::not_ready::{AgentSeen, Hints};

fn ready(url: &str) -> Ready<Endpoint> {
    Ready { url: url.parse().unwrap(), expect: Expect::Ok }
}

/// What is said of a proxy of this mesh; the rest is changed by `change`.
fn say(
    mesh: Mesh,
    seen: &[(&str, Observation)],
    change: impl FnOnce(&mut NotReady<'_>),
    hints: &Hints,
) -> String {
    let seen: Vec<_> = seen.iter().map(|(url, seen)| (ready(url), seen.clone())).collect();
    let seen = seen.iter().map(|(at, seen)| (at, seen)).collect();
    let (agent, other_mesh) = (AgentSeen::Never, None);
    let mut case = NotReady { mesh, seen, looks: 2, was_there: false, agent, other_mesh, hints };
    change(&mut case);
    explain(&case)
}

fn plainly(mesh: Mesh, seen: &[(&str, Observation)]) -> String {
    let hints = Hints { unready: vec!["LDS".to_owned(), "CDS".to_owned()], rejected: Vec::new() };
    say(mesh, seen, |_| {}, &hints)
}

fn not_ready(word: &str) -> Observation {
    Observation::NotReady { status: 503, state: State::of(word.as_bytes()) }
}

fn refused() -> Observation {
    Observation::Failed(Fault::Refused)
}

const ADMIN: &str = "http://127.0.0.1:15000/ready";
const AGENT: &str = "http://127.0.0.1:15021/healthz/ready";

#[test]
fn each_last_sight_has_its_own_cause() {
    let foreign = Observation::Foreign { status: 404, server: Some("nginx".to_owned()) };
    let denied = || Observation::Failed(Fault::Unreachable("denied".to_owned()));
    let agent = Observation::AgentRuns(State::of(b"READY"));
    let table = [
        (vec![(ADMIN, refused()), (AGENT, refused())], "is the istio sidecar injected"),
        (
            vec![("unix:/a/b.sock:/ready", Observation::Failed(Fault::NoSocket))],
            "unix:/a/b.sock:/ready: the socket file does not exist (2 looks); nobody listens there",
        ),
        (vec![("unix:/a/b.sock:/ready", refused())], "a volume that both containers mount"),
        (
            vec![(ADMIN, not_ready("PRE_INITIALIZING")), (AGENT, not_ready(""))],
            "waits for LDS, CDS: is istiod",
        ),
        (
            vec![(ADMIN, Observation::Ready), (AGENT, not_ready(""))],
            "was the configuration from istiod rejected",
        ),
        (
            vec![(ADMIN, Observation::Ready), (AGENT, refused())],
            "Envoy is LIVE but its readiness endpoint is not there: check --ready-url",
        ),
        (
            vec![(ADMIN, Observation::Ready), (AGENT, Observation::Failed(Fault::Silent))],
            "Envoy is LIVE but its readiness endpoint does not answer",
        ),
        (
            vec![(ADMIN, Observation::Ready), (AGENT, foreign.clone())],
            "port 15021 belongs to somebody else's server",
        ),
        (vec![(ADMIN, not_ready("DRAINING"))], "is draining"),
        (vec![(ADMIN, not_ready("TERMINATING"))], "is draining"),
        (
            vec![(AGENT, foreign)],
            "port 15021 belongs to somebody else's server or has no such path (404 from a \
             server that calls itself `nginx`)",
        ),
        (vec![(ADMIN, Observation::Locked), (AGENT, refused())], "allow_paths"),
        (vec![(ADMIN, Observation::Failed(Fault::Silent))], "starved of CPU"),
        (vec![(ADMIN, denied())], "cannot be reached"),
        (vec![("unix:/a/b.sock:/ready", denied())], "may not connect to it"),
        (vec![(AGENT, not_ready(""))], "look at its log"),
        (vec![(AGENT, agent)], "pilot-agent runs, and its Envoy has not said that it is LIVE"),
        (vec![(AGENT, Observation::Withheld(404))], "until its inbound policy has arrived"),
    ];
    for (seen, cause) in table {
        let text = plainly(Mesh::Istio, &seen);
        assert!(text.contains(cause), "{text}");
    }
}

#[test]
fn an_agent_without_its_envoy_is_told_from_nobody() {
    let told = |agent, was_there| {
        let change = |case: &mut NotReady<'_>| {
            case.agent = agent;
            case.was_there = was_there;
        };
        say(Mesh::Istio, &[(ADMIN, refused()), (AGENT, refused())], change, &Hints::default())
    };
    assert!(told(AgentSeen::Now, false).contains("pilot-agent runs, and Envoy does not"));
    assert!(told(AgentSeen::Now, true).contains("which answered before, does not"));
    assert!(told(AgentSeen::Before, false).contains("Envoy keeps ending: look at istio-proxy's"));
    assert!(told(AgentSeen::Never, true).contains("is gone: has the proxy ended"));
    for agent in [AgentSeen::Now, AgentSeen::Before] {
        assert!(!told(agent, false).contains("injected"), "it is injected, evidently");
    }
}

#[test]
fn what_envoy_has_rejected_is_named() {
    let hints = Hints { unready: Vec::new(), rejected: vec!["lds.update_rejected: 1".to_owned()] };
    let seen = [(ADMIN, Observation::Ready), (AGENT, not_ready(""))];
    let text = say(Mesh::Istio, &seen, |_| {}, &hints);
    assert!(text.contains("has rejected configuration from istiod (lds.update_rejected: 1)"));
}

#[test]
fn nobody_is_advised_to_do_what_is_not_heard() {
    let told =
        |is_redirected, is_injected| nothing_found(std::iter::empty(), is_redirected, is_injected);
    assert!(told(false, false).contains("--absent-after"));
    let injected = told(false, true);
    assert!(injected.contains("MESHIM_INJECTED says that it has a sidecar"), "{injected}");
    assert!(!injected.contains("--absent-after"), "{injected}");
    assert!(!told(true, false).contains("--absent-after"));
}

#[test]
fn another_meshs_proxy_is_pointed_at() {
    let change = |case: &mut NotReady<'_>| case.other_mesh = Some(Mesh::Linkerd);
    let text = say(Mesh::Istio, &[(ADMIN, refused())], change, &Hints::default());
    assert!(text.contains("is --mesh linkerd meant?"), "{text}");
}

#[test]
fn before_the_first_answer_nothing_is_blamed() {
    let text = plainly(Mesh::Istio, &[]);
    assert_eq!(text, "no look has been answered yet (2 looks); it is too early to say why");
}

#[test]
fn what_was_seen_is_said_with_its_address() {
    let text = plainly(Mesh::Istio, &[(ADMIN, not_ready("INITIALIZING"))]);
    assert!(text.starts_with("http://127.0.0.1:15000/ready: 503 INITIALIZING (2 looks); "));
}
