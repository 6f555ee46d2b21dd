//! Envoy's `/server_info` as a diagnosis needs it: with what istio's agent passed on of the pod's
//! manifest when the proxy started.
//!
//! Owns which parts of it are read: annotations about traffic become numbers and words of ours.
//! Must never keep anything else, not even the names of other annotations.

use std::time::Duration;

use crate::core::envoy::annotations::Annotations;
use crate::core::envoy::json::{self, Json};
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{Path, Picker};
use crate::core::envoy::server_info::{ServerInfo, ServerInfoPage, parse_duration};
use crate::core::envoy::unread::Unread;

const UPTIME: Path = &["uptime_current_epoch"];
const UPTIME_ALL: Path = &["uptime_all_epochs"];
const LOG_LEVEL: Path = &["command_line_options", "log_level"];
const NODE: Path = &["node", "id"];
const NAMESPACE: Path = &["node", "metadata", "NAMESPACE"];
const INTERCEPTION: Path = &["node", "metadata", "INTERCEPTION_MODE"];
const PORTS: Path = &["node", "metadata", "POD_PORTS"];
const HTTP10: Path = &["node", "metadata", "HTTP10"];
const DISCOVERY: Path = &["node", "metadata", "PROXY_CONFIG", "discoveryAddress"];
const ANNOTATIONS: Path = &["node", "metadata", "ANNOTATIONS"];
const WANTED: &[Path] = &[
    UPTIME,
    UPTIME_ALL,
    LOG_LEVEL,
    NODE,
    NAMESPACE,
    INTERCEPTION,
    PORTS,
    HTTP10,
    DISCOVERY,
    ANNOTATIONS,
];

/// Kubernetes allows 256 KiB of annotations; JSON's escapes make them longer.
const MOST_PART: usize = 1024 * 1024;

/// A pod names a dozen ports.
const MOST_PORTS: usize = 100;

/// How the pod's traffic gets to the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interception {
    /// The proxy does not say.
    #[default]
    Unknown,
    /// By iptables or nftables, with a new address.
    Redirect,
    /// By iptables, the addresses stay.
    Tproxy,
    /// Not at all: the application talks to the proxy by itself.
    None,
}

/// A port that the pod's manifest names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodPort {
    /// Its name, as `http` or `mysql`; may be empty.
    pub name: String,
    /// Its number.
    pub port: u64,
}

/// What the proxy says about itself and its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What others than doctor read of the same page.
    pub server: ServerInfo,
    /// How long this Envoy process has run.
    pub uptime: Option<Duration>,
    /// How long Envoy has run, its predecessors in a hot restart included.
    pub uptime_all: Option<Duration>,
    /// The log level that it was started with.
    pub log_level: Option<String>,
    /// What it calls itself: `sidecar~10.0.0.7~shop-6d5b.shop~shop.svc.cluster.local`.
    pub node: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// How traffic gets to it.
    pub interception: Interception,
    /// The ports that the manifest names.
    pub ports: Vec<PodPort>,
    /// It was told to answer HTTP/1.0.
    pub http10: bool,
    /// Where its control plane is: `istiod.istio-system.svc:15012`.
    pub discovery_address: Option<String>,
    /// What the pod's annotations say about traffic.
    pub annotations: Annotations,
}

/// Reads the page.
#[derive(Debug)]
pub struct ManifestPage {
    server: ServerInfoPage,
    picker: Picker,
    manifest: Manifest,
}

