//! `meshim doctor` proves by the kernel's sockets which connections go past the proxy: held against
//! Istio's rules, with and without exclusions.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; a test reaps what it starts"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

use super::pod::{CLIENT_V4, Families, POD_V4, Pod, in_a_pod};
use super::sidecar::{Admin, Forwards, Sidecar};
use crate::support::envoy;
use crate::support::meshim::Meshim;
use crate::support::shared::poll;

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// What the doctor says about connections past the proxy.
fn past_the_proxy() -> Vec<(String, String)> {
    let ended = Meshim::does("doctor").with(["--output=json"]).run();
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    let of_capture = findings.filter(|finding| finding["code"] == "traffic-bypasses-proxy");
    of_capture.map(|finding| (text(&finding["severity"]), text(&finding["seen"]))).collect()
}

/// As an `exclude…Ports` annotation adds it (istio-iptables).
fn exclude(chain: &str, port: u16) {
    let rule = format!("-t nat -I {chain} -p tcp --dport {port} -j RETURN");
    let added = Command::new("iptables").args(rule.split(' ')).status();
    assert!(added.expect("the rules were loaded with it").success(), "{rule}");
}

/// A connection of the application's to a port of the client's, held by both ends.
fn connection_out(pod: &Pod, port: u16) -> (TcpStream, TcpStream) {
    let server = pod.as_client(|| TcpListener::bind(at(CLIENT_V4, port)).expect("a free port"));
    let stream = TcpStream::connect(at(CLIENT_V4, port)).expect("the rules let it through");
    let (accepted, _) = server.accept().expect("through the proxy or not, it arrives");
    (stream, accepted)
}

/// A connection of the client's to a port of the application's.
fn connection_in(pod: &Pod, port: u16) -> (TcpStream, TcpStream) {
    let server = TcpListener::bind(at("0.0.0.0", port)).expect("a free port");
    let stream = pod.as_client(|| TcpStream::connect(at(POD_V4, port)).expect("it listens"));
    let (accepted, _) = server.accept().expect("through the proxy or not, it arrives");
    // The port stays the application's: an accepted socket alone would look like an outbound one.
    std::mem::forget(server);
    (stream, accepted)
}

#[test]
fn captured_connections_are_told_from_those_past_the_proxy() {
    envoy::binary();
    in_a_pod(Families::V4, |pod| {
        let _sidecar = Sidecar::start(&pod, 8080, Forwards::ToThePod, Admin::Open);
        let _captured = (connection_out(&pod, 9000), connection_in(&pod, 7000));
        assert_eq!(past_the_proxy(), []);
        exclude("ISTIO_OUTPUT", 9001);
        exclude("ISTIO_INBOUND", 9999);
        let _past = (connection_out(&pod, 9001), connection_in(&pod, 9999));
        let told = poll(|| Some(past_the_proxy()).filter(|told| !told.is_empty()));
        let text = format!(
            "2 connections of this pod go past the proxy: to {CLIENT_V4}:9001 and from {CLIENT_V4} \
             to port 9999"
        );
        assert_eq!(told.expect("they are there"), [("warning".to_owned(), text)]);
    });
}
