//! Verdicts about listen addresses become findings: how bad each is, and which ports share one.
//!
//! The words are in `messages`. Must never look at a socket itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::core::envoy::inbound_clusters::Inbound;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::listen::cases::{Case, Facts, Kind};
use crate::core::findings::listen::forwarding::Forwarding;
use crate::core::findings::listen::messages::{sorted, words};
use crate::core::findings::listen::sockets::{
    Arrives, Bound, Holder, Owner, Socket, is_reserved, owner, verdict,
};

/// Judges where the application listens for real. The worst comes first.
#[must_use]
pub fn for_real(facts: &Facts<'_>) -> Vec<Finding> {
    let owned: Vec<(&Socket, Owner)> = facts
        .sockets
        .iter()
        .map(|socket| (socket, owner(socket, facts.mesh, facts.proxy_uid)))
        .collect();
    let mut cases = Cases::default();
    for (socket, _) in owned.iter().filter(|(_, owner)| owner.is_ours()) {
        let port = socket.bound.address.port();
        if is_reserved(facts.mesh, port) {
            cases.add(
                case(Severity::Error, Kind::Reserved, who(&socket.holder), &[socket.bound]),
                port,
            );
        }
        if facts.proxy_uid == Some(socket.uid) {
            cases.add(case(Severity::Error, Kind::ProxysUser, who(&socket.holder), &[]), port);
        }
    }
    if let Some(forwarding) = facts.forwarding {
        for port in ports(&owned, forwarding, facts.declared) {
            judge_port(facts, forwarding, &owned, port, &mut cases);
        }
    }
    cases.into_findings(facts)
}

/// Judges where the application is going to listen, as `--listen` says. Without `forwarding` only
/// what no source could change is judged: the ports that belong to the proxy.
#[must_use]
pub fn before_start(facts: &Facts<'_>) -> Vec<Finding> {
    let mut cases = Cases::default();
    let bound: Vec<Bound> =
        facts.declared.iter().map(|address| Bound { address: *address, v6only: None }).collect();
    for (index, bound) in bound.iter().enumerate() {
        let port = bound.address.port();
        if is_reserved(facts.mesh, port) {
            cases.add(case(Severity::Error, Kind::Reserved, WILL.to_owned(), &[*bound]), port);
        } else if let Some(forwarding) = facts.forwarding
            && !facts.declared[..index].iter().any(|earlier| earlier.port() == port)
        {
            let same: Vec<Bound> = facts.declared_bound(port);
            if let Some(case) =
                missed(port, &same, &same, forwarding, facts.pod, Severity::Error, WILL)
            {
                cases.add(case, port);
            }
        }
    }
    cases.into_findings(facts)
}

/// Who listens, before start.
const WILL: &str = "the application, as --listen says,";

impl Facts<'_> {
    fn declared_bound(&self, port: u16) -> Vec<Bound> {
        let same = self.declared.iter().filter(|address| address.port() == port);
        same.map(|address| Bound { address: *address, v6only: None }).collect()
    }
}

/// The ports to judge: those the application listens on, those that are declared, those that a
/// Service names.
fn ports(owned: &[(&Socket, Owner)], forwarding: &Forwarding, declared: &[SocketAddr]) -> Vec<u16> {
    let ours = owned
        .iter()
        .filter(|(_, owner)| owner.is_ours())
        .map(|(socket, _)| socket.bound.address.port());
    let named = forwarding.named.iter().flatten().filter_map(Inbound::receiver);
    sorted(ours.chain(named).chain(declared.iter().map(SocketAddr::port)))
}

fn judge_port(
    facts: &Facts<'_>,
    forwarding: &Forwarding,
    owned: &[(&Socket, Owner)],
    port: u16,
    cases: &mut Cases,
) {
    let here = || owned.iter().filter(|(socket, _)| socket.bound.address.port() == port);
    let ours: Vec<&Socket> =
        here().filter(|(_, owner)| owner.is_ours()).map(|(socket, _)| *socket).collect();
    let declared = facts.declared.iter().any(|address| address.port() == port);
    let all: Vec<Bound> = here()
        .filter(|(_, owner)| *owner != Owner::Proxy)
        .map(|(socket, _)| socket.bound)
        .collect();
    if is_reserved(facts.mesh, port) {
        return;
    }
    if all.is_empty() {
        let severity = if declared { Severity::Error } else { Severity::Warning };
        cases.add(case(severity, Kind::Nobody, String::new(), &[]), port);
        return;
    }
    let Some(first) = ours.first() else { return };
    let severity = match forwarding.is_named(port) {
        _ if declared => Severity::Error,
        Some(true) => Severity::Error,
        // A port that no Service names may well be meant for this pod alone.
        Some(false) => Severity::Info,
        None => Severity::Warning,
    };
    let bound: Vec<Bound> = ours.iter().map(|socket| socket.bound).collect();
    cases.extend(
        missed(port, &bound, &all, forwarding, facts.pod, severity, &who(&first.holder)),
        port,
    );
}

