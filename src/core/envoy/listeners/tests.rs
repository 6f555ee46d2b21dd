use super::*;
use crate::core::envoy::filter_chain::{Protocol, Transport};
use crate::core::envoy::page::whole;

/// Of real Istio sidecars, cut.
const AUTHZ: &[u8] = include_bytes!("../../../../tests/fixtures/doctor/authz-tcp.listeners.json");
const REJECTED: &[u8] = include_bytes!("../../../../tests/fixtures/doctor/rejected.listeners.json");

fn chains(body: &[u8], port: Option<u64>) -> Vec<Chain> {
    let read = whole::<ListenersPage>(body).unwrap();
    assert!(!read.is_cut);
    let inbound = |chain: &Chain| chain.listener == "virtualInbound" && chain.port == port;
    read.chains.into_iter().filter(inbound).collect()
}

#[test]
fn each_port_of_a_real_sidecar_is_read_as_it_is_served() {
    let http = chains(AUTHZ, Some(8080));
    let shape: Vec<(Protocol, Transport, bool)> =
        http.iter().map(|chain| (chain.protocol, chain.transport, chain.is_sniffed)).collect();
    let expected =
        [(Protocol::Http, Transport::Tls, true), (Protocol::Http, Transport::Raw, false)];
    assert_eq!(shape, expected);
    assert!(http.iter().all(|chain| chain.direction == Direction::Inbound));
    assert!(http.iter().all(|chain| chain.listener_port == Some(15006)));
    assert_eq!(http[0].sampling, Some(1_000_000));
    assert!(!http[0].rbac[0].admits_nobody());
    assert_eq!(http[0].rbac[0].policies[0].name, "ns[shop]-policy[http-only]-rule[0]");
    let sniffed = chains(AUTHZ, Some(8081));
    assert_eq!(sniffed.len(), 5);
    let tcp = chains(AUTHZ, Some(9000));
    assert!(tcp.iter().all(|chain| chain.protocol == Protocol::Tcp));
    assert!(tcp.iter().all(|chain| chain.rbac[0].admits_nobody()));
    assert_eq!(tcp[0].cluster.as_deref(), Some("inbound|9000||"));
}

#[test]
fn a_rejected_listener_is_told_once_and_its_configuration_not_at_all() {
    let read = whole::<ListenersPage>(REJECTED).unwrap();
    let names: Vec<(&str, bool, bool)> = read
        .rejected
        .iter()
        .map(|rejected| (rejected.name.as_str(), rejected.is_served, rejected.attempt.is_some()))
        .collect();
    assert_eq!(names, [("virtualInbound", true, true), ("0.0.0.0_9080", false, true)]);
    assert!(read.rejected[0].details.starts_with("script load error"), "{read:?}");
    assert!(!format!("{read:?}").contains("hush"));
}

#[test]
fn old_chains_that_drain_are_passed_over() {
    let body = br#"{"configs":[{"@type":"x","name":"virtualInbound",
        "active_state":{"listener":{"filter_chains":[{"name":"new"}]}},
        "draining_state":{"listener":{"filter_chains":[{"name":"old"},{"name":"older"}]}},
        "warming_state":{"listener":{"filter_chains":[{"name":"next"}]}}}]}"#;
    assert_eq!(whole::<ListenersPage>(body).unwrap().chains.len(), 1);
}

#[test]
fn masked_copies_of_one_rejection_are_one() {
    let body = br#"{"configs":[{"@type":"x","name":"a","active_state":{"last_updated":"t"},
            "error_state":{"details":"why","last_update_attempt":"t"}},
        {"@type":"x","name":"b","error_state":{"details":"why"}},
        {"@type":"x","error_state":{"details":"why"}},
        {"@type":"x","error_state":{"details":"why"}}]}"#;
    let rejected = whole::<ListenersPage>(body).unwrap().rejected;
    let names: Vec<&str> = rejected.iter().map(|rejected| rejected.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(rejected[0].is_served && !rejected[1].is_served);
}

#[test]
fn strange_parts_lose_themselves_alone() {
    let body = br#"{"configs":[null,7,{"@type":null,"name":7,"active_state":{"listener":{
        "address":7,"filter_chains":[null,7,{"filters":[null,{"name":null,"typed_config":7},
        {"name":"envoy.filters.network.tcp_proxy","typed_config":{"cluster":"c"}}]}]}},
        "error_state":null}]}"#;
    let read = whole::<ListenersPage>(body).unwrap();
    assert_eq!(read.chains.len(), 3);
    assert_eq!(read.chains[2].cluster.as_deref(), Some("c"));
    assert!(read.rejected.is_empty());
}
