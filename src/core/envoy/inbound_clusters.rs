//! Envoy's inbound clusters: bytes of a `config_dump` in, ports and where their traffic goes out.
//!
//! Owns what Istio's names and types mean; must never ask a proxy itself.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// Asks for `inbound|8080||` and `InboundPassthroughCluster` and nothing else of what may be a
/// whole mesh's clusters. `name_regex` is matched in full (envoy: `admin.rst`); a version without
/// it sends them all.
pub const QUERY: &str = "/config_dump?resource=dynamic_active_clusters\
                         &mask=cluster.name,cluster.type,cluster.load_assignment&name_regex=.nbound.*";

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

/// Why the inbound clusters are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotClusters {
    /// Some other JSON, or none.
    #[error("the answer is no config_dump: {0}")]
    Unreadable(String),
    /// Istio always sends at least the passthrough cluster.
    #[error("the proxy has no inbound clusters yet")]
    NotYet,
}

#[derive(Deserialize)]
struct Dump {
    #[serde(default)]
    configs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    name: String,
    /// Left out where it is the default, `STATIC`.
    r#type: Option<String>,
    load_assignment: Option<serde_json::Value>,
}

/// The inbound clusters in the answer to [`QUERY`], by port, each port once.
///
/// # Errors
/// [`NotClusters`]: no such answer, or one from before the first configuration.
pub fn decode(body: &[u8]) -> Result<Vec<Inbound>, NotClusters> {
    let dump: Dump =
        serde_json::from_slice(body).map_err(|error| NotClusters::Unreadable(error.to_string()))?;
    let clusters: Vec<Cluster> =
        dump.configs.into_iter().filter_map(|entry| entry.cluster).collect();
    if !clusters
        .iter()
        .any(|cluster| cluster.name.starts_with("inbound|") || cluster.name.starts_with("Inbound"))
    {
        return Err(NotClusters::NotYet);
    }
    let mut found: Vec<Inbound> = Vec::new();
    for inbound in clusters.iter().filter_map(read) {
        if !found.contains(&inbound) {
            found.push(inbound);
        }
    }
    Ok(found)
}

/// `inbound|8080||`; before Istio 1.8.1 `inbound|80|http|host`, whose endpoint tells the
/// application's port.
fn read(cluster: &Cluster) -> Option<Inbound> {
    let port: u16 = cluster.name.strip_prefix("inbound|")?.split('|').next()?.parse().ok()?;
    if cluster.r#type.as_deref() == Some("ORIGINAL_DST") {
        return Some(Inbound { port, target: Target::Pod });
    }
    let address = cluster
        .load_assignment
        .as_ref()?
        .pointer("/endpoints/0/lb_endpoints/0/endpoint/address")?;
    let target = if let Some(path) =
        address.pointer("/pipe/path").and_then(serde_json::Value::as_str)
    {
        Target::Other(format!("unix:{path}"))
    } else {
        let socket = address.pointer("/socket_address")?;
        let ip: IpAddr = socket.get("address")?.as_str()?.parse().ok()?;
        Target::Fixed(SocketAddr::new(ip, u16::try_from(socket.get("port_value")?.as_u64()?).ok()?))
    };
    Some(Inbound { port, target })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(decode(&body), Ok(expected.to_vec()));
        assert_eq!(
            expected.map(|inbound| inbound.receiver()),
            [Some(8080), Some(9000), Some(9000), None]
        );
    }

    #[test]
    fn a_proxy_without_its_first_configuration_is_not_one_without_services() {
        assert_eq!(decode(b"{}"), Err(NotClusters::NotYet));
        assert_eq!(
            decode(&dump(&[r#"{"name":"outbound|80||web.demo"}"#])),
            Err(NotClusters::NotYet)
        );
        assert_eq!(
            decode(&dump(&[r#"{"name":"InboundPassthroughClusterIpv4","type":"ORIGINAL_DST"}"#])),
            Ok(vec![])
        );
        for body in
            [&b""[..], b"[7]", b"<html>", br#"{"configs":7}"#, br#"{"configs":[{"cluster":"x"}]}"#]
        {
            assert!(
                matches!(decode(body), Err(NotClusters::Unreadable(_))),
                "{}",
                String::from_utf8_lossy(body)
            );
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
        ];
        for cluster in table {
            assert_eq!(decode(&dump(&[&cluster])), Ok(vec![]), "{cluster}");
        }
    }
}
