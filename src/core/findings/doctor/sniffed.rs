//! Ports whose protocol nobody named.
//!
//! Owns the judgement; must never claim that a connection hangs. The proxy waits for the client's
//! first bytes there, which never come where the server speaks first.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::listed;
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::ports::inbound;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// Ports and names of protocols whose server speaks first (istio: "Server First Protocols", with
/// the ones that Istio does not know by their port).
const SERVER_FIRST: [(u64, &str); 9] = [
    (3306, "mysql"),
    (25, "smtp"),
    (587, "smtp"),
    (21, "ftp"),
    (22, "ssh"),
    (110, "pop3"),
    (143, "imap"),
    (27017, "mongo"),
    (5900, "vnc"),
];

/// Ports that are sniffed.
///
/// # Errors
/// The listeners could not be read, or are not Istio's.
pub fn judge(pages: &Pages) -> Diagnosed {
    if !matches!(pages.mesh, Mesh::Istio | Mesh::Envoy) {
        return Err(pages.not_this_mesh());
    }
    let listeners = page(&pages.listeners)?;
    let ports = inbound(listeners);
    let sniffed = ports.iter().filter(|port| port.is_sniffed()).filter_map(|port| port.number);
    let (waits, fine): (Vec<u64>, Vec<u64>) =
        sniffed.partition(|port| server_first(pages, *port).is_some());
    let mut found: Vec<Diagnosis> = waits.iter().map(|port| hangs(pages, *port)).collect();
    if !fine.is_empty() {
        found.push(told(&fine));
    }
    let cut = listeners.is_cut.then_some(NotSeen::Cut("the listeners"));
    Ok(Seen::from(found).but(cut))
}

/// By its number, or by the name that the pod's manifest gives it.
fn server_first(pages: &Pages, port: u64) -> Option<&'static str> {
    let named = pages.manifest.iter().flat_map(|manifest| &manifest.ports);
    let name =
        named.clone().find(|known| known.port == port).map(|known| known.name.to_ascii_lowercase());
    let row = SERVER_FIRST.iter().find(|(number, protocol)| {
        *number == port || name.as_ref().is_some_and(|name| name.contains(protocol))
    });
    row.map(|(_, protocol)| *protocol)
}

const SOURCE: &str = "the chains of this proxy's inbound listener (config_dump): HTTP and TCP \
                      beside each other, by application protocol";

fn hangs(pages: &Pages, port: u64) -> Diagnosis {
    let protocol = server_first(pages, port).unwrap_or("tcp");
    let finding = Finding {
        code: Code::PortProtocolSniffed,
        severity: Severity::Warning,
        seen: format!(
            "port {port} is sniffed, and looks like {protocol}, whose server speaks first"
        ),
        why: "so the proxy waits for the client to speak, the client for the server, and \
              connections hang"
            .to_owned(),
        remedy: "name the protocol in the Service".to_owned(),
        source: SOURCE,
    };
    Diagnosis::from(finding)
        .on(Some("Service".to_owned()), "spec.ports[].appProtocol")
        .with(format!("ports: [{{name: tcp-{protocol}, port: {port}, appProtocol: tcp}}]"))
        .number("port", port)
}

fn told(ports: &[u64]) -> Diagnosis {
    let (noun, verb) = if ports.len() == 1 { ("port", "is") } else { ("ports", "are") };
    let finding = Finding {
        code: Code::PortProtocolSniffed,
        severity: Severity::Info,
        seen: format!("{noun} {} {verb} sniffed: no Service names a protocol", listed(ports)),
        why: "so the proxy guesses it from the first bytes, and a server that speaks first \
              would hang"
            .to_owned(),
        remedy: "name it in the Service: appProtocol: http, or a name that begins with \
                 http-"
            .to_owned(),
        source: SOURCE,
    };
    Diagnosis::from(finding).on(Some("Service".to_owned()), "spec.ports[].appProtocol")
}