impl Page for ManifestPage {
    type Content = Manifest;
    const QUERY: &'static str = ServerInfoPage::QUERY;
    const MOST_BYTES: usize = ServerInfoPage::MOST_BYTES;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self {
            server: ServerInfoPage::begin(),
            picker: Picker::new(WANTED, MOST_PART),
            manifest: Manifest::default(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.server.take(bytes)?;
        let manifest = &mut self.manifest;
        self.picker.feed(bytes, &mut |path, part| manifest.learn(path, part))
    }

    fn end(self) -> Result<Manifest, Unread> {
        Ok(Manifest { server: self.server.end()?, ..self.manifest })
    }
}

impl Manifest {
    fn learn(&mut self, path: Path, part: Option<&[u8]>) {
        let text = || page::value::<String>(part);
        let time = || parse_duration(&text()?);
        let name = || text().map(|text| json::clean(&text));
        match path {
            UPTIME => self.uptime = time(),
            UPTIME_ALL => self.uptime_all = time(),
            LOG_LEVEL => self.log_level = name(),
            NODE => self.node = name(),
            NAMESPACE => self.namespace = name(),
            DISCOVERY => self.discovery_address = name(),
            HTTP10 => self.http10 = matches!(text().as_deref(), Some("1" | "true")),
            PORTS => self.ports = text().map(|text| read_ports(&text)).unwrap_or_default(),
            INTERCEPTION => {
                self.interception = match text().as_deref() {
                    Some("REDIRECT") => Interception::Redirect,
                    Some("TPROXY") => Interception::Tproxy,
                    Some("NONE") => Interception::None,
                    _ => Interception::Unknown,
                };
            }
            ANNOTATIONS => {
                let annotations = &mut self.annotations;
                let read = part.map(|part| {
                    json::read(part, &mut |value| {
                        value.fields(&mut |name, value| annotations.learn(name, value));
                    })
                });
                annotations.is_cut = !matches!(read, Some(Ok(())));
            }
            _ => {}
        }
    }
}

/// `[{"name":"http","containerPort":8080,"protocol":"TCP"}]`, JSON within a string of JSON.
fn read_ports(text: &str) -> Vec<PodPort> {
    let mut ports = Vec::new();
    let read = json::read(text.as_bytes(), &mut |value| {
        value.items(&mut |port| ports.extend(read_port(port)));
    });
    if read.is_err() {
        ports.clear();
    }
    ports.truncate(MOST_PORTS);
    ports
}

fn read_port(value: Json<'_>) -> Option<PodPort> {
    let mut port = PodPort::default();
    value.fields(&mut |name, value| match name {
        "name" => port.name = value.text().unwrap_or_default(),
        "containerPort" => port.port = value.number().unwrap_or_default(),
        _ => {}
    });
    (port.port > 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;
    use crate::core::envoy::state::State;

    /// Of a real Istio sidecar, cut.
    const HEALTHY: &[u8] =
        include_bytes!("../../../tests/fixtures/doctor/healthy.server_info.json");

    #[test]
    fn a_real_sidecar_says_what_its_pod_is() {
        let manifest = whole::<ManifestPage>(HEALTHY).unwrap();
        assert_eq!(manifest.server.state, Some(State::Live));
        assert_eq!(manifest.server.envoy_version.as_deref(), Some("1.40.0"));
        assert_eq!(manifest.namespace.as_deref(), Some("shop"));
        assert_eq!(manifest.interception, Interception::Redirect);
        assert_eq!(manifest.ports, [PodPort { name: "http".to_owned(), port: 8080 }]);
        assert_eq!(manifest.discovery_address.as_deref(), Some("istiod.istio-system.svc:15012"));
        assert_eq!(manifest.log_level.as_deref(), Some("warning"));
        assert!(manifest.uptime.is_some() && !manifest.http10 && !manifest.annotations.is_cut);
    }

    #[test]
    fn strange_members_lose_themselves_alone() {
        let body =
            br#"{"state":"LIVE","uptime_current_epoch":7,"command_line_options":null,"node":{
            "id":null,"metadata":{"POD_PORTS":"[{\"containerPort\":\"x\"}","HTTP10":1,
            "INTERCEPTION_MODE":"A_NEW_ONE","ANNOTATIONS":[1],"NAMESPACE":"shop"}}}"#;
        let manifest = whole::<ManifestPage>(body).unwrap();
        assert_eq!(manifest.namespace.as_deref(), Some("shop"));
        assert!(manifest.ports.is_empty() && manifest.uptime.is_none());
        assert_eq!(manifest.interception, Interception::Unknown);
        assert!(whole::<ManifestPage>(b"{}").is_err());
    }
}
