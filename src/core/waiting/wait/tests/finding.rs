//! Which proxy a wait is for, and whether there is one.

use super::*;
use crate::core::waiting::detection::Strength;

/// Ports without an owner that tells anything.
fn ports(ports: &[u16]) -> Vec<Listener> {
    ports.iter().map(|port| listener(*port, 1000)).collect()
}

fn absent_after(plan: WaitPlan, seconds: u64) -> WaitPlan {
    within(plan, |limits| limits.absent_after = Some(Duration::from_secs(seconds)))
}

/// Everybody says this, and it proves nothing.
fn unproven(seen: Observation) -> impl Fn(At, Duration) -> (Observation, bool) {
    move |_, _| (seen.clone(), false)
}

fn meshes(changes: &[Change]) -> Vec<Mesh> {
    let waiting = |change: &Change| match change {
        Change::WaitingFor(mesh, _) => Some(*mesh),
        _ => None,
    };
    changes.iter().filter_map(waiting).collect()
}

/// H2: the agent's port is there, Envoy's are not.
#[test]
fn a_listening_port_of_a_mesh_means_that_somebody_is_there() {
    for plan in [auto(), istio()] {
        let plan = absent_after(plan, 2);
        let (ending, over, ..) = run(&plan, unproven(refused()), |_| ports(&[15020]), false);
        assert_eq!((ending, over), (Ending::TimedOut, 120_000 * MS));
        let (ending, over, ..) = run(&plan, unproven(refused()), |_| ports(&[8080]), false);
        assert_eq!((ending, over), (Ending::WithoutProxy, 2_000 * MS));
    }
    // Less than a sign, which is only taken for somebody before it would be too late.
    for port in [15021, 19000, 4191] {
        let plan = absent_after(auto(), 2);
        let (ending, ..) = run(&plan, unproven(refused()), |_| ports(&[port]), false);
        assert_eq!(ending, Ending::TimedOut, "{port}");
    }
}

/// H3 and H4: a neighbour on 9902 or 9901.
#[test]
fn an_answer_that_the_proxy_would_not_give_refutes_a_guess() {
    let broken = Observation::Failed(Fault::Broken("no HTTP".to_owned()));
    for (stranger, seen) in [(9902, foreign()), (9901, foreign()), (9902, broken)] {
        let plan = absent_after(auto(), 3);
        let (ending, over, looks, changes) =
            run(&plan, unproven(seen), |_| ports(&[stranger]), false);
        assert_eq!((ending, over.as_secs()), (Ending::WithoutProxy, 3), "{stranger}");
        let refuted = |change: &&Change| matches!(change, Change::Refuted(..));
        assert!((1..=2).contains(&changes.iter().filter(refuted).count()), "told once a mesh");
        assert!((3..=16).contains(&looks.len()), "asked again each second: {}", looks.len());
    }
}

#[test]
fn a_stranger_does_not_hide_a_mesh_that_comes_later() {
    let world = |at, _| match at {
        At::Second => (foreign(), false),
        _ => (Observation::Ready, true),
    };
    let later = |now| ports(if now < 1_000 * MS { &[9901] } else { &[9901, 15020, 15021] });
    let (ending, _, _, changes) = run(&auto(), world, later, false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Envoy, Mesh::Istio]));
}

/// A plain Envoy of a neighbour gives the answers of the mesh's: until a mesh shows up.
#[test]
fn a_plain_envoy_gives_way_to_a_mesh_that_shows_up() {
    let world = |at, _| match at {
        At::Second => (not_ready(), true),
        _ => (Observation::Ready, true),
    };
    let later = |now| ports(if now < 1_000 * MS { &[9901] } else { &[9901, 15020] });
    let (ending, _, _, changes) = run(&auto(), world, later, false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Envoy, Mesh::Istio]));
}

/// R2: 404 without a body from 4191, until the inbound policy has arrived.
#[test]
fn what_linkerd_withholds_does_not_refute_it_while_its_other_ports_listen() {
    let world = |_, now| match now {
        now if now < 600 * MS => (Observation::Withheld(404), false),
        _ => (Observation::Ready, true),
    };
    let plan = absent_after(auto(), 5);
    let linkerd = |_| ports(&[4140, 4143, 4191]);
    let (ending, over, _, changes) = run(&plan, world, linkerd, false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Linkerd]));
    assert!(over < 630 * MS, "{over:?}");
    // One port alone, of whoever it is.
    let (ending, ..) = run(&plan, unproven(Observation::Withheld(404)), |_| ports(&[4191]), false);
    assert_eq!(ending, Ending::WithoutProxy);
}

