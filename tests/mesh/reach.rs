//! Every row of the table of listen addresses: does traffic through the mesh arrive, and does
//! meshim say so?

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::application::{Application, answers};
use super::pod::{Families, POD_V4, POD_V6, Pod, in_a_pod};
use super::sidecar::{Admin, Forwards, Sidecar};
use crate::support::envoy;
use crate::support::meshim::Meshim;

const PORT: u16 = 8080;

/// Where the application may listen: the address, and whether an IPv6 socket leaves IPv4 out.
const ROWS: [(&str, bool); 7] = [
    ("0.0.0.0", false),
    ("::", false),
    ("::", true),
    ("127.0.0.1", false),
    ("::1", false),
    (POD_V4, false),
    (POD_V6, false),
];

/// How much of the clients' traffic arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrives {
    All,
    Partly,
    None,
}

fn measured(pod: &Pod) -> Arrives {
    let each: Vec<bool> =
        pod.addresses().into_iter().map(|ip| pod.as_client(|| answers(ip, PORT))).collect();
    match each.iter().filter(|arrived| **arrived).count() {
        0 => Arrives::None,
        count if count == each.len() => Arrives::All,
        _ => Arrives::Partly,
    }
}

/// What `meshim check` says about the port.
fn judged(admin: Admin) -> Arrives {
    let ended = Meshim::does("check").env("MESHIM_OUTPUT", "json").run();
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    // A locked page is no error, and never ok.
    let is_ok = ended.code == Some(0) && admin == Admin::Open;
    assert_eq!(report["ok"].as_bool(), Some(is_ok), "{report:#}");
    let basis = if admin == Admin::Open {
        "read from the proxy's inbound clusters"
    } else {
        "by Istio's version 1."
    };
    assert!(
        report["facts"]["inbound_traffic"].as_str().is_some_and(|text| text.contains(basis)),
        "{report:#}"
    );
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.len() <= 1, "only the application's one port is to be judged: {report:#}");
    let Some(finding) = findings.first() else { return Arrives::All };
    assert!(finding["seen"].as_str().is_some_and(|seen| seen.ends_with("port 8080")), "{report:#}");
    match (finding["code"].as_str(), finding["severity"].as_str(), admin) {
        (Some("listens-on-one-family-only"), Some("warning"), _) => Arrives::Partly,
        (Some(_), Some("error"), Admin::Open) | (Some(_), Some("warning"), Admin::VersionOnly) => {
            Arrives::None
        }
        _ => panic!("{report:#}"),
    }
}

/// What `--listen` says before start.
fn announced(address: SocketAddr) -> Arrives {
    let ended = Meshim::starts(["echo", "started"]).with(["--listen", &address.to_string()]).run();
    match (ended.code, ended.stdout.as_str()) {
        (Some(125), "") => Arrives::None,
        (Some(0), "started\n") if ended.stderr.contains("listens-on-one-family-only") => {
            Arrives::Partly
        }
        (Some(0), "started\n") if !ended.stderr.contains("listens") => Arrives::All,
        _ => panic!("{ended:#?}"),
    }
}

/// Holds every row against the truth, and the truth against what it was when this was written.
fn every_row(pod: &Pod, forwards: Forwards, admin: Admin, expected: &[Arrives]) {
    let _sidecar = Sidecar::start(pod, PORT, forwards, admin);
    Meshim::does("wait").run().expect_code(0).expect_stderr(&["mesh=istio"]);
    let mut truth = Vec::new();
    for (ip, v6only) in ROWS {
        let ip: IpAddr = ip.parse().expect("an address");
        if !ip.is_loopback() && !ip.is_unspecified() && !pod.addresses().contains(&ip) {
            continue;
        }
        let address = SocketAddr::new(ip, PORT);
        let application = Application::on(address, v6only);
        let arrives = measured(pod);
        assert_eq!(
            judged(admin),
            arrives,
            "meshim check is wrong about {address} (v6only: {v6only})"
        );
        drop(application);
        // Nobody can announce that a socket will be IPv6 only.
        if !v6only {
            assert_eq!(announced(address), arrives, "--listen {address} is wrong");
        }
        truth.push(arrives);
    }
    assert_eq!(truth, expected, "this kernel, or this Envoy, forwards otherwise than documented");
}

use Arrives::{All, None as No, Partly};

#[test]
fn an_ipv4_pod_with_traffic_to_its_address() {
    envoy::binary();
    in_a_pod(Families::V4, |pod| {
        every_row(&pod, Forwards::ToThePod, Admin::Open, &[All, All, No, No, No, All]);
    });
}

#[test]
fn an_ipv4_pod_with_traffic_to_loopback() {
    envoy::binary();
    in_a_pod(Families::V4, |pod| {
        every_row(&pod, Forwards::ToLoopback, Admin::Open, &[All, All, No, All, No, No]);
    });
}

#[test]
fn an_ipv6_pod_with_traffic_to_its_address() {
    envoy::binary();
    in_a_pod(Families::V6, |pod| {
        every_row(&pod, Forwards::ToThePod, Admin::Open, &[No, All, All, No, No, All]);
    });
}

#[test]
fn an_ipv6_pod_with_traffic_to_loopback() {
    envoy::binary();
    in_a_pod(Families::V6, |pod| {
        every_row(&pod, Forwards::ToLoopback, Admin::Open, &[No, All, All, No, All, No]);
    });
}

#[test]
fn a_dual_stack_pod_with_traffic_to_its_addresses() {
    envoy::binary();
    in_a_pod(Families::Dual, |pod| {
        every_row(
            &pod,
            Forwards::ToThePod,
            Admin::Open,
            &[Partly, All, Partly, No, No, Partly, Partly],
        );
    });
}

#[test]
fn a_dual_stack_pod_with_traffic_to_loopback() {
    envoy::binary();
    in_a_pod(Families::Dual, |pod| {
        every_row(&pod, Forwards::ToLoopback, Admin::Open, &[All, All, No, All, No, No, No]);
    });
}

#[test]
fn where_only_the_version_can_be_read_it_decides_rightly() {
    envoy::binary();
    if envoy::minor_version() < 37 {
        return;
    }
    in_a_pod(Families::V4, |pod| {
        every_row(&pod, Forwards::ToThePod, Admin::VersionOnly, &[All, All, No, No, No, All]);
    });
}

#[test]
fn where_only_an_old_version_can_be_read_it_decides_rightly() {
    envoy::binary();
    if envoy::minor_version() < 37 {
        return;
    }
    in_a_pod(Families::V4, |pod| {
        every_row(&pod, Forwards::ToLoopback, Admin::VersionOnly, &[All, All, No, All, No, No]);
    });
}
