use super::*;
use crate::core::envoy::annotations::Ports;
use crate::core::envoy::inbound_clusters::{InboundClusters, Target};
use crate::core::envoy::manifest::{Interception, Manifest};
use crate::core::findings::codes::Code;
use crate::core::findings::pod::Requested;

fn socket(address: &str, uid: u32, holder: Holder) -> Socket {
    Socket { bound: Bound { address: address.parse().unwrap(), v6only: Some(false) }, uid, holder }
}

fn app(address: &str) -> Socket {
    socket(address, 1000, Holder::Here { command: "app".to_owned(), pid: 7 })
}

/// An Istio pod with the address 10.0.0.5, whose proxy says nothing.
fn unseen() -> Pod {
    let mut pod = Pod::of(Proxy::of(Mesh::Istio));
    pod.addresses.own = vec!["10.0.0.5".parse().unwrap()];
    pod.in_its_container = true;
    pod
}

/// The same where Services name these ports, each with its target.
fn to(inbound: &[(u16, Target)]) -> Pod {
    let named =
        inbound.iter().map(|(port, target)| Inbound { port: *port, target: target.clone() });
    let clusters = InboundClusters { named: named.collect(), passthrough: Some(Target::Pod) };
    Pod { clusters: Requested::Said(clusters), ..unseen() }
}

fn named(ports: &[u16]) -> Pod {
    to(&ports.iter().map(|port| (*port, Target::Pod)).collect::<Vec<_>>())
}

/// The same of a version that forwards to loopback.
fn loopback() -> Pod {
    let mut manifest = Manifest::default();
    manifest.server.istio_version = Some("1.9.0".to_owned());
    Pod { manifest: Requested::Said(manifest), ..unseen() }
}

fn judged(sockets: &[Socket], declared: &[&str], pod: &Pod) -> Vec<Finding> {
    let mut pod = pod.clone();
    pod.sockets.all = sockets.to_vec();
    pod.declared = declared.iter().map(|address| address.parse().unwrap()).collect();
    for_real(&pod).findings
}

fn before(held: &[Socket], declared: &[&str], pod: &Pod) -> Vec<Finding> {
    let mut pod = pod.clone();
    pod.sockets.all = held.to_vec();
    pod.declared = declared.iter().map(|address| address.parse().unwrap()).collect();
    before_start(&pod).findings
}

fn short(findings: &[Finding]) -> Vec<(Code, Severity)> {
    findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[test]
fn a_port_is_the_worse_the_surer_it_is_that_somebody_wants_it() {
    let loopback = [app("127.0.0.1:80")];
    let code = Code::ListensOnLoopbackOnly;
    assert_eq!(short(&judged(&loopback, &[], &named(&[80]))), [(code, Severity::Error)]);
    assert_eq!(short(&judged(&loopback, &["0.0.0.0:80"], &unseen())), [(code, Severity::Error)]);
    assert_eq!(short(&judged(&loopback, &[], &unseen())), [(code, Severity::Warning)]);
    assert_eq!(short(&judged(&loopback, &[], &named(&[]))), [(code, Severity::Info)]);
}

#[test]
fn what_arrives_is_no_finding() {
    for address in ["0.0.0.0:80", "[::]:80", "10.0.0.5:80"] {
        assert_eq!(judged(&[app(address)], &[address], &named(&[80])), []);
    }
    let both = [app("127.0.0.1:80"), app("10.0.0.5:80")];
    assert_eq!(judged(&both, &[], &named(&[80])), []);
}

#[test]
fn each_way_to_miss_the_traffic_has_its_own_name() {
    let table = [
        ("127.0.0.1:80", unseen(), Code::ListensOnLoopbackOnly),
        ("[::1]:80", unseen(), Code::ListensOnLoopbackOnly),
        ("10.0.0.5:80", loopback(), Code::ListensOnPodAddressOnly),
        ("[::1]:80", loopback(), Code::ListensOnTheWrongFamily),
        ("10.9.9.9:80", unseen(), Code::ListensElsewhere),
        ("127.0.0.2:80", loopback(), Code::ListensOnTheWrongFamily),
        ("0.0.0.0:15090", unseen(), Code::PortIsTheProxys),
    ];
    for (address, forwarding, code) in table {
        assert_eq!(short(&judged(&[app(address)], &[], &forwarding))[0].0, code, "{address}");
        assert_eq!(
            short(&before(&[], &[address], &forwarding)),
            [(code, Severity::Error)],
            "{address}"
        );
    }
    let v6only = Socket {
        bound: Bound { address: "[::]:80".parse().unwrap(), v6only: Some(true) },
        ..app("[::]:80")
    };
    assert_eq!(short(&judged(&[v6only], &[], &named(&[80])))[0].0, Code::ListensOnTheWrongFamily);
}

#[test]
fn only_the_applications_sockets_are_judged() {
    let others = [
        socket("127.0.0.1:15000", 1337, Holder::Unseen),
        socket("127.0.0.1:34567", 1337, Holder::Elsewhere),
        socket("127.0.0.1:9000", 1000, Holder::Nobody),
    ];
    assert_eq!(judged(&others, &[], &unseen()), []);
}

#[test]
fn a_port_that_is_wanted_and_that_nobody_has_is_told() {
    let table = [(&["0.0.0.0:80"][..], Severity::Error), (&[], Severity::Warning)];
    for (declared, severity) in table {
        let found = judged(&[app("0.0.0.0:81")], declared, &named(&[80]));
        assert_eq!(short(&found), [(Code::NobodyListens, severity)]);
        assert_eq!(found[0].source, "read from this proxy's inbound clusters");
    }
    // Where no proxy has told of a port, none is the source.
    for pod in [Pod { proxy: Proxy::of(Mesh::None), ..unseen() }, unseen()] {
        let found = judged(&[], &["0.0.0.0:80"], &pod);
        assert_eq!(found[0].source, "the kernel's table of listening sockets");
    }
    let neighbours = [socket("0.0.0.0:80", 1000, Holder::Nobody)];
    assert_eq!(judged(&neighbours, &["0.0.0.0:80"], &named(&[80])), []);
}

#[test]
fn a_socket_of_the_proxys_user_bypasses_the_mesh() {
    let found = judged(&[Socket { uid: 1337, ..app("0.0.0.0:80") }], &[], &named(&[80]));
    assert_eq!(short(&found), [(Code::SocketUserIsTheProxys, Severity::Error)]);
}

#[test]
fn fifty_ports_are_one_finding() {
    let sockets: Vec<Socket> = (9000..9050).map(|port| app(&format!("127.0.0.1:{port}"))).collect();
    let found = judged(&sockets, &[], &unseen());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].seen.ends_with("listens on 127.0.0.1 only, ports 9000-9049"),
        "{}",
        found[0].seen
    );
}

