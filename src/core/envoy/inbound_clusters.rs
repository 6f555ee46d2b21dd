//! Envoy's inbound clusters: bytes of a `config_dump` in, ports and where their traffic goes out.
//!
//! Owns what Istio's names and types mean; must never ask a proxy itself.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::core::envoy::json::{self, Json};
use crate::core::envoy::page::Page;
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

/// Where the proxy hands the traffic of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The address that the client used: the pod's own (Envoy: `ORIGINAL_DST`).
    Pod,
    /// 127.0.0.1, or `::1` in a pod without IPv4.
    Loopback,
    /// One address, whatever the client used.
    Fixed(SocketAddr),
    /// Something that is no TCP socket: a Unix socket, mostly.
    Other(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod => f.write_str("pod address"),
            Self::Loopback => f.write_str("loopback"),
            Self::Fixed(address) => address.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// A port that a Service, or a Sidecar resource, names, and where its traffic goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The port that clients reach this pod on.
    pub port: u16,
    /// Where the proxy hands it.
    pub target: Target,
}

impl Inbound {
    /// The port that the application must listen on; `None` for what is no TCP socket.
    #[must_use]
    pub const fn receiver(&self) -> Option<u16> {
        match &self.target {
            Target::Fixed(address) => Some(address.port()),
            Target::Pod | Target::Loopback => Some(self.port),
            Target::Other(_) => None,
        }
    }
}

/// The inbound side of one proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundClusters {
    /// The ports that are named, each with each target once.
    pub named: Vec<Inbound>,
    /// Where the traffic of every other port goes: Istio's passthrough cluster. `None` where there
    /// is none.
    pub passthrough: Option<Target>,
}

impl InboundClusters {
    /// Has the proxy any inbound side? Istio's always sends the passthrough cluster, unless it does
    /// not intercept inbound traffic at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.named.is_empty() && self.passthrough.is_none()
    }
}

const WANTED: &[Path] = &[&["configs", EACH, "cluster"]];

/// What an inbound cluster takes, which has one endpoint. An outbound one, which comes only where
/// Envoy does not know `name_regex`, may have thousands and is passed over.
const MOST_CLUSTER: usize = 64 * 1024;

/// Reads `inbound|8080||` and `InboundPassthroughCluster` and nothing else of what may be a whole
/// mesh's clusters.
#[derive(Debug)]
pub struct InboundClustersPage {
    picker: Picker,
    found: InboundClusters,
}

impl Page for InboundClustersPage {
    type Content = InboundClusters;
    /// `name_regex` is matched in full (envoy: `admin.rst`); a version without it sends all
    /// clusters.
    const QUERY: &'static str = "/config_dump?resource=dynamic_active_clusters\
                                 &mask=cluster.name,cluster.type,cluster.load_assignment\
                                 &name_regex=.nbound.*";
    const MOST_BYTES: usize = 64 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(2);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, MOST_CLUSTER), found: InboundClusters::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let found = &mut self.found;
        self.picker.feed(bytes, &mut |_, part| {
            if let Some(cluster) = part.and_then(Cluster::read) {
                found.learn(cluster);
            }
        })
    }

    fn end(self) -> Result<InboundClusters, Unread> {
        self.picker.finish().map(|()| self.found)
    }
}

impl InboundClusters {
    fn learn(&mut self, cluster: Cluster) {
        if cluster.name.starts_with(PASSTHROUGH) && cluster.is_original_destination {
            self.passthrough = Some(Target::Pod);
        }
        if let Some(inbound) = cluster.inbound()
            && !self.named.contains(&inbound)
        {
            self.named.push(inbound);
        }
    }
}

/// Istio's cluster for the ports that nobody names; older versions have one for each family.
const PASSTHROUGH: &str = "InboundPassthroughCluster";

/// What is kept of one cluster.
#[derive(Default)]
struct Cluster {
    name: String,
    is_original_destination: bool,
    address: EndpointAddress,
}

/// Where a cluster's first endpoint is.
#[derive(Default)]
struct EndpointAddress {
    pipe: Option<String>,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl Cluster {
    /// `None` for what is not JSON.
    fn read(cluster: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let read = json::read(cluster, &mut |cluster| {
            cluster.fields(&mut |name, value| match name {
                "name" => found.name = value.text().unwrap_or_default(),
                // Left out where it is the default, STATIC.
                "type" => value.with_text(&mut |kind| {
                    found.is_original_destination = kind == "ORIGINAL_DST";
                }),
                "load_assignment" => found.address.read(value),
                _ => {}
            });
        });
        read.ok().map(|()| found)
    }

    /// `inbound|8080||`; before Istio 1.8.1 `inbound|80|http|host`, whose endpoint tells the
    /// application's port.
    fn inbound(self) -> Option<Inbound> {
        let port: u16 = self.name.strip_prefix("inbound|")?.split('|').next()?.parse().ok()?;
        let target = match self.address {
            _ if self.is_original_destination => Target::Pod,
            EndpointAddress { pipe: Some(path), .. } => Target::Other(format!("unix:{path}")),
            EndpointAddress { ip, port, .. } => Target::Fixed(SocketAddr::new(ip?, port?)),
        };
        Some(Inbound { port, target })
    }
}

impl EndpointAddress {
    fn read(&mut self, load_assignment: Json<'_>) {
        load_assignment.at(&["endpoints"], &mut |localities| {
            localities.first(&mut |locality| {
                locality.at(&["lb_endpoints"], &mut |endpoints| {
                    endpoints.first(&mut |endpoint| {
                        endpoint.at(&["endpoint", "address"], &mut |address| self.learn(address));
                    });
                });
            });
        });
    }

