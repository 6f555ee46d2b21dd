use super::*;
use crate::core::findings::doctor::fixtures::{fixture, healthy};

/// `tcp  10.66.0.10:15006 <-> 10.66.0.40:36186 uid 1337`, of real pods.
fn connections(text: &[u8]) -> Vec<Connection> {
    let text = std::str::from_utf8(text).unwrap();
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = |text: &str| -> SocketAddr {
            let address: SocketAddr = text.parse().unwrap();
            SocketAddr::new(address.ip().to_canonical(), address.port())
        };
        let local = address(words.nth(1)?);
        let remote = address(words.nth(1)?);
        let uid = words.nth(1)?.parse().ok()?;
        Some(Connection {
            local,
            remote,
            state: TcpState::Established,
            uid,
            inode: 1,
            unsent: 0,
            unread: 0,
            traffic: None,
        })
    };
    text.lines().filter(|text| text.starts_with("tcp")).filter_map(line).collect()
}

/// The pod of the recordings: the application on 8080, clients .20 and .40.
fn pages(text: &[u8], proxy_uid: u32) -> Pages {
    let mut pages = healthy();
    pages.sockets = Ok(PodSockets {
        connections: connections(text),
        listening: ["0.0.0.0:8080", "0.0.0.0:15001", "0.0.0.0:15006"]
            .map(|address| address.parse().unwrap())
            .to_vec(),
        addresses: ["10.66.0.10", "fd66::10"].map(|ip| ip.parse().unwrap()).to_vec(),
        proxy_uid: Some(proxy_uid),
        is_cut: false,
    });
    pages
}

fn seen(pages: &Pages) -> Vec<(Severity, String)> {
    let found = judge(pages).unwrap().found;
    found.into_iter().map(|found| (found.finding.severity, found.finding.seen)).collect()
}

#[test]
fn every_captured_connection_of_real_pods_is_known_as_one() {
    let table = [
        ("dual stack", &fixture!("redirect-dual-stack.connections.txt")[..], 1337),
        ("nftables", &fixture!("redirect-native-nftables.connections.txt")[..], 1337),
    ];
    for (name, text, uid) in table {
        assert_eq!(seen(&pages(text, uid)), [], "{name}");
    }
}

#[test]
fn an_ipv4_first_pod_loses_its_ipv6_traffic() {
    let pages = pages(fixture!("redirect-iptables.connections.txt"), 1337);
    let found = judge(&pages).unwrap().found;
    let [only] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(only.finding.severity, Severity::Warning);
    assert!(only.finding.seen.contains("to [fd66::30]:9080 and from fd66::40 to port 8080"));
    assert!(only.finding.remedy.contains("dual stack"), "{only:?}");
    assert_eq!(only.numbers[1], ("captured", 1));
}

/// There the proxy is root, and an application as user 1337 is not the proxy.
#[test]
fn under_tproxy_a_pair_of_sockets_proves_capture() {
    let seen = seen(&pages(fixture!("tproxy.connections.txt"), 0));
    let text = "3 connections of this pod go past the proxy: to 10.66.0.30:9080, to \
                [fd66::30]:9080 and from fd66::40 to port 8080";
    assert_eq!(seen, [(Severity::Warning, text.to_owned())]);
}

/// The excluded ports 3306 and 9999 of a pod that was made for it, 10.77.0.2.
const EXCLUDED: &[u8] = b"\
tcp 127.0.0.6:58716 <-> 10.66.0.10:8080 uid 1337
tcp 10.66.0.10:8080 <-> 127.0.0.6:58716 uid 10001
tcp 10.66.0.10:9999 <-> 10.77.0.1:36628 uid 10001
tcp 10.66.0.10:49966 <-> 10.77.0.9:8080 uid 10001
tcp 127.0.0.1:15001 <-> 10.66.0.10:49966 uid 1337
tcp 10.66.0.10:49968 <-> 10.77.0.9:8080 uid 1337
tcp 10.66.0.10:56278 <-> 10.66.0.10:8080 uid 10001
tcp 10.66.0.10:8080 <-> 10.66.0.10:56278 uid 10001
tcp 10.66.0.10:59840 <-> 10.77.0.9:3306 uid 10001
";

#[test]
fn what_an_annotation_says_is_information_and_the_rest_a_warning() {
    let mut pages = pages(EXCLUDED, 1337);
    pages.sockets.as_mut().unwrap().listening.push("0.0.0.0:9999".parse().unwrap());
    let warning = "2 connections of this pod go past the proxy: to 10.77.0.9:3306 and from \
                   10.77.0.1 to port 9999";
    assert_eq!(seen(&pages), [(Severity::Warning, warning.to_owned())]);
    let annotations = &mut pages.manifest.as_mut().unwrap().annotations;
    annotations.excluded_outbound = Ports::Some(vec![3306]);
    let seen_now = seen(&pages);
    assert_eq!(
        seen_now.iter().map(|seen| seen.0).collect::<Vec<_>>(),
        [Severity::Warning, Severity::Info]
    );
    assert!(seen_now[1].1.contains("as the pod's annotations say: to 10.77.0.9:3306"));
    let annotations = &mut pages.manifest.as_mut().unwrap().annotations;
    annotations.included_inbound = Ports::Some(vec![8080]);
    assert_eq!(seen(&pages).iter().map(|seen| seen.0).collect::<Vec<_>>(), [Severity::Info]);
}

#[test]
fn where_nothing_is_captured_the_rules_are_not_there() {
    let text =
        b"tcp 10.66.0.10:1 <-> 10.77.0.9:80 uid 10001\ntcp 10.66.0.10:2 <-> 10.77.0.8:80 uid 10001";
    let found = judge(&pages(text, 1337)).unwrap().found;
    assert_eq!(found[0].finding.severity, Severity::Error);
    assert!(found[0].finding.remedy.contains("istio-init"));
}

#[test]
fn where_the_application_talks_to_the_proxy_by_itself_nothing_is_proved() {
    let mut pages = pages(EXCLUDED, 1337);
    pages.manifest.as_mut().unwrap().interception = Interception::None;
    assert!(matches!(judge(&pages), Err(NotSeen::Hidden(_))));
    pages.mesh = Mesh::Envoy;
    assert!(matches!(judge(&pages), Err(NotSeen::AnotherMesh(Mesh::Envoy))));
}
