//! A wait: whoever listens, whatever each look sees, it goes forward, keeps to its timeout, and is
//! over as ready only where the endpoint whose word counts has said so.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;

use meshim::core::answer::Fault;
use meshim::core::envoy::state::State;
use meshim::core::mesh::Mesh;
use meshim::core::proxy::Given;
use meshim::core::sockets::listener::Listener;
use meshim::core::waiting::not_ready::Hints;
use meshim::core::waiting::observation::Observation;
use meshim::core::waiting::pacing::{Distance, WaitLimits, pause};
use meshim::core::waiting::step::{Ending, Step};
use meshim::core::waiting::wait::{Wait, WaitPlan};

use super::{Tries, milliseconds};

/// More steps than a wait of a minute needs whose looks and lists take no time.
const FOR_EVER: usize = 200_000;

fn plan() -> impl Strategy<Value = WaitPlan> {
    let mesh = select(vec![
        None,
        None,
        Some(Mesh::Istio),
        Some(Mesh::Linkerd),
        Some(Mesh::Consul),
        Some(Mesh::Kuma),
        Some(Mesh::Envoy),
    ]);
    let url = option::weighted(
        0.2,
        select(vec!["http://127.0.0.1:8000/server_info", "http://127.0.0.1:15021/healthz/ready"]),
    );
    let injected = select(vec![None, None, Some(true), Some(false)]);
    let absent = option::of(milliseconds(0..20_000));
    (mesh, url, injected, milliseconds(1..60_000), absent, milliseconds(1..3_000)).prop_map(
        |(mesh, url, injected, timeout, absent_after, request_timeout)| {
            let ready = url.and_then(|url| url.parse().ok());
            let limits = WaitLimits { timeout: Some(timeout), absent_after, request_timeout };
            let given = Given { mesh, ready, ..Given::default() };
            WaitPlan { given, injected, others: Vec::new(), limits }
        },
    )
}

fn seen() -> impl Strategy<Value = Observation> {
    let says =
        |word: &str| Observation::NotReady { status: 503, state: State::of(word.as_bytes()) };
    let all = vec![
        says("PRE_INITIALIZING"),
        says("INITIALIZING"),
        says("DRAINING"),
        says(""),
        Observation::Locked,
        Observation::Foreign { status: 404, server: None },
        Observation::Foreign { status: 200, server: Some("nginx".to_owned()) },
        Observation::Failed(Fault::Refused),
        Observation::Failed(Fault::Silent),
        Observation::Failed(Fault::Cut("x".to_owned())),
        Observation::Failed(Fault::Broken("x".to_owned())),
    ];
    proptest::prop_oneof![20 => select(all), 1 => Just(Observation::Ready)]
}

fn listening() -> impl Strategy<Value = Vec<Listener>> {
    let ports = vec![15000, 15020, 15021, 15006, 4191, 4143, 9901, 9902, 19000, 20000, 80, 8000];
    let one = (select(ports), select(vec![0, 1337, 2102, 5678, 5995, 1000_u32])).prop_map(
        |(port, uid)| Listener {
            address: ([127, 0, 0, 1], port).into(),
            uid,
            inode: 1,
            v6only: None,
        },
    );
    vec(one, 0..5)
}

pub(crate) fn a_wait_goes_forward_and_ends_within_its_timeout(tries: &mut impl Tries) {
    let looks = vec((seen(), any::<bool>(), milliseconds(0..200)), 1..30);
    let lists = vec(option::weighted(0.98, listening()), 1..10);
    tries.try_all((plan(), looks, lists, any::<bool>()), |(plan, looks, lists, redirected)| {
        let timeout = plan.limits.timeout.expect("given above");
        let (mut wait, _) = Wait::new(&plan);
        let (mut looks, mut lists) = (looks.into_iter().cycle(), lists.into_iter().cycle());
        let (mut now, mut was_ready) = (Duration::ZERO, false);
        for _ in 0..FOR_EVER {
            match wait.next(now) {
                Step::Over(ending) => {
                    assert!(now <= timeout + Duration::from_millis(1), "{now:?} is too late");
                    assert!(ending != Ending::Ready || was_ready, "ready, and nobody said so");
                    assert!(ending != Ending::TimedOut || now >= timeout, "{now:?} too early");
                    let words = wait.explain(&Hints::default()) + &wait.missing();
                    assert!(!words.chars().any(char::is_control), "{words}");
                    return;
                }
                Step::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    assert!(until <= timeout, "a rest is over before the wait is");
                    now = until;
                }
                Step::List => {
                    let list = lists.next().expect("for ever");
                    let list = list.as_deref().ok_or_else(|| "it is not told".to_owned());
                    let _ = wait.listed(now, Duration::ZERO, list);
                }
                Step::Look { at, until, .. } => {
                    assert!(until > now && until <= timeout, "{until:?} is no deadline");
                    let (seen, proves, took) = looks.next().expect("for ever");
                    let is_late = now + took >= until;
                    let seen = if is_late { Observation::Failed(Fault::Silent) } else { seen };
                    let end = until.min(now + took);
                    was_ready |= seen == Observation::Ready;
                    let _ = wait.observe(&at, end, end.saturating_sub(now), seen, proves);
                    now = end;
                }
                Step::Probe => drop(wait.probed(redirected)),
                Step::GiveUp => {
                    assert!(plan.limits.is_late(now), "{now:?} is too early to give up");
                    let _ = wait.give_up();
                }
            }
        }
        panic!("it goes round and round at {now:?}");
    });
}

pub(crate) fn a_pause_is_never_without_end_nor_shorter_than_the_proxy_can_bear(
    tries: &mut impl Tries,
) {
    let far = select(vec![Distance::Near, Distance::Far]);
    tries.try_all((any::<Duration>(), any::<Duration>(), far), |(elapsed, cost, distance)| {
        let pause = pause(elapsed, cost, distance);
        assert!(pause >= Duration::from_millis(4) && pause <= Duration::from_secs(1));
        assert!(pause == Duration::from_secs(1) || pause >= cost * 20);
    });
}
