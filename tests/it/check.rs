//! `meshim check` as the question "is this pod all right from inside?": the proxy's state first,
//! then what goes past the proxy, from the application's container and from a debug container.

use std::net::TcpListener;

use serde_json::json;

use crate::support::envoy::{self, Bootstrap, Envoy};
use crate::support::istio::{Admin, clusters, codes, not_seen, original_dst, read, server_info_of};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;
use crate::support::xds::LateXds;

const LOOPBACK: &str = "listens-on-loopback-only";

#[test]
fn the_state_that_a_wait_would_see_is_the_first_finding() {
    inside(|| {
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let admin = Admin::naming(&[8080]);
        for (word, cause) in [("PRE_INITIALIZING", "is istiod reachable"), ("DRAINING", "draining")]
        {
            admin.proxy.says("/ready", Reply::not_ready(word));
            let report = read(&admin.check().run().expect_code(1));
            assert_eq!(codes(&report), [("proxy-not-ready", "error"), (LOOPBACK, "error")]);
            let finding = report["findings"][0].to_string();
            assert!(finding.contains(word) && finding.contains(cause), "{finding}");
        }
    });
}

#[test]
fn a_real_envoy_is_judged_by_what_it_says_from_its_start_to_its_end() {
    envoy::binary();
    inside(|| {
        let xds = LateXds::new();
        let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()));
        let url = envoy.admin_url();
        let check = |code: i32| {
            let check = Meshim::does("check").with(["--output=json", "--admin-url", &url]);
            read(&check.run().expect_code(code))
        };
        xds.wait_until_asked();
        let report = check(1);
        assert_eq!(codes(&report), [("proxy-not-ready", "error")]);
        assert!(report["findings"][0].to_string().contains("PRE_INITIALIZING"), "{report}");
        xds.release_clusters();
        xds.release_listeners();
        poll(|| (envoy.asks("GET", "/ready").0 == 200).then_some(()));
        assert_eq!(codes(&check(0)), []);
        envoy.asks("POST", "/healthcheck/fail");
        let report = check(1);
        assert_eq!(codes(&report), [("proxy-not-ready", "error")]);
        assert!(report["findings"][0].to_string().contains("the proxy is draining"), "{report}");
        nix::sys::signal::kill(envoy.pid(), nix::sys::signal::Signal::SIGKILL).expect("it runs");
        poll(|| envoy.has_ended().then_some(()));
        assert_eq!(codes(&check(1)), [("proxy-gone", "error")]);
    });
}

#[test]
fn a_proxy_that_is_gone_is_an_error_and_so_is_one_that_hangs() {
    inside(|| {
        let mut admin = Admin::naming(&[]);
        admin.proxy.says("/ready", Reply::Silence);
        let hung = admin.check().with(["--request-timeout=300ms"]).run().expect_code(1);
        assert_eq!(codes(&read(&hung)), [("proxy-not-ready", "error")]);
        admin.proxy.close();
        let report = read(&admin.check().run().expect_code(1));
        assert_eq!(codes(&report), [("proxy-gone", "error")]);
        // What could not be looked at beside it is said as well.
        assert_eq!(report["could_not_look"].as_array().map(Vec::len), Some(4), "{report}");
    });
}

#[test]
fn no_mesh_is_information_and_no_error() {
    inside(|| {
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let auto = Meshim::does("check").with(["--output=json"]).run().expect_code(0);
        assert_eq!(codes(&read(&auto)), [("no-mesh", "info")]);
        let none = Meshim::does("check").with(["--mesh=none", "--output=json"]).run();
        assert_eq!(codes(&read(&none.expect_code(0))), []);
        // Unless the injector says that there has to be one.
        let injected = |value: &str| {
            Meshim::does("check").with(["--output=json"]).env("MESHIM_INJECTED", value).run()
        };
        let gone = injected("{\"containers\":[\"istio-proxy\"]}").expect_code(1);
        assert_eq!(codes(&read(&gone)), [("proxy-gone", "error")]);
        assert_eq!(codes(&read(&injected("").expect_code(0))), [("no-mesh", "info")]);
    });
}

#[test]
fn nothing_is_advised_about_a_proxys_port_where_no_mesh_is_known() {
    inside(|| {
        // One port of Istio's alone shows nobody.
        let _envoy = TcpListener::bind("127.0.0.1:15000").unwrap();
        let declared = ["--output=json", "--listen=0.0.0.0:15000"];
        for options in [&declared[..1], &declared] {
            let report = Meshim::does("check").with(options.iter().copied()).run().expect_code(0);
            assert_eq!(codes(&read(&report)), [("no-mesh", "info")]);
        }
    });
}

#[test]
fn from_a_debug_container_every_socket_that_may_be_the_applications_is_judged() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        // No Service names it: who knows whose it is, and what for?
        let _another = TcpListener::bind("127.0.0.1:9000").unwrap();
        // Its own processes and mounts, as `kubectl debug` makes it; the pod's processes and its
        // own mounts, as with `--target` or `shareProcessNamespace`.
        let own = ["unshare", "-pf", "--kill-child", "--mount-proc"];
        for container in [&own[..], &["unshare", "-m"]] {
            let check = admin.check().behind(container.iter().copied());
            let report = read(&check.run().expect_code(0));
            assert_eq!(codes(&report), [(LOOPBACK, "warning")], "{container:?}");
            assert!(not_seen(&report).contains("is it a debug container?"), "{report}");
            assert_eq!(report["ok"], false, "{report}");
            let listening = report["facts"]["listening"].as_str().unwrap();
            assert!(listening.contains("or of other containers"), "{listening}");
        }
        let text = admin.check().behind(own).with(["--output=text"]).run().expect_code(0).stdout;
        let verdict = "no error seen, 1 warning; 1 of 6 checks could not look (listen addresses)\n";
        assert!(text.starts_with(verdict), "{text}");
    });
}