    fn learn(&mut self, address: Json<'_>) {
        address.fields(&mut |kind, value| match kind {
            "pipe" => value.at(&["path"], &mut |path| self.pipe = path.text()),
            "socket_address" => {
                value.fields(&mut |name, value| match name {
                    "address" => value.with_text(&mut |ip| self.ip = ip.parse().ok()),
                    "port_value" => {
                        self.port = value.number().and_then(|port| u16::try_from(port).ok());
                    }
                    _ => {}
                });
            }
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    fn decode(body: &[u8]) -> InboundClusters {
        whole::<InboundClustersPage>(body).unwrap()
    }

    fn dump(clusters: &[&str]) -> Vec<u8> {
        let entries: Vec<String> = clusters
            .iter()
            .map(|cluster| format!(r#"{{"@type":"x","cluster":{cluster}}}"#))
            .collect();
        format!(r#"{{"configs":[{}]}}"#, entries.join(",")).into_bytes()
    }

    fn at(name: &str, kind: &str, address: &str) -> String {
        let endpoint = format!(
            r#"{{"endpoints":[{{"lb_endpoints":[{{"endpoint":{{"address":{address}}}}}]}}]}}"#
        );
        format!(r#"{{"name":"{name}",{kind}"load_assignment":{endpoint}}}"#)
    }

    #[test]
    fn both_types_and_the_defaulted_one_are_read() {
        let loopback = r#"{"socket_address":{"address":"127.0.0.1","port_value":9000}}"#;
        let body = dump(&[
            r#"{"name":"inbound|8080||","type":"ORIGINAL_DST"}"#,
            &at("inbound|9000||", r#""type":"STATIC","#, loopback),
            &at("inbound|80|http|web.demo", "", loopback),
            &at("inbound|7000||", r#""type":"STATIC","#, r#"{"pipe":{"path":"/run/app.sock"}}"#),
            r#"{"name":"outbound|80||web.demo","type":"EDS"}"#,
            r#"{"name":"inbound|none||","type":"ORIGINAL_DST"}"#,
            r#"{"name":"InboundPassthroughCluster","type":"ORIGINAL_DST"}"#,
        ]);
        let fixed = Target::Fixed("127.0.0.1:9000".parse().unwrap());
        let expected = [
            Inbound { port: 8080, target: Target::Pod },
            Inbound { port: 9000, target: fixed.clone() },
            Inbound { port: 80, target: fixed },
            Inbound { port: 7000, target: Target::Other("unix:/run/app.sock".to_owned()) },
        ];
        let found = decode(&body);
        assert_eq!(found.named, expected);
        assert_eq!(found.passthrough, Some(Target::Pod));
        assert_eq!(
            expected.map(|inbound| inbound.receiver()),
            [Some(8080), Some(9000), Some(9000), None]
        );
    }

    #[test]
    fn a_proxy_without_its_first_configuration_is_not_one_without_services() {
        assert!(decode(b"{}").is_empty());
        assert!(decode(&dump(&[r#"{"name":"outbound|80||web.demo"}"#])).is_empty());
        let passthrough =
            decode(&dump(&[r#"{"name":"InboundPassthroughClusterIpv4","type":"ORIGINAL_DST"}"#]));
        assert_eq!((passthrough.named.len(), passthrough.passthrough), (0, Some(Target::Pod)));
        for body in [&b""[..], b"[7]", b"<html>", br#"{"configs":"#] {
            let read = whole::<InboundClustersPage>(body);
            assert!(matches!(read, Err(Unread::Garbage(_))), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_cluster_that_makes_no_sense_is_passed_over() {
        let table = [
            at("inbound|1||", "", r#"{"socket_address":{"address":"nonsense","port_value":1}}"#),
            at(
                "inbound|1||",
                "",
                r#"{"socket_address":{"address":"127.0.0.1","port_value":70000}}"#,
            ),
            r#"{"name":"inbound|1||","type":"STATIC"}"#.to_owned(),
            r#"{"name":"inbound|65536||","type":"ORIGINAL_DST"}"#.to_owned(),
            "null".to_owned(),
            r#"{"name":null,"type":null,"load_assignment":null}"#.to_owned(),
            r#"{"name":7}"#.to_owned(),
            format!(r#"{{"name":"inbound|1||","x":"{}"}}"#, "x".repeat(MOST_CLUSTER)),
        ];
        for cluster in table {
            assert!(decode(&dump(&[&cluster])).is_empty(), "{cluster}");
        }
    }
}