/// The case that `port` is where not all of its traffic arrives.
fn missed(
    port: u16,
    ours: &[Bound],
    all: &[Bound],
    forwarding: &Forwarding,
    pod: &[IpAddr],
    severity: Severity,
    who: &str,
) -> Option<Case> {
    let verdict = verdict(port, all, forwarding, pod);
    let missed: Vec<IpAddr> = verdict
        .reached
        .iter()
        .filter(|(_, reached)| !reached)
        .map(|(address, _)| address.ip())
        .collect();
    let everywhere =
        |is: fn(&IpAddr) -> bool| ours.iter().all(|bound| is(&bound.address.ip().to_canonical()));
    let kind = match verdict.arrives() {
        Arrives::All => return None,
        Arrives::Partly => Kind::OneFamily,
        Arrives::None
            if everywhere(IpAddr::is_loopback) && !missed.iter().any(IpAddr::is_loopback) =>
        {
            Kind::Loopback
        }
        Arrives::None if everywhere(|ip| ip.is_unspecified() || ip.is_loopback()) => Kind::Family,
        Arrives::None
            if ours.iter().all(|bound| pod.contains(&bound.address.ip().to_canonical())) =>
        {
            Kind::PodOnly
        }
        Arrives::None => Kind::Elsewhere,
    };
    let severity = if kind == Kind::OneFamily { severity.min(Severity::Warning) } else { severity };
    Some(Case { missed, ..case(severity, kind, who.to_owned(), ours) })
}

fn case(severity: Severity, kind: Kind, who: String, bound: &[Bound]) -> Case {
    let bound = bound.iter().map(|bound| bound.address.ip()).collect();
    Case { severity, kind, who, bound, missed: Vec::new() }
}

fn who(holder: &Holder) -> String {
    match holder {
        Holder::Here { command, pid } => format!("the application ({command}, process {pid})"),
        _ => "the application (or another container's: its process could not be seen)".to_owned(),
    }
}

/// Ports by what they have in common.
#[derive(Default)]
struct Cases(BTreeMap<Case, Vec<u16>>);

impl Cases {
    fn add(&mut self, case: Case, port: u16) {
        self.0.entry(case).or_default().push(port);
    }

    fn extend(&mut self, case: Option<Case>, port: u16) {
        if let Some(case) = case {
            self.add(case, port);
        }
    }

    fn into_findings(self, facts: &Facts<'_>) -> Vec<Finding> {
        // A case begins with its severity, so the last one is the worst.
        self.0.into_iter().rev().map(|(case, ports)| words(&case, &ports, facts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::inbound_clusters::{InboundClusters, Target};
    use crate::core::findings::codes::Code;
    use crate::core::mesh::Mesh;

    const POD: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5))];

    fn socket(address: &str, uid: u32, holder: Holder) -> Socket {
        Socket {
            bound: Bound { address: address.parse().unwrap(), v6only: Some(false) },
            uid,
            holder,
        }
    }

    fn app(address: &str) -> Socket {
        socket(address, 1000, Holder::Here { command: "app".to_owned(), pid: 7 })
    }

    fn named(ports: &[u16]) -> Forwarding {
        let named = ports.iter().map(|port| Inbound { port: *port, target: Target::Pod }).collect();
        let clusters = InboundClusters { named, passthrough: Some(Target::Pod) };
        Forwarding::of(Mesh::Istio, Some(clusters), None).unwrap()
    }

    fn unseen() -> Forwarding {
        Forwarding::of(Mesh::Istio, None, None).unwrap()
    }

    fn judged(sockets: &[Socket], declared: &[&str], forwarding: &Forwarding) -> Vec<Finding> {
        let declared: Vec<SocketAddr> =
            declared.iter().map(|address| address.parse().unwrap()).collect();
        let facts = Facts {
            mesh: Mesh::Istio,
            proxy_uid: Some(1337),
            pod: &POD,
            forwarding: Some(forwarding),
            sockets,
            declared: &declared,
        };
        if sockets.is_empty() && !declared.is_empty() {
            before_start(&facts)
        } else {
            for_real(&facts)
        }
    }

    fn short(findings: &[Finding]) -> Vec<(Code, Severity)> {
        findings.iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn a_port_is_the_worse_the_surer_it_is_that_somebody_wants_it() {
        let loopback = [app("127.0.0.1:80")];
        let code = Code::ListensOnLoopbackOnly;
        assert_eq!(short(&judged(&loopback, &[], &named(&[80]))), [(code, Severity::Error)]);
        assert_eq!(
            short(&judged(&loopback, &["0.0.0.0:80"], &unseen())),
            [(code, Severity::Error)]
        );
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
        let loopback = Forwarding { otherwise: Target::Loopback, ..unseen() };
        let table = [
            ("127.0.0.1:80", unseen(), Code::ListensOnLoopbackOnly),
            ("[::1]:80", unseen(), Code::ListensOnLoopbackOnly),
            ("10.0.0.5:80", loopback.clone(), Code::ListensOnPodAddressOnly),
            ("[::1]:80", loopback.clone(), Code::ListensOnTheWrongFamily),
            ("10.9.9.9:80", unseen(), Code::ListensElsewhere),
            ("127.0.0.2:80", loopback, Code::ListensOnTheWrongFamily),
            ("0.0.0.0:15090", unseen(), Code::PortIsTheProxys),
        ];
        for (address, forwarding, code) in table {
            assert_eq!(short(&judged(&[app(address)], &[], &forwarding))[0].0, code, "{address}");
            assert_eq!(
                short(&judged(&[], &[address], &forwarding)),
                [(code, Severity::Error)],
                "{address}"
            );
        }
        let v6only = Socket {
            bound: Bound { address: "[::]:80".parse().unwrap(), v6only: Some(true) },
            ..app("[::]:80")
        };
        assert_eq!(
            short(&judged(&[v6only], &[], &named(&[80])))[0].0,
            Code::ListensOnTheWrongFamily
        );
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
        let sockets: Vec<Socket> =
            (9000..9050).map(|port| app(&format!("127.0.0.1:{port}"))).collect();
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
        for part in [
            "(app, process 7)",
            "127.0.0.1 only, port 8080",
            "to 10.0.0.5",
            "503",
            "listen on 0.0.0.0",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
