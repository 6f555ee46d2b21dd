use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn times(min: u32, max: u32) -> Times {
    Times { min: min * SECOND, max: max * SECOND, quiet: 2 * SECOND, grace: None }
}

fn istio(life: u32) -> ServerInfo {
    let termination_drain = Some(life * SECOND);
    ServerInfo { native: Some(false), termination_drain, ..ServerInfo::default() }
}

#[test]
fn the_plan_is_cut_to_the_life_of_a_proxy_that_goes_down_with_us() {
    let native = ServerInfo { native: Some(true), ..istio(5) };
    let while_busy = ServerInfo { exits_on_zero: true, ..istio(5) };
    let table = [
        (times(5, 15), None, (5, 15, 2)),
        (times(5, 15), Some(istio(5)), (4, 4, 2)),
        (times(1, 15), Some(istio(5)), (1, 4, 2)),
        (times(5, 15), Some(istio(30)), (5, 15, 2)),
        (times(5, 15), Some(istio(0)), (0, 0, 0)),
        (times(5, 15), Some(native), (5, 15, 2)),
        (times(5, 15), Some(while_busy), (5, 15, 2)),
        (times(5, 15), Some(ServerInfo::default()), (5, 15, 2)),
    ];
    for (times, facts, (min, max, quiet)) in table {
        let expected = DrainPlan { min: min * SECOND, max: max * SECOND, quiet: quiet * SECOND };
        assert_eq!(DrainPlan::new(times, facts.as_ref()), expected, "{facts:?}");
    }
}

fn said(times: Times, mesh: Mesh, facts: &ServerInfo) -> Vec<(bool, String)> {
    let misfits = misfits(times, mesh, Some(facts)).into_iter();
    misfits.map(|misfit| (misfit.is_certain, misfit.sentence)).collect()
}

#[test]
fn a_proxy_that_dies_too_early_is_told_with_both_remedies_and_what_each_costs() {
    let said = said(times(5, 15), Mesh::Istio, &istio(5));
    let [(true, sentence)] = said.as_slice() else { panic!("{said:?}") };
    for part in [
        "killed 5s after SIGTERM",
        "draining is cut to 4s",
        r#"proxy.istio.io/config: '{"terminationDrainDuration": "19s"}'"#,
        "every stop of the pod takes that long",
        r#"'{"proxyMetadata": {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"}}'"#,
        "calls out after its SIGTERM",
    ] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    let with_grace = Times { grace: Some(28 * SECOND), ..times(5, 15) };
    let sentence = &misfits(with_grace, Mesh::Istio, Some(&istio(5)))[0].sentence;
    assert!(sentence.contains(r#""28s""#), "{sentence}");
}

#[test]
fn what_fits_is_not_talked_about() {
    let native = ServerInfo { native: Some(true), ..istio(5) };
    for facts in [istio(28), native, ServerInfo::default()] {
        assert_eq!(said(times(5, 15), Mesh::Istio, &facts), [], "{facts:?}");
    }
    for mesh in [Mesh::None, Mesh::Envoy, Mesh::Kuma, Mesh::Consul] {
        assert_eq!(misfits(times(5, 15), mesh, None), [], "{mesh}");
    }
}

#[test]
fn a_proxy_that_ends_with_its_last_connection_is_told_with_what_that_costs() {
    let facts = ServerInfo { exits_on_zero: true, ..istio(25) };
    for (min, certain, part) in [(5, false, "no connection"), (6, true, "--drain-min 6s")] {
        let said = said(times(min, 15), Mesh::Istio, &facts);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].0, certain);
        for part in [part, "whatever terminationDrainDuration says", "may find no proxy"] {
            assert!(said[0].1.contains(part), "{part}: {said:?}");
        }
    }
}

#[test]
fn what_a_classic_sidecar_of_another_mesh_does_is_told_as_a_possibility() {
    let misfit = &misfits(times(5, 15), Mesh::Linkerd, None)[0];
    assert!(!misfit.is_certain);
    assert!(misfit.sentence.contains("proxy-wait-before-exit-seconds"), "{misfit:?}");
    for (mesh, part) in
        [(Mesh::Kuma, "KUMA_DATAPLANE_DRAIN_TIME"), (Mesh::Consul, "grace-period-seconds")]
    {
        let misfit = &misfits(times(5, 31), mesh, None)[0];
        assert!(!misfit.is_certain && misfit.sentence.contains(part), "{misfit:?}");
    }
}

#[test]
fn an_envoy_that_drains_gradually_is_told() {
    let drain_time = Some(600 * SECOND);
    let gradual = ServerInfo { drains_gradually: true, drain_time, ..ServerInfo::default() };
    let said = said(times(5, 15), Mesh::Envoy, &gradual);
    assert!(said[0].0 && said[0].1.contains("--drain-strategy immediate"), "{said:?}");
}

#[test]
fn the_whole_stop_is_told_with_what_it_asks_of_the_pod() {
    let drain = Some(times(5, 15));
    let grace = Some(28 * SECOND);
    let stop = |drain, grace, quitting: u32| Stop { drain, grace, quitting: quitting * SECOND };
    let table = [
        (stop(drain, None, 0), None, "up to 15s of draining", "must be above 15"),
        (stop(drain, None, 11), None, "then up to 11s for ending the proxy", "above 26"),
        (stop(drain, grace, 0), None, "up to 28s, of which up to 15s are", "above 28"),
        (stop(drain, grace, 1), None, "then up to 1s for ending", "must be above 29"),
        (stop(None, grace, 0), None, "up to 28s", "must be above 28"),
        (stop(None, None, 11), None, "as long as the application takes, then", "above 11"),
        (stop(drain, None, 0), Some(30), "up to 15s of draining", "killed 30s after"),
    ];
    for (stop, pod, part, other) in table {
        let said = stop.told(pod.map(|pod: u32| pod * SECOND)).unwrap().unwrap();
        assert!(said.contains(part) && said.contains(other), "{said}");
    }
    assert_eq!(stop(None, None, 0).told(None), Ok(None));
    let at_once = stop(drain, Some(Duration::ZERO), 0).told(None).unwrap_err();
    assert!(at_once.contains("--grace 0 kills the application at the first stop signal"));
    let refused = stop(drain, None, 0).told(Some(8 * SECOND)).unwrap_err();
    assert!(refused.contains("raise terminationGracePeriodSeconds above 15"), "{refused}");
    assert!(stop(drain, grace, 0).told(Some(28 * SECOND)).is_err());
}
