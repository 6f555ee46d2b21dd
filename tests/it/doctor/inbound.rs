//! What arrives at the application: authorization, plaintext, protocols, rejected listeners.

use std::net::TcpStream;

use serde_json::{Value, json};

use super::config::{
    Config, Pod, all_to, chain, findings, http, nobody, plain_chain, rbac, seen, tcp, tcp_rbac,
    troubles,
};
use crate::support::envoy::binary;
use crate::support::namespace::inside;
use crate::support::shared::poll;

fn inbound(filters: &[Value], more: &Value) -> Value {
    http(&all_to("inbound|8080||"), filters, more)
}

#[test]
fn ports_that_admit_nobody_are_named_and_really_refuse() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let policy = nobody("ns[shop]-policy[allow-nothing]-rule[0]");
        let refused = inbound(&[rbac(&policy)], &json!({}));
        let custom = json!({ "action": "DENY", "policies": {
            "istio-ext-authz-nosuch-ns[shop]-policy[ext]-rule[0]-deny-due-to-bad-CUSTOM-action": {
                "permissions": [{ "and_rules": { "rules": [{ "any": true }] } }],
                "principals": [{ "and_ids": { "ids": [{ "any": true }] } }],
            },
        } });
        let to = |cluster: &str| tcp(cluster);
        config.chains = vec![
            plain_chain(8080, std::slice::from_ref(&refused)),
            chain(8080, &[refused]),
            plain_chain(9000, &[tcp_rbac(&json!({})), to("inbound|8080||")]),
            plain_chain(9001, &[tcp_rbac(&custom), to("inbound|8080||")]),
            plain_chain(9002, &[to("inbound|8080||")]),
        ];
        let pod = Pod::start(&config);
        assert_eq!(pod.is_called(8080, "/").0, 403);
        assert_eq!(pod.is_called(9000, "/"), (0, String::new()));
        assert_eq!(pod.is_called(9001, "/"), (0, String::new()));
        assert_eq!(pod.is_called(9002, "/").0, 200);
        let report = pod.report(&[]);
        assert_eq!(
            troubles(&report),
            [
                ("authorization-denies-all", "error"),
                ("authorization-denies-all", "error"),
                ("authorization-denies-all", "warning"),
            ],
            "{report:#}"
        );
        let all = seen(&report, "authorization-denies-all").join("\n");
        for part in [
            "port 8080 admits nobody: AuthorizationPolicy shop/allow-nothing is ALLOW and has no \
             rules",
            "port 9000 admits nobody: none of its ALLOW policies has a rule that can match there",
            "AuthorizationPolicy shop/ext is CUSTOM, and its provider nosuch is not there",
        ] {
            assert!(all.contains(part), "{part} is not in {all}");
        }
        let denied = &findings(&report, "authorization-denies-all")[0]["numbers"]["denied"];
        assert!(denied.as_u64().unwrap() >= 1, "{report:#}");
    });
}

#[test]
fn permissive_and_sniffed_ports_are_told() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let manager = inbound(&[], &json!({}));
        let mut sniffed = plain_chain(3307, std::slice::from_ref(&manager));
        sniffed["filter_chain_match"]["application_protocols"] = json!(["http/1.1", "h2c"]);
        config.chains = vec![
            chain(8080, std::slice::from_ref(&manager)),
            plain_chain(8080, &[manager]),
            sniffed,
            plain_chain(3307, &[tcp("inbound|8080||")]),
        ];
        config.metadata["POD_PORTS"] = r#"[{"name":"mysql","containerPort":3307}]"#.into();
        let pod = Pod::start(&config);
        // Plaintext really arrives.
        assert_eq!(pod.is_called(8080, "/").0, 200);
        let report = pod.report(&[]);
        assert_eq!(troubles(&report), [("port-protocol-sniffed", "warning")], "{report:#}");
        let open = seen(&report, "plaintext-accepted");
        assert!(open[0].starts_with("port 8080 is PERMISSIVE"), "{open:?}");
        let sniffed = seen(&report, "port-protocol-sniffed");
        assert!(
            sniffed[0].starts_with("port 3307 is sniffed, and looks like mysql"),
            "{sniffed:?}"
        );
    });
}

#[test]
fn a_rejected_listener_is_named_with_its_reason_and_without_its_secrets() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let pod = Pod::start(&config);
        let broken = json!({ "default_source_code": {
            "inline_string": "function envoy_on_request( -- hush-lua",
        } });
        let lua = super::config::filter(
            "envoy.filters.http.lua",
            "extensions.filters.http.lua.v3.Lua",
            broken,
        );
        let at = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 9081 } });
        config.chains = vec![chain(8080, &[inbound(std::slice::from_ref(&lua), &json!({}))])];
        config.listeners = vec![json!({
            "name": "brand-new", "address": at,
            "filter_chains": [{ "filters": [inbound(&[lua], &json!({}))] }],
        })];
        pod.update(&config);
        let rejected = poll(|| {
            let (_, stats) = pod.envoy.asks("GET", "/stats?filter=lds.update_rejected");
            stats.contains("update_rejected: 1").then_some(())
        });
        rejected.unwrap_or_else(|| panic!("{}", pod.envoy.log()));
        assert!(TcpStream::connect("127.0.0.1:9081").is_err());
        assert_eq!(pod.calls("/").0, 200);
        let report = pod.report(&[]);
        assert_eq!(troubles(&report), [("config-rejected", "error")], "{report:#}");
        let seen = seen(&report, "config-rejected")[0];
        for part in ["virtualInbound", "brand-new", "script load error"] {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
        assert!(!report.to_string().contains("hush"), "{report:#}");
        pod.update(&Config::healthy());
        let gone = poll(|| troubles(&pod.report(&[])).is_empty().then_some(()));
        gone.unwrap_or_else(|| panic!("{:#}", pod.report(&[])));
    });
}

#[test]
fn tracing_of_everything_is_told() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let tracing = json!({ "tracing": { "random_sampling": { "value": 100 } } });
        config.chains = vec![chain(8080, &[inbound(&[], &tracing)])];
        let report = Pod::start(&config).report(&[]);
        assert_eq!(seen(&report, "tracing-samples-all"), ["the proxy traces 100% of the requests"]);
        assert_eq!(troubles(&report), []);
    });
}
