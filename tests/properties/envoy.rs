//! Every page of a proxy, damaged.

use std::fmt::Debug;

use meshim::core::envoy::{
    certs, cluster_types, clusters, counters, endpoints, inbound_clusters, init_dump, listeners,
    manifest, page::Page, routes, runtime, server_info, stats, usage, warming_secrets,
};
use meshim::core::metrics::{agent, in_flight, linkerd};

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, page};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/doctor/", $name))
    };
}

const INIT_DUMP: &str = concat!(
    r#"{"unready_targets_dumps":[{"name":"init manager Server","target_names":["target "#,
    r#"Initialization Manager cluster xds_cluster"]}]}"#,
);
const RUNTIME: &str = concat!(
    r#"{"layers":["a","admin"],"entries":{"x.y":{"final_value":"1","layer_values":["",""#,
    r#"1"]}}}"#,
);
const SECRETS: &str = r#"{"configs":[{"name":"default","version_info":"uninitialized"}]}"#;
const CLUSTERS: &str = concat!(
    r#"{"cluster_statuses":[{"name":"inbound|8080||","host_statuses":[{"address":{"sock"#,
    r#"et_address":{"address":"10.0.0.1","port_value":8080}},"stats":[{"type":"GAUGE",""#,
    r#"name":"rq_active","value":"3"},{"name":"cx_active","value":"1"},{"name":"rq_tota"#,
    r#"l","value":"18446744073709551615"}]},{"stats":[{"name":"rq_total","value":"18446"#,
    r#"744073709551615"},{"name":"rq_active","value":"18446744073709551615"}]}]}]}"#,
);
const INBOUND: &str = concat!(
    r#"{"configs":[{"cluster":{"name":"inbound|8080||","type":"ORIGINAL_DST","upstream_"#,
    r#"bind_config":{"source_address":{"address":"127.0.0.6"}},"load_assignment":{"endp"#,
    r#"oints":[{"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"0."#,
    r#"0.0.0","port_value":8080}}}}]}]}}}]}"#,
);
const USAGE: &str = concat!(
    "outbound|80||a.b.svc.cluster.local::10.0.0.1:80::rq_total::18446744073709551615",
    "\noutbound|80||a.b::1.2.3.4:1::cx_total::3\n",
);
const STATS: &str = concat!(
    "http.inbound_0.0.0.0_8080;.downstream_rq_active: 18446744073709551615\n",
    "http.inbound_0.0.0.0_8081;.downstream_rq_active: 5\n",
    "listener.0.0.0.0_15006.downstream_cx_active: 18446744073709551615\n",
);
const LINKERD: &str = concat!(
    "process_start_time_seconds 1764000000\n",
    "identity_cert_expiration_timestamp_seconds 1e19\n",
    "process_resident_memory_bytes 5000000\n",
    "inbound_http_authz_deny_total{target_port=\"80\",tls=\"no_identity\"} 1844674407",
    "3709551615\ninbound_http_authz_deny_total{target_port=\"81\"} 9\n",
    "request_total{direction=\"inbound\",target_port=\"8080\",tls=\"no_identity\",no_",
    "tls_reason=\"no_tls\"} 18446744073709551615\n",
    "request_total{direction=\"inbound\",target_port=\"8080\",tls=\"no_identity\"} 4",
    "\ntcp_open_connections{peer=\"src\",direction=\"inbound\"} 18446744073709551615",
    "\n",
);
const MANIFEST_EDGES: &str = concat!(
    r#"{"uptime_current_epoch":"18446744073709551615s","uptime_all_epochs":"99999999999"#,
    r#"999999999s","state":"LIVE","command_line_options":{"drain_time":"184467440737095"#,
    r#"51615.999999999s"},"node":{"id":"sidecar~a~b~c","metadata":{"POD_PORTS":"[{\"con"#,
    r#"tainerPort\":18446744073709551615}]","PROXY_CONFIG":{"terminationDrainDuration":"#,
    r#""18446744073709551615s"},"ANNOTATIONS":{"sidecar.istio.io/proxyMemoryLimit":"184"#,
    r#"46744073709551615.9","traffic.sidecar.istio.io/excludeOutboundPorts":"1,65536,x""#,
    r#"}}}}"#,
);