#[test]
fn a_finding_about_a_listen_address_says_what_a_newcomer_needs() {
    let text = judged(&[app("127.0.0.1:8080")], &[], &named(&[8080]))[0].to_string();
    for part in
        ["(app, process 7)", "127.0.0.1 only, port 8080", "to 10.0.0.5", "503", "listen on 0.0.0.0"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_may_be_another_containers_is_a_warning_at_most() {
    for holder in [Holder::Unseen, Holder::Nobody, Holder::Elsewhere] {
        let unsure = [socket("127.0.0.1:80", 1000, holder)];
        let pod = Pod { in_its_container: false, ..named(&[80]) };
        let found = judged(&unsure, &[], &pod);
        assert_eq!(short(&found), [(Code::ListensOnLoopbackOnly, Severity::Warning)]);
        let told = for_real(&Pod {
            sockets: crate::core::findings::pod::ListeningSockets {
                all: unsure.to_vec(),
                ..pod.sockets.clone()
            },
            ..pod
        });
        assert_eq!(told.not_seen.len(), 1, "{told:?}");
    }
}

#[test]
fn what_nobody_asks_for_is_not_told_of_sockets_that_may_be_another_containers() {
    let unsure = [socket("127.0.0.1:9000", 1000, Holder::Unseen)];
    let no_mesh = Pod { proxy: Proxy::of(Mesh::None), ..unseen() };
    for pod in [named(&[80]), no_mesh] {
        let pod = Pod { in_its_container: false, ..pod };
        let told = judged(&unsure, &[], &pod);
        assert!(told.iter().all(|finding| finding.code == Code::NobodyListens), "{told:?}");
    }
}

#[test]
fn what_did_not_matter_is_not_told() {
    let mut pod = named(&[80]);
    pod.sockets.unseen_processes = 115;
    pod.sockets.unread_holders = Some("no /proc".to_owned());
    pod.sockets.all = vec![app("0.0.0.0:80"), socket("0.0.0.0:15006", 1337, Holder::Unseen)];
    assert_eq!(for_real(&pod), Judged::default());
}

#[test]
fn nothing_is_advised_about_a_port_of_any_profile() {
    let pod = Pod { proxy: Proxy::of(Mesh::None), ..unseen() };
    for port in [15000, 15021, 4191, 9901, 9902, 19000] {
        let listening = [app(&format!("127.0.0.1:{port}"))];
        assert_eq!(judged(&listening, &[], &pod), [], "{port}");
    }
    let found = judged(&[app("127.0.0.1:8080")], &[], &pod);
    assert_eq!(short(&found), [(Code::ListensOnLoopbackOnly, Severity::Warning)]);
    assert!(found[0].why.contains("the kernel delivers"), "{found:?}");
}

#[test]
fn linkerd_forwards_to_the_pods_address() {
    let pod = Pod { proxy: Proxy::of(Mesh::Linkerd), ..unseen() };
    let found = judged(&[app("127.0.0.1:8080")], &[], &pod);
    assert_eq!(short(&found), [(Code::ListensOnLoopbackOnly, Severity::Warning)]);
    assert_eq!(judged(&[app("0.0.0.0:8080")], &[], &pod), []);
}

#[test]
fn an_excluded_port_is_not_handed_over_by_the_proxy() {
    let mut manifest = Manifest::default();
    manifest.annotations.excluded_inbound = Ports::Some(vec![80]);
    let pod = Pod { manifest: Requested::Said(manifest), ..named(&[80]) };
    let found = judged(&[app("127.0.0.1:80")], &[], &pod);
    assert!(found[0].why.contains("the kernel delivers to 10.0.0.5"), "{found:?}");
    assert!(!found[0].to_string().contains("the proxy hands"), "{found:?}");
}

#[test]
fn traffic_that_goes_to_a_unix_socket_names_it() {
    let target = Target::Other("unix:/run/shop.sock".to_owned());
    let pod = to(&[(8080, target)]);
    let code = Code::PortGoesToUnixSocket;
    let alone = judged(&[app("0.0.0.0:9090")], &[], &pod);
    assert_eq!(short(&alone), [(code, Severity::Info)]);
    assert!(alone[0].seen.contains("port 8080 goes to the Unix socket /run/shop.sock"));
    let tcp = judged(&[app("0.0.0.0:8080")], &[], &pod);
    assert_eq!(short(&tcp), [(code, Severity::Warning)]);
    let declared = before(&[], &["0.0.0.0:8080"], &pod);
    assert_eq!(short(&declared), [(code, Severity::Warning)]);
}

#[test]
fn an_address_of_which_somebody_holds_a_part_is_refused() {
    let none = Manifest { interception: Interception::None, ..Manifest::default() };
    let pod = Pod { manifest: Requested::Said(none), ..unseen() };
    let envoy = [socket("127.0.0.1:8080", 1337, Holder::Nobody)];
    let held = [(Code::PortHeldByProxy, Severity::Error)];
    for declared in ["0.0.0.0:8080", "127.0.0.1:8080", "[::]:8080"] {
        let found = before(&envoy, &[declared], &pod);
        assert_eq!(short(&found), held, "{declared}");
        assert!(found[0].seen.contains("the proxy (user 1337) listens on 127.0.0.1"));
        assert_eq!(short(&judged(&envoy, &[declared], &pod)), held, "{declared}");
    }
    assert_eq!(before(&envoy, &["10.0.0.5:8080"], &pod), []);
    let neighbour = [socket("0.0.0.0:8080", 1000, Holder::Nobody)];
    let found = before(&neighbour, &["0.0.0.0:8080"], &named(&[8080]));
    assert_eq!(short(&found), [(Code::PortInUse, Severity::Error)]);
    // A socket that this container holds may be handed over to the application.
    assert_eq!(before(&[app("0.0.0.0:8080")], &["0.0.0.0:8080"], &named(&[8080])), []);
}

#[test]
fn with_interception_off_the_kernel_delivers() {
    let none = Manifest { interception: Interception::None, ..Manifest::default() };
    let pod = Pod { manifest: Requested::Said(none), ..unseen() };
    let found = before(&[], &["127.0.0.1:8080"], &pod);
    assert_eq!(short(&found), [(Code::ListensOnLoopbackOnly, Severity::Error)]);
    assert!(found[0].why.contains("the kernel delivers to 10.0.0.5"), "{found:?}");
}

#[test]
fn server_info_is_asked_for_only_where_it_could_change_something() {
    let told = named(&[8080]);
    let judged = |severity| {
        let (seen, why, remedy) = (String::new(), String::new(), String::new());
        let code = Code::NobodyListens;
        Judged::from(vec![Finding { code, severity, seen, why, remedy, source: "" }])
    };
    assert!(!wants_the_manifest(&told, &Judged::default()));
    assert!(!wants_the_manifest(&told, &judged(Severity::Info)));
    assert!(wants_the_manifest(&told, &judged(Severity::Warning)));
    assert!(wants_the_manifest(&unseen(), &Judged::default()));
    let nowhere = Pod { addresses: Addresses::default(), ..told };
    assert!(wants_the_manifest(&nowhere, &Judged::default()));
}
