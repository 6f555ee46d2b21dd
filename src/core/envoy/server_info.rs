//! What the proxy says about itself that decides how long it lives beside us, from Envoy's
//! `/server_info`.
//!
//! Owns the reading of it. The answer holds every label and annotation of the pod: only what is
//! named here is kept, and nothing else may ever be logged.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

/// istio: `mesh/v1alpha1/config.proto`, `terminationDrainDuration`.
const DEFAULT_TERMINATION_DRAIN: Duration = Duration::from_secs(5);

/// The sidecar's container name in `sidecar.istio.io/status` (istio: `pkg/kube/inject`).
const SIDECAR: &str = "istio-proxy";

/// What we know of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Envoy's version, as `1.32.2-dev`.
    pub envoy_version: Option<String>,
    /// Istio's version, where it is Istio's.
    pub istio_version: Option<String>,
    /// A native sidecar (KEP-753): `None` where the proxy does not say.
    pub native: Option<bool>,
    /// How long an Istio proxy lives after its SIGTERM.
    pub termination_drain: Option<Duration>,
    /// The Istio proxy waits until it has no connections.
    pub exits_on_zero: bool,
    /// Over how long Envoy turns clients away (`--drain-time-s`).
    pub drain_time: Option<Duration>,
    /// `--drain-strategy gradual`: ever more of them, all only at the end of it.
    pub drains_gradually: bool,
    /// The pod's own addresses, the first one first.
    pub instance_ips: Vec<IpAddr>,
}

/// How long the proxy lives, counted from the same stop signal that the application gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Longer than the application: Kubernetes ends a native sidecar after it.
    Outlives,
    /// A classic Istio sidecar: Envoy is killed this long after SIGTERM (istio:
    /// `pkg/envoy/agent.go`).
    Fixed(Duration),
    /// Until it has no connections.
    WhileBusy,
    /// It does not say.
    Unknown,
}

impl ServerInfo {
    /// Reads `/server_info`; unknown and huge parts (`node.extensions`, over 100 KB) are skipped,
    /// not kept.
    ///
    /// # Errors
    /// The body is no JSON object as Envoy's.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let info: Page = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let metadata = info.node.metadata;
        let is_istio = metadata.istio_version.is_some();
        let configured =
            metadata.proxy_config.termination_drain_duration.as_deref().and_then(parse_duration);
        let ips = metadata.instance_ips.unwrap_or_default();
        Ok(Self {
            envoy_version: info
                .version
                .split('/')
                .nth(1)
                .filter(|version| is_plain(version))
                .map(str::to_owned),
            native: metadata.annotations.status.as_deref().and_then(is_native),
            termination_drain: is_istio.then(|| configured.unwrap_or(DEFAULT_TERMINATION_DRAIN)),
            exits_on_zero: metadata.exit_on_zero.is_some_and(|value| value == "true"),
            drain_time: info.command_line_options.drain_time.as_deref().and_then(parse_duration),
            drains_gradually: info
                .command_line_options
                .drain_strategy
                .is_some_and(|name| name == "Gradual"),
            instance_ips: ips.split(',').filter_map(|ip| ip.trim().parse().ok()).collect(),
            istio_version: metadata.istio_version.filter(|version| is_plain(version)),
        })
    }

    /// How long the proxy lives beside an application that is asked to stop at the same moment.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        match (self.native, self.termination_drain) {
            (Some(true), _) => Lifetime::Outlives,
            (_, Some(_)) if self.exits_on_zero => Lifetime::WhileBusy,
            (_, Some(duration)) => Lifetime::Fixed(duration),
            (_, None) => Lifetime::Unknown,
        }
    }

    /// Does Kubernetes end it, and start it again when anybody else does?
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.native == Some(true)
    }
}

/// `sidecar.istio.io/status`: a native sidecar stands among the init containers (istio:
/// `webhook.go`).
fn is_native(status: &str) -> Option<bool> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        init_containers: Option<Vec<String>>,
        containers: Option<Vec<String>>,
    }
    let status: Status = serde_json::from_str(status).ok()?;
    let has = |names: &Option<Vec<String>>| names.iter().flatten().any(|name| name == SIDECAR);
    match (has(&status.init_containers), has(&status.containers)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// A version goes into messages: nothing but what versions are made of.
fn is_plain(text: &str) -> bool {
    (1..=60).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
}

/// A protobuf duration in JSON: `5s`, `1.500s`; a fraction has 3, 6 or 9 digits.
fn parse_duration(text: &str) -> Option<Duration> {
    let (seconds, fraction) =
        text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, "0"));
    let nanoseconds = format!("{fraction:0<9}")
        .parse()
        .ok()
        .filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some(Duration::new(seconds.parse().ok()?, nanoseconds))
}