#[test]
fn a_refutation_lasts_no_longer_than_its_evidence() {
    let world = |_, now| match now {
        now if now < 2_500 * MS => (foreign(), false),
        _ => (Observation::Ready, true),
    };
    let (ending, over, ..) = run(&auto(), world, |_| ports(&[9902]), false);
    assert_eq!(ending, Ending::Ready);
    assert!(over < 3_600 * MS, "{over:?}");
}

/// R5: the owner of the socket tells.
#[test]
fn the_meshs_own_user_is_believed_whatever_the_answer() {
    let owned = |_| vec![listener(9902, 5678)];
    let (ending, _, _, changes) = run(&absent_after(auto(), 1), unproven(foreign()), owned, false);
    assert_eq!((ending, meshes(&changes)), (Ending::TimedOut, vec![Mesh::Kuma]));
    let (mut wait, _) = Wait::new(&auto());
    wait.listed(Duration::ZERO, Duration::ZERO, Ok(&owned(Duration::ZERO)));
    let Step::Look { trust, .. } = wait.next(Duration::ZERO) else { panic!("a look comes next") };
    assert_eq!(trust, Trust::Certain);
    wait.listed(MS, Duration::ZERO, Ok(&[listener(9902, 1000)]));
    assert_eq!(wait.search.watch().unwrap().basis, Basis::Shown(Strength::Ports));
}

/// R4: with Kuma and Consul nothing listens before the control plane has answered.
#[test]
fn a_pod_whose_traffic_is_redirected_is_not_one_without_a_mesh() {
    let plan = absent_after(auto(), 2);
    let late = |now| ports(if now < 20_000 * MS { &[] } else { &[9902] });
    let (ending, over, _, changes) = run(&plan, |_, _| (Observation::Ready, true), late, true);
    assert_eq!(ending, Ending::Ready);
    assert!(over >= 20_000 * MS && changes.contains(&Change::Redirected), "{over:?}");
    let (ending, over, _, changes) = run(&plan, unproven(refused()), |_| Vec::new(), true);
    assert_eq!((ending, over), (Ending::TimedOut, 120_000 * MS));
    assert_eq!(changes.iter().filter(|change| **change == Change::Redirected).count(), 1);
    // A named mesh is not guessed at.
    let (ending, ..) = run(&absent_after(istio(), 2), unproven(refused()), |_| Vec::new(), true);
    assert_eq!(ending, Ending::WithoutProxy);
}

#[test]
fn the_injection_is_believed() {
    let injected = |is| WaitPlan { injected: Some(is), ..absent_after(auto(), 2) };
    let outcome = |plan: &WaitPlan| {
        let (ending, over, ..) = run(plan, unproven(refused()), |_| Vec::new(), false);
        (ending, over)
    };
    assert_eq!(outcome(&injected(false)), (Ending::WithoutProxy, Duration::ZERO));
    assert_eq!(outcome(&injected(true)), (Ending::TimedOut, 120_000 * MS));
    // A named mesh wins.
    let named = WaitPlan { injected: Some(false), ..istio() };
    assert_eq!(outcome(&named), (Ending::TimedOut, 120_000 * MS));
}