/// The seeds are what this page says when all is well, or at its edges.
fn holds_for<P: Page>(seeds: &[&str])
where
    P::Content: Debug,
{
    let all: Vec<&str> = seeds.iter().copied().chain([MANIFEST_EDGES, RUNTIME]).collect();
    Cases(48).try_all(damaged(&all), |bytes| page::is_read::<P>(&bytes));
}

#[test]
fn pages_of_envoys_state_are_read_whatever_arrives() {
    let info = [fixture!("healthy.server_info.json"), fixture!("native.server_info.json")];
    holds_for::<server_info::ServerInfoPage>(&info);
    holds_for::<manifest::ManifestPage>(&info);
    holds_for::<init_dump::InitDump>(&[INIT_DUMP]);
    holds_for::<runtime::RuntimePage>(&[RUNTIME]);
    holds_for::<warming_secrets::WarmingSecretsPage>(&[SECRETS]);
    holds_for::<certs::CertsPage>(&[
        fixture!("healthy.certs.json"),
        fixture!("renewal-failing.certs.json"),
    ]);
}

#[test]
fn pages_of_envoys_configuration_are_read_whatever_arrives() {
    let listeners = [
        fixture!("authz-tcp.listeners.json"),
        fixture!("rejected.listeners.json"),
        fixture!("sidecar-ingress.listeners.json"),
    ];
    holds_for::<listeners::ListenersPage>(&listeners);
    holds_for::<listeners::AllListenersPage>(&listeners);
    let routes = [fixture!("fault.routes.json"), fixture!("missing-subset.routes.json")];
    holds_for::<routes::RoutesPage>(&routes);
    let endpoints = [fixture!("healthy.endpoints.json")];
    holds_for::<endpoints::EndpointsPage>(&endpoints);
    holds_for::<endpoints::StaticEndpointsPage>(&endpoints);
    holds_for::<inbound_clusters::InboundClustersPage>(&[INBOUND]);
    holds_for::<cluster_types::OriginalDestinationsPage>(&[INBOUND]);
    holds_for::<clusters::Clusters>(&[CLUSTERS]);
}

#[test]
fn pages_of_counters_are_read_whatever_arrives() {
    holds_for::<stats::StatsPage>(&[STATS]);
    holds_for::<counters::CountersPage>(&[
        fixture!("healthy.stats.txt"),
        fixture!("rejected.stats.txt"),
    ]);
    holds_for::<usage::UsagePage>(&[USAGE]);
    holds_for::<agent::AgentPage>(&[fixture!("renewal-failing.metrics.txt")]);
    holds_for::<linkerd::LinkerdPage>(&[LINKERD]);
    holds_for::<in_flight::InFlightPage>(&[LINKERD]);
}

#[test]
fn a_picked_part_is_json_and_within_its_bound() {
    let seeds = [
        r#"{"a":1,"b":[1,{"c":"\"]}"},[]],"node":{"metadata":{"x":[true,null,-1.5e3]}}}"#,
        r#"{"a":"\\","b":[],"node":{"id":"a","metadata":"x"}}"#,
    ];
    Cases(2_000).try_all(damaged(&seeds), |bytes| page::is_picked(&bytes));
}

#[test]
fn a_part_is_walked_through_to_its_leaves() {
    let seeds = [
        r#"{"a":{"b":"c"},"b":[1,-1.5e3,"18446744073709551615"],"c":[[],{}],"d":"\ud83d\ude00"}"#,
        r#"[{"a":{"b":null}},true,"0.000001"]"#,
    ];
    Cases(2_000).try_all(damaged(&seeds), |bytes| page::is_walked(&bytes));
}

#[test]
fn lines_and_samples_are_read_whatever_arrives() {
    let seeds = [LINKERD, "a{b=\"c\\\"}\",d=\"\"} 1.5e3 17\n# HELP x\n", STATS];
    Cases(2_000).try_all(damaged(&seeds), |bytes| page::is_text(&bytes));
}
