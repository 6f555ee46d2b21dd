use super::*;
use crate::core::endpoint::Endpoint;
use crate::core::envoy::state::State;
use crate::core::mesh::Mesh;
use crate::core::profile::Expect;

const MS: Duration = Duration::from_millis(1);

/// What is looked at, as the tests call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The admin API's `/ready` beside a readiness endpoint.
    Cheap,
    /// Istio's 15021, Linkerd's 4191, Kuma's 9902, `/server_info`.
    First,
    /// Kuma's 9901.
    Second,
    /// What `--wait-for` names.
    Other,
}

impl At {
    fn of(ready: &Ready<Endpoint>) -> Self {
        match ready.url.address.port() {
            Some(15000) => Self::Cheap,
            Some(8000) if ready.url.path == "/ready" => Self::Cheap,
            Some(9901) => Self::Second,
            Some(7777) => Self::Other,
            _ => Self::First,
        }
    }
}

fn limits() -> WaitLimits {
    WaitLimits {
        timeout: Some(Duration::from_mins(2)),
        absent_after: None,
        request_timeout: Duration::from_secs(1),
    }
}

fn plan(given: Given) -> WaitPlan {
    WaitPlan { given, injected: None, others: Vec::new(), limits: limits() }
}

fn named(mesh: Mesh) -> WaitPlan {
    plan(Given { mesh: Some(mesh), ..Given::default() })
}

/// A readiness endpoint beside an admin API.
fn istio() -> WaitPlan {
    named(Mesh::Istio)
}

/// A readiness endpoint alone.
fn alone() -> WaitPlan {
    named(Mesh::Linkerd)
}

/// `/server_info` as the readiness endpoint.
fn server_info() -> WaitPlan {
    let ready = "http://127.0.0.1:8000/server_info".parse().ok();
    plan(Given { mesh: Some(Mesh::Envoy), ready, ..Given::default() })
}

fn auto() -> WaitPlan {
    plan(Given::default())
}

fn within(mut plan: WaitPlan, change: impl FnOnce(&mut WaitLimits)) -> WaitPlan {
    change(&mut plan.limits);
    plan
}

fn says(word: &str) -> Observation {
    Observation::NotReady { status: 503, state: State::of(word.as_bytes()) }
}

fn not_ready() -> Observation {
    says("INITIALIZING")
}

fn refused() -> Observation {
    Observation::Failed(Fault::Refused)
}

fn foreign() -> Observation {
    Observation::Foreign { status: 404, server: None }
}

fn listener(port: u16, uid: u32) -> Listener {
    Listener { address: ([127, 0, 0, 1], port).into(), uid, inode: 0, v6only: None }
}

/// Every look of a wait: at what, when.
type Looks = Vec<(At, Duration)>;

/// Runs a wait against `world`, which says what a look sees at a moment and whether that proves the
/// proxy, and `listening`, which says who listens then; a look takes 0.1 ms.
fn run(
    plan: &WaitPlan,
    world: impl Fn(At, Duration) -> (Observation, bool),
    listening: impl Fn(Duration) -> Vec<Listener>,
    is_redirected: bool,
) -> (Ending, Duration, Looks, Vec<Change>) {
    let (mut wait, first) = Wait::new(plan);
    let (mut now, mut looks) = (Duration::ZERO, Vec::new());
    let mut changes: Vec<Change> = first.into_iter().collect();
    for _ in 0..1_000_000 {
        match wait.next(now) {
            Step::Over(ending) => return (ending, now, looks, changes),
            Step::Rest(until) => {
                assert!(until > now, "a rest goes forward");
                now = until;
            }
            Step::List => changes.extend(wait.listed(now, Duration::ZERO, Ok(&listening(now)))),
            Step::Probe => changes.extend(wait.probed(is_redirected)),
            Step::GiveUp => changes.push(wait.give_up()),
            Step::Look { at, .. } => {
                looks.push((At::of(&at), now));
                let (seen, proves) = world(At::of(&at), now);
                now += MS / 10;
                changes.extend(wait.observe(&at, now, MS / 10, seen, proves));
            }
        }
    }
    panic!("it goes round and round at {now:?}");
}

fn simulate(
    plan: &WaitPlan,
    world: impl Fn(At, Duration) -> Observation,
) -> (Ending, Duration, Looks) {
    let (ending, over, looks, _) =
        run(plan, |at, now| (world(at, now), true), |_| Vec::new(), false);
    (ending, over, looks)
}

fn count(looks: &Looks, is: impl Fn(At) -> bool) -> usize {
    looks.iter().filter(|(at, _)| is(*at)).count()
}

fn is_endpoint(at: At) -> bool {
    at != At::Cheap
}

mod finding;
mod pacing;
