//! Why a proxy is not ready: a list of likely causes with their remedies, the most telling first.
//!
//! Owns which cause fits which case, and its words; must never look anywhere itself.

use crate::core::answer::Fault;
use crate::core::endpoint::Address;
use crate::core::envoy::state::State;
use crate::core::waiting::not_ready::{AgentSeen, NotReady, SeenAt};
use crate::core::waiting::observation::Observation;

/// The causes, the most telling first; the first that fits is told.
const CAUSES: [fn(&NotReady<'_>) -> Option<String>; 12] = [
    nothing_seen,
    another_mesh,
    agent_without_envoy,
    gone,
    nobody,
    live_and_denied,
    initializing,
    draining,
    agent_alone,
    somebody_else,
    kept_out,
    by_a_fault,
];

/// The likely cause and the remedy, as a clause.
#[must_use]
pub fn advice(case: &NotReady<'_>) -> String {
    CAUSES.iter().find_map(|cause| cause(case)).unwrap_or_else(|| {
        let plane = case.mesh.profile().control_plane;
        format!(
            "the proxy answers and is not ready: look at its log, and whether {plane} is reachable"
        )
    })
}

fn nothing_seen(case: &NotReady<'_>) -> Option<String> {
    case.seen.is_empty().then(|| "it is too early to say why".to_owned())
}

fn another_mesh(case: &NotReady<'_>) -> Option<String> {
    let other = case.other_mesh.filter(|_| case.is_refused())?;
    Some(format!(
        "nobody listens there, but the {other} proxy's ports are taken: is --mesh {other} meant?"
    ))
}

/// The sidecar is there, and its Envoy is not.
fn agent_without_envoy(case: &NotReady<'_>) -> Option<String> {
    let profile = case.mesh.profile();
    let agent = profile.agent.filter(|_| case.is_refused())?;
    let (name, container) = (agent.name, profile.container);
    match case.agent {
        AgentSeen::Never => None,
        AgentSeen::Now if case.was_there => Some(format!(
            "{name} runs, and Envoy, which answered before, does not: look at {container}'s log"
        )),
        AgentSeen::Now => {
            Some(format!("{name} runs, and Envoy does not: look at {container}'s log"))
        }
        AgentSeen::Before => Some(format!(
            "{name} was running and is gone, as where Envoy keeps ending: look at {container}'s \
             log, also at that of its last run (kubectl logs --previous)"
        )),
    }
}

fn gone(case: &NotReady<'_>) -> Option<String> {
    (case.is_refused() && case.was_there).then(|| {
        "something answered there before and is gone: has the proxy ended, or is it restarting? \
         Look at its log, also at that of its last run"
            .to_owned()
    })
}

fn nobody(case: &NotReady<'_>) -> Option<String> {
    let unix = case.any_unix();
    case.is_refused().then(|| {
        let neighbour = if unix {
            // A socket file that is not there is mostly in another container.
            " (a Unix socket must be on a volume that both containers mount)"
        } else {
            ""
        };
        format!(
            "nobody listens there: is the {} sidecar injected and running?{neighbour}",
            case.mesh
        )
    })
}

fn live_and_denied(case: &NotReady<'_>) -> Option<String> {
    if !case.any(|seen| *seen == Observation::Ready) {
        return None;
    }
    let (plane, rejected) = (case.mesh.profile().control_plane, &case.hints.rejected);
    if !rejected.is_empty() {
        return Some(format!(
            "Envoy is LIVE and has rejected configuration from {plane} ({}): see the proxy's log \
             for the reason",
            rejected.join(", ")
        ));
    }
    let so = if case.any(|seen| matches!(seen, Observation::NotReady { .. })) {
        format!("says no: was the configuration from {plane} rejected?")
    } else if case.any(Observation::is_nobody) {
        "is not there: check --ready-url, and look at the sidecar's log".to_owned()
    } else if case.any(|seen| *seen == Observation::Failed(Fault::Silent)) {
        "does not answer: is what serves it starved of CPU, or hung?".to_owned()
    } else {
        // Another cause knows what its answer means.
        return None;
    };
    Some(format!("Envoy is LIVE but its readiness endpoint {so}"))
}

fn initializing(case: &NotReady<'_>) -> Option<String> {
    let Some(state @ (State::PreInitializing | State::Initializing)) = case.state() else {
        return None;
    };
    let unready = &case.hints.unready;
    let targets =
        if unready.is_empty() { "its first configuration".to_owned() } else { unready.join(", ") };
    let plane = case.mesh.profile().control_plane;
    Some(format!("Envoy is {state} and waits for {targets}: is {plane} reachable from this pod?"))
}

fn draining(case: &NotReady<'_>) -> Option<String> {
    let is_ending = |state: &State| match state {
        State::Draining => true,
        State::Other(word) => word == "TERMINATING",
        _ => false,
    };
    case.state().filter(|state| is_ending(state)).map(|_| {
        "the proxy is draining: is this pod being ended, or did somebody POST /healthcheck/fail?"
            .to_owned()
    })
}

fn agent_alone(case: &NotReady<'_>) -> Option<String> {
    let profile = case.mesh.profile();
    let agent = profile.agent?;
    case.any(|seen| matches!(seen, Observation::AgentRuns(_))).then(|| {
        format!(
            "{} runs, and its Envoy has not said that it is LIVE: look at {}'s log",
            agent.name, profile.container
        )
    })
}

fn somebody_else(case: &NotReady<'_>) -> Option<String> {
    let is_foreign = |seen: &&SeenAt<'_>| matches!(seen.1, Observation::Foreign { .. });
    let (endpoint, seen) = case.seen.iter().find(is_foreign)?;
    let place = match &endpoint.url.address {
        Address::Tcp { port, .. } => format!("port {port}"),
        Address::Unix(path) => path.display().to_string(),
    };
    Some(format!(
        "{place} belongs to somebody else's server or has no such path ({seen}): check --mesh and \
         the URLs"
    ))
}

fn kept_out(case: &NotReady<'_>) -> Option<String> {
    if case.any(|seen| *seen == Observation::Locked) {
        return Some(
            "the proxy allows other paths only: add this one to its admin allow_paths, or set \
             --ready-url"
                .to_owned(),
        );
    }
    case.any(|seen| matches!(seen, Observation::Withheld(_))).then(|| {
        format!(
            "the proxy refuses each path until its inbound policy has arrived: are {} and the \
             policy controller reachable, and does the policy allow the kubelet's probes?",
            case.mesh.profile().control_plane
        )
    })
}

fn by_a_fault(case: &NotReady<'_>) -> Option<String> {
    let any = |is: fn(&Fault) -> bool| {
        case.any(|seen| matches!(seen, Observation::Failed(fault) if is(fault)))
    };
    if any(|fault| matches!(fault, Fault::Broken(_))) {
        return Some(
            "what listens there hangs up or speaks no HTTP/1.1: is the port another server's? \
             Check --mesh and the URLs"
                .to_owned(),
        );
    }
    if any(|fault| *fault == Fault::Silent) {
        return Some(
            "it accepts connections and does not answer: is the proxy starved of CPU, or hung?"
                .to_owned(),
        );
    }
    if !any(|fault| matches!(fault, Fault::Unreachable(_))) {
        return None;
    }
    Some(if case.any_unix() {
        "the socket is there and this user may not connect to it: give the socket and the \
         directories above it a mode or a group that lets this container's user in"
            .to_owned()
    } else {
        "the address cannot be reached from this container: check the URL and its permissions"
            .to_owned()
    })
}
