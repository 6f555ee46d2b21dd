//! Every page of a proxy: whatever arrives, in whatever pieces, reading it ends, keeps to its
//! bounds, and comes to the same as if it had arrived at once.

use std::fmt::Debug;

use meshim::core::envoy::{
    certs, cluster_types, clusters, counters, endpoints, inbound_clusters, init_dump, lines,
    listeners, manifest, page::Page, picker, routes, runtime, server_info, state, stats, unread,
    usage, warming_secrets,
};
use meshim::core::metrics::in_flight;
use meshim::core::metrics::{agent, linkerd, sample};

use crate::bytes::{cuts, damaged, pieces};
use crate::cases;

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

/// What a page comes to when it arrives in these pieces.
fn read<P: Page>(pieces: &[&[u8]]) -> Result<P::Content, unread::Unread> {
    let mut page = P::begin();
    for piece in pieces {
        page.take(piece)?;
        if page.has_enough() {
            break;
        }
    }
    page.end()
}

/// The seeds are what this page says when all is well, or at its edges.
fn holds_for<P: Page>(seeds: &[&str])
where
    P::Content: Debug,
{
    let all: Vec<&str> = seeds.iter().copied().chain([MANIFEST_EDGES, RUNTIME]).collect();
    let strategy = (damaged(&all), cuts());
    cases(48)
        .run(&strategy, |(bytes, cuts)| {
            let pieces = pieces(&bytes, &cuts);
            let at_once = read::<P>(&[&bytes]);
            let in_pieces = read::<P>(&pieces);
            // In pieces, a page that has enough does not see what is wrong behind that.
            if at_once.is_ok() {
                assert_eq!(format!("{at_once:?}"), format!("{in_pieces:?}"));
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<P>()));
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
    const WANTED: &[picker::Path] = &[&["a"], &["b", picker::EACH], &["node", "metadata"]];
    let seeds = [
        r#"{"a":1,"b":[1,{"c":"\"]}"},[]],"node":{"metadata":{"x":[true,null,-1.5e3]}}}"#,
        r#"{"a":"\\","b":[],"node":{"id":"a","metadata":"x"}}"#,
    ];
    let strategy = (damaged(&seeds), cuts());
    let most = 24;
    cases(2_000)
        .run(&strategy, |(bytes, cuts)| {
            let feed = |pieces: &[&[u8]]| {
                let mut picker = picker::Picker::new(WANTED, most);
                let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
                let mut keep = |_: picker::Path, part: Option<&[u8]>| {
                    parts.push(part.map(<[u8]>::to_vec));
                };
                let fed = pieces.iter().try_for_each(|piece| picker.feed(piece, &mut keep));
                let ended = fed.and_then(|()| picker.finish());
                (ended.map_err(|error| error.to_string()), parts)
            };
            let (ended, parts) = feed(&[&bytes]);
            assert_eq!(&feed(&pieces(&bytes, &cuts)), &(ended.clone(), parts.clone()));
            assert!(parts.iter().flatten().all(|part| part.len() <= most));
            // What is JSON for everybody is JSON for us, and every part of it is, too.
            if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).is_ok()
            {
                assert_eq!(ended, Ok(()));
                for part in parts.iter().flatten() {
                    assert!(serde_json::from_slice::<serde_json::Value>(part).is_ok());
                }
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn lines_and_samples_are_read_whatever_arrives() {
    let seeds = [LINKERD, "a{b=\"c\\\"}\",d=\"\"} 1.5e3 17\n# HELP x\n", STATS];
    cases(2_000)
        .run(&(damaged(&seeds), cuts()), |(bytes, cuts)| {
            let read = |pieces: &[&[u8]]| {
                let mut lines = lines::Lines::new(100);
                let mut seen: Vec<String> = Vec::new();
                let mut each = |line: &str| seen.push(line.to_owned());
                for piece in pieces {
                    lines.feed(piece, &mut each);
                }
                lines.finish(&mut each);
                seen
            };
            let lines = read(&[&bytes]);
            assert_eq!(&read(&pieces(&bytes, &cuts)), &lines);
            for line in &lines {
                assert!(line.len() <= 100 && !line.contains('\n'));
                if let Some(sample) = sample::Sample::read(line) {
                    let _ = (sample.count(), sample.label("tls"), sample.label(""));
                }
            }
            let _ = state::State::of(&bytes).to_string();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
