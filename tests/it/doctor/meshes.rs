//! The doctor beside other meshes: their Envoys are judged as Istio's is where their admin API is
//! within reach, and where it is not, nothing is claimed.

use serde_json::{Value, json};

use super::config::{
    Config, Pod, all_to, chain, cluster, findings, from_another_container, http, report_of,
    tcp_rbac, troubles,
};
use crate::support::envoy::binary;
use crate::support::meshes::kuma::KumaUnix;
use crate::support::meshes::recorded;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;

/// As only Istio says which resource it was made of.
fn to(prefix: &str, service: &str) -> Value {
    json!({ "match": { "prefix": prefix }, "route": { "cluster": service } })
}

/// A proxy whose admin API is on this port, which sends everything to `service`.
fn of_another_mesh(admin: u16, inbound: &str, service: &str) -> Config {
    let mut config = Config::healthy();
    config.admin = admin;
    config.clusters = vec![cluster(service, &[9999]), cluster(inbound, &[8080])];
    config.chains = vec![chain(8080, &[http(&all_to(inbound), &[], &json!({}))])];
    config.routes = vec![to("/", service)];
    config.metadata = json!({});
    config
}

/// Healthy at first; then it is sent a route to a cluster that it does not have.
#[track_caller]
fn found_when_a_route_is_broken(pod: &Pod, config: &mut Config, mesh: &str) -> Value {
    let report = report_of(&from_another_container().with(["--output=json"]).run());
    assert_eq!(report["proxy"]["mesh"], mesh, "{report:#}");
    assert_eq!(troubles(&report), [], "{report:#}");
    config.routes.insert(0, to("/lost", "nosuch"));
    pod.update(config);
    poll(|| (pod.calls("/lost").0 == 503).then_some(())).expect("Envoy reads the file");
    let report = report_of(&from_another_container().with(["--output=json"]).run());
    let lost = findings(&report, "route-to-missing-cluster");
    assert_eq!(lost.len(), 1, "{report:#}");
    assert!(lost[0]["seen"].to_string().contains("nosuch"), "{report:#}");
    report
}

#[test]
fn kumas_envoy_is_judged_where_its_admin_api_is_a_port() {
    let _fetched = binary();
    inside(|| {
        let reporter = StandIn::on_port(9902);
        reporter.says("/ready", recorded!("kuma-tcp-ready"));
        let mut config = of_another_mesh(9901, "localhost:8080", "backend_demo_svc_5000");
        let pod = Pod::start(&config);
        let report = found_when_a_route_is_broken(&pod, &mut config, "kuma");
        // Nothing of Istio's is advised to a user of Kuma.
        let lost = findings(&report, "route-to-missing-cluster")[0];
        assert_eq!((&lost["resource"], &lost["field"]), (&Value::Null, &Value::Null), "{lost:#}");
    });
}

#[test]
fn consuls_envoy_is_judged_and_its_lifecycle_server_not_touched() {
    let _fetched = binary();
    inside(|| {
        let lifecycle = StandIn::on_port(20600);
        let service = "backend.default.dc1.internal.0a1b2c3d-e5f6-7890-abcd-ef1234567890.consul";
        let mut config = of_another_mesh(19000, "local_app", service);
        let without_intention = [tcp_rbac(&json!({})), http(&all_to("local_app"), &[], &json!({}))];
        let pod = Pod::start(&config);
        found_when_a_route_is_broken(&pod, &mut config, "consul");
        config.chains = vec![chain(8080, &without_intention)];
        pod.update(&config);
        let told = poll(|| {
            let report = report_of(&from_another_container().with(["--output=json"]).run());
            let denied = findings(&report, "authorization-denies-all");
            denied.first().map(|denied| denied["seen"].to_string())
        });
        let told = told.expect("Envoy reads the file, and the doctor what it has");
        assert!(told.contains("intention"), "{told}");
        assert_eq!(lifecycle.all_requests(), 0);
    });
}

/// From 2.14 on the admin API is a Unix socket of the sidecar's container.
#[test]
fn kuma_without_an_admin_port_is_said_to_be_out_of_sight() {
    inside(|| {
        let _kuma = KumaUnix::live();
        let ended = from_another_container().with(["--output=json"]).run().expect_code(0);
        let report = report_of(&ended);
        let blind = report["not_seen"].as_array().unwrap().iter();
        assert!(blind.filter(|blind| blind["reason"] == "no-admin-api").count() > 10, "{report:#}");
        assert_eq!(troubles(&report), [], "{report:#}");
    });
}

#[test]
fn in_an_ambient_pod_the_doctor_says_who_carries_its_traffic() {
    inside(|| {
        let _ztunnel = [15001, 15006, 15008, 15053].map(StandIn::on_port);
        let ended = from_another_container().run().expect_code(0);
        let said = "the node's ztunnel carries this pod's traffic";
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        let report = report_of(&from_another_container().with(["--output=json"]).run());
        let blind = report["not_seen"].as_array().unwrap().iter();
        assert!(blind.filter(|blind| blind["reason"] == "ambient").count() > 10, "{report:#}");
    });
}