#[derive(Deserialize)]
struct Page {
    version: String,
    #[serde(default)]
    command_line_options: Options,
    #[serde(default)]
    node: Node,
}

#[derive(Default, Deserialize)]
struct Options {
    drain_time: Option<String>,
    drain_strategy: Option<String>,
}

#[derive(Default, Deserialize)]
struct Node {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "ISTIO_VERSION")]
    istio_version: Option<String>,
    #[serde(rename = "INSTANCE_IPS")]
    instance_ips: Option<String>,
    #[serde(rename = "EXIT_ON_ZERO_ACTIVE_CONNECTIONS")]
    exit_on_zero: Option<String>,
    #[serde(rename = "PROXY_CONFIG", default)]
    proxy_config: ProxyConfig,
    #[serde(rename = "ANNOTATIONS", default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
struct ProxyConfig {
    #[serde(rename = "terminationDrainDuration")]
    termination_drain_duration: Option<String>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "sidecar.istio.io/status")]
    status: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NATIVE: &str = r#"{"initContainers":["istio-init","istio-proxy"],"containers":null}"#;
    const CLASSIC: &str =
        r#"{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["x"]}"#;

    fn istio(metadata: &Value) -> ServerInfo {
        let mut all = json!({ "ISTIO_VERSION": "1.24.0", "INSTANCE_IPS": "10.1.2.3,fd00::1" });
        for (name, value) in metadata.as_object().unwrap() {
            all[name] = value.clone();
        }
        let info = json!({
            "version": "0123/1.32.2-dev/Clean/RELEASE/BoringSSL",
            "state": "LIVE",
            "command_line_options": { "drain_time": "45s", "drain_strategy": "Immediate", "concurrency": 2 },
            "node": { "id": "x", "metadata": all, "extensions": [{ "name": "a", "type_urls": [] }] },
        });
        ServerInfo::read(info.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_classic_istio_sidecar_is_told_from_a_native_one() {
        let status = |status: &str| {
            istio(&json!({ "ANNOTATIONS": { "sidecar.istio.io/status": status, "a": "b" } }))
        };
        assert_eq!(status(CLASSIC).native, Some(false));
        assert_eq!(status(CLASSIC).lifetime(), Lifetime::Fixed(Duration::from_secs(5)));
        assert!(status(NATIVE).is_native());
        assert_eq!(status(NATIVE).lifetime(), Lifetime::Outlives);
        for strange in ["", "{", "[]", r#"{"containers":["other"]}"#] {
            assert_eq!(status(strange).native, None, "{strange}");
        }
    }

    #[test]
    fn its_lifetime_is_what_its_configuration_says() {
        let configured = |text: &str| {
            istio(&json!({ "PROXY_CONFIG": { "terminationDrainDuration": text } })).lifetime()
        };
        assert_eq!(configured("30s"), Lifetime::Fixed(Duration::from_secs(30)));
        assert_eq!(configured("1.500s"), Lifetime::Fixed(Duration::from_millis(1_500)));
        assert_eq!(configured("soon"), Lifetime::Fixed(Duration::from_secs(5)));
        let busy = istio(&json!({ "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true" }));
        assert_eq!(busy.lifetime(), Lifetime::WhileBusy);
    }

    #[test]
    fn the_rest_is_read_as_it_stands() {
        let facts = istio(&json!({}));
        assert_eq!(facts.envoy_version.as_deref(), Some("1.32.2-dev"));
        assert_eq!(facts.istio_version.as_deref(), Some("1.24.0"));
        assert_eq!(
            (facts.drain_time, facts.drains_gradually),
            (Some(Duration::from_secs(45)), false)
        );
        assert_eq!(
            facts.instance_ips,
            ["10.1.2.3".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]
        );
    }

    #[test]
    fn a_plain_envoy_says_less() {
        let info = json!({
            "version": "0123/1.40.0/Clean/RELEASE/BoringSSL",
            "command_line_options": { "drain_time": "600s", "drain_strategy": "Gradual" },
            "node": { "id": "x", "metadata": {} },
        });
        let facts = ServerInfo::read(info.to_string().as_bytes()).unwrap();
        assert_eq!((facts.lifetime(), facts.native), (Lifetime::Unknown, None));
        assert!(facts.drains_gradually);
    }

    #[test]
    fn what_is_no_server_info_is_refused() {
        for body in ["", "LIVE", "[]", "{}", r#"{"version":7}"#] {
            assert!(ServerInfo::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