/// T7: a URL moves an endpoint and does not name a plain Envoy.
#[test]
fn a_url_changes_no_mesh() {
    let admin = "http://127.0.0.1:9901".parse().ok();
    let given = plan(Given { admin, ..Given::default() });
    let world = |at, now| match (at, now) {
        (At::Second, _) => (Observation::Ready, true),
        (_, now) if now < 3_000 * MS => (refused(), false),
        _ => (Observation::Ready, true),
    };
    let istio = |_| ports(&[15020]);
    let (ending, over, _, changes) = run(&given, world, istio, false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Istio]));
    assert!(over >= 3_000 * MS, "{over:?}");
    // The agent comes while the admin API is looked at.
    let slow = |at, now| match (at, now) {
        (At::Second, now) if now < 500 * MS => (not_ready(), true),
        (At::Second, _) => (Observation::Ready, true),
        (_, now) if now < 3_000 * MS => (refused(), false),
        _ => (Observation::Ready, true),
    };
    let later = |now| ports(if now < 200 * MS { &[] } else { &[15020] });
    let (ending, over, _, changes) = run(&given, slow, later, false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Envoy, Mesh::Istio]));
    assert!(over >= 3_000 * MS, "{over:?}");
    let (ending, over, _, changes) = run(&given, slow, |_| Vec::new(), false);
    assert_eq!((ending, meshes(&changes)), (Ending::Ready, vec![Mesh::Envoy]));
    assert!(over < 510 * MS, "{over:?}");
}

#[test]
fn a_socket_that_nobody_may_connect_to_is_somebody() {
    let admin = "unix:/run/admin.sock".parse().ok();
    let given = absent_after(plan(Given { admin, ..Given::default() }), 2);
    let denied = Observation::Failed(Fault::Unreachable("permission denied".to_owned()));
    let (ending, ..) = run(&given, unproven(denied), |_| Vec::new(), false);
    assert_eq!(ending, Ending::TimedOut);
}

#[test]
fn without_a_list_of_sockets_auto_gives_up_at_once_and_a_named_mesh_does_not() {
    let (mut wait, _) = Wait::new(&auto());
    assert_eq!(wait.next(Duration::ZERO), Step::List);
    wait.listed(MS, MS, Err("no /proc".to_owned()));
    assert_eq!(wait.next(MS), Step::Over(Ending::Blind("no /proc".to_owned())));
    let (mut wait, _) = Wait::new(&istio());
    wait.listed(MS, MS, Err("no /proc".to_owned()));
    assert!(matches!(wait.next(MS), Step::Look { .. }));
}

fn with_other(plan: WaitPlan) -> WaitPlan {
    let url = "http://127.0.0.1:7777/up".parse().unwrap();
    WaitPlan { others: vec![Ready { url, expect: Expect::Healthy }], ..plan }
}

#[test]
fn what_else_must_be_ready_is_looked_at_at_the_same_time() {
    for (proxy_at, other_at) in [(500, 4_000), (4_000, 500), (0, 0)] {
        let world = move |at, now| {
            let ready_at = if at == At::Other { other_at } else { proxy_at };
            (if now >= ready_at * MS { Observation::Ready } else { not_ready() }, true)
        };
        let (ending, over, _) = simulate(&with_other(istio()), |at, now| world(at, now).0);
        assert_eq!(ending, Ending::Ready);
        let late = over.saturating_sub(proxy_at.max(other_at) * MS);
        assert!(late < 10 * MS, "{proxy_at} {other_at}: {over:?}");
    }
    let never = |at, _| if at == At::Other { refused() } else { Observation::Ready };
    assert_eq!(simulate(&with_other(istio()), never).0, Ending::TimedOut);
    let without = simulate(&with_other(named(Mesh::None)), |_, _| Observation::Ready);
    assert_eq!(without.0, Ending::WithoutProxy);
}

#[test]
fn absence_concerns_the_proxy_alone() {
    let plan = with_other(absent_after(istio(), 1));
    let world = |at, now: Duration| match at {
        At::Other if now >= 5_000 * MS => Observation::Ready,
        _ => refused(),
    };
    let (ending, over, _) = simulate(&plan, world);
    assert_eq!((ending, over.as_secs()), (Ending::WithoutProxy, 5));
}

#[test]
fn what_is_missing_is_named() {
    let (wait, _) = Wait::new(&with_other(istio()));
    assert_eq!(wait.missing(), "the istio proxy and http://127.0.0.1:7777/up");
    let both = "the istio proxy and http://127.0.0.1:7777/up were";
    assert_eq!(wait.subject("was", "were"), both);
    let (wait, _) = Wait::new(&with_other(named(Mesh::None)));
    assert_eq!(wait.missing(), "http://127.0.0.1:7777/up");
    assert_eq!(wait.subject("was", "were"), "http://127.0.0.1:7777/up was");
    assert!(wait.explain(&Hints::default()).contains("which --wait-for names"));
}