#[test]
fn what_did_not_matter_is_not_told() {
    inside(|| {
        let admin = Admin::naming(&[]);
        // Without capabilities the descriptors of other processes are closed to it.
        let bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
        let report = read(&admin.check().behind(bare).run().expect_code(0));
        assert_eq!((codes(&report), not_seen(&report).as_str()), (vec![], "[]"));
        assert_eq!(report["ok"], true, "{report}");
    });
}

#[test]
fn a_service_port_that_is_excluded_from_the_mesh_is_told() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        admin.proxy.says(
            "/server_info",
            server_info_of(&json!({
                "ISTIO_VERSION": "1.24.0", "INSTANCE_IPS": "10.0.0.5",
                "ANNOTATIONS": { "traffic.sidecar.istio.io/excludeInboundPorts": "8080" },
            })),
        );
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let report = read(&admin.check().run().expect_code(1));
        let expected = [(LOOPBACK, "error"), ("port-excluded-from-mesh", "warning")];
        assert_eq!(codes(&report), expected);
        assert!(!report["findings"].to_string().contains("the proxy hands"), "{report}");
    });
}

#[test]
fn uncaptured_ipv6_is_told() {
    inside(|| {
        let admin = Admin::naming(&[]);
        let _inbound = TcpListener::bind("0.0.0.0:15006").unwrap();
        let _app = TcpListener::bind("[::]:8080").unwrap();
        admin.proxy.says(
            "/server_info",
            server_info_of(&json!({
                "ISTIO_VERSION": "1.24.0", "INSTANCE_IPS": "10.0.0.5,fd00::5",
            })),
        );
        // Behind its own mounts, or the test would be taken for an application on the proxy's port.
        let check = admin.check().behind(["unshare", "-m"]);
        let report = read(&check.run().expect_code(0));
        assert_eq!(codes(&report), [("ipv6-bypasses-proxy", "warning")]);
    });
}

#[test]
fn the_unix_socket_that_gets_a_ports_traffic_is_named() {
    inside(|| {
        let admin = Admin::naming(&[]);
        let _app = TcpListener::bind("0.0.0.0:8080").unwrap();
        let pipe = json!({ "address": { "pipe": { "path": "/tmp/shop.sock" } } });
        let endpoints = json!([{ "lb_endpoints": [{ "endpoint": pipe }] }]);
        let cluster = json!({ "cluster": {
            "name": "inbound|8080||", "load_assignment": { "endpoints": endpoints },
        } });
        let configs = json!({ "configs": [cluster, original_dst("InboundPassthroughCluster")] });
        admin.proxy.says("/config_dump", Reply::envoy(200, configs.to_string()));
        let report = read(&admin.check().run().expect_code(0));
        assert_eq!(codes(&report), [("port-goes-to-unix-socket", "warning")]);
        assert!(report["findings"][0].to_string().contains("/tmp/shop.sock"), "{report}");
    });
}

#[test]
fn a_declared_address_of_which_somebody_holds_a_part_keeps_the_application_from_starting() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let (url, ready) = (admin.url(), format!("{}:/ready", admin.url()));
        let run = |listen: &str| {
            Meshim::starts(["echo", "started"])
                .with(["--mesh=istio", "--admin-url", &url, "--ready-url", &ready])
                .with(["--listen", listen])
                .env("PATH", "/usr/bin:/bin")
                .behind(["unshare", "-m"])
        };
        let _other = TcpListener::bind("127.0.0.1:8080").unwrap();
        let ended = run("0.0.0.0:8080").run().expect_code(125);
        assert_eq!(ended.stdout, "");
        ended.expect_stderr(&["listens on 127.0.0.1, port 8080", "EADDRINUSE", "[port-in-use]"]);
        assert_eq!(run("10.0.0.5:8080").run().expect_code(0).stdout, "started\n");
    });
}

#[test]
fn linkerds_listen_addresses_are_judged_as_istios() {
    inside(|| {
        let proxy = StandIn::on_port(4191);
        proxy.says("/ready", Reply::plain(200, "ready\n"));
        let _inbound = TcpListener::bind("0.0.0.0:4143").unwrap();
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let check = Meshim::does("check")
            .with(["--mesh=linkerd", "--output=json"])
            .env("PATH", "/usr/bin:/bin")
            .behind(["unshare", "-m"]);
        let report = read(&check.run().expect_code(0));
        let inbound = report["facts"]["inbound_traffic"].as_str().unwrap_or_default();
        assert!(inbound.starts_with("to the pod's address"), "{report}");
    });
}

#[test]
fn a_null_in_server_info_loses_no_other_fact() {
    inside(|| {
        let admin = Admin::naming(&[]);
        admin.proxy.says("/config_dump", clusters(&[])).says(
            "/server_info",
            server_info_of(&json!({
                "ISTIO_VERSION": "1.24.0", "INSTANCE_IPS": "10.0.0.5", "ANNOTATIONS": null,
                "LABELS": null, "PROXY_CONFIG": { "terminationDrainDuration": null },
            })),
        );
        let report = read(&admin.check().run().expect_code(0));
        assert_eq!(report["facts"]["mesh"], "istio 1.24.0");
        assert_eq!(report["facts"]["pod_addresses"], "10.0.0.5");
    });
}
