//! What the proxy says about itself that decides how long it lives beside us, from Envoy's
//! `/server_info`.
//!
//! Owns the reading of it. The answer holds every label and annotation of the pod: must never keep
//! or log more than what is named here.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::envoy::json;
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{Path, Picker};
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;

/// istio: `mesh/v1alpha1/config.proto`, `terminationDrainDuration`.
const DEFAULT_TERMINATION_DRAIN: Duration = Duration::from_secs(5);

/// The sidecar's container name in `sidecar.istio.io/status` (istio: `pkg/kube/inject`).
const SIDECAR: &str = "istio-proxy";

/// What we know of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// How far it is; every Envoy says so.
    pub state: Option<State>,
    /// Envoy's version, as `1.32.2-dev`.
    pub envoy_version: Option<String>,
    /// Istio's version, where it is Istio's.
    pub istio_version: Option<String>,
    /// A native sidecar (KEP-753): `None` where the proxy does not say.
    pub native: Option<bool>,
    /// How long an Istio proxy lives after its SIGTERM, where it says so.
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

const WANTED: &[Path] = &[
    &["version"],
    &["state"],
    &["command_line_options", "drain_time"],
    &["command_line_options", "drain_strategy"],
    &["node", "metadata", "ISTIO_VERSION"],
    &["node", "metadata", "INSTANCE_IPS"],
    &["node", "metadata", "EXIT_ON_ZERO_ACTIVE_CONNECTIONS"],
    &["node", "metadata", "PROXY_CONFIG", "terminationDrainDuration"],
    &["node", "metadata", "ANNOTATIONS", "sidecar.istio.io/status"],
];

/// Longer than any part that is wanted.
const MOST_PART: usize = 16 * 1024;

/// Reads `/server_info`. Its parts are picked one by one: what is `null` or of another type loses
/// nothing but itself, and `node.extensions`, over 100 KB, is never held.
#[derive(Debug)]
pub struct ServerInfoPage {
    picker: Picker,
    info: ServerInfo,
    is_istio: bool,
}

impl Page for ServerInfoPage {
    type Content = ServerInfo;
    const QUERY: &'static str = "/server_info";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(2);

    fn begin() -> Self {
        Self {
            picker: Picker::new(WANTED, MOST_PART),
            info: ServerInfo::default(),
            is_istio: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, info, is_istio } = self;
        picker.feed(bytes, &mut |path, part| {
            *is_istio |= path.last() == Some(&"ISTIO_VERSION") && part != Some(b"null");
            info.learn(path, part);
        })
    }

    fn end(mut self) -> Result<ServerInfo, Unread> {
        self.picker.finish()?;
        if self.info.state.is_none() {
            return Err(Unread::Garbage("the body is not Envoy's server_info".to_owned()));
        }
        if self.is_istio {
            self.info.termination_drain.get_or_insert(DEFAULT_TERMINATION_DRAIN);
        } else {
            self.info.termination_drain = None;
        }
        Ok(self.info)
    }
}

impl ServerInfo {
    fn learn(&mut self, path: Path, part: Option<&[u8]>) {
        let text = || page::value::<String>(part);
        match path {
            ["version"] => {
                let version = text();
                let version = version.as_deref().and_then(|version| version.split('/').nth(1));
                self.envoy_version = version.filter(|version| is_plain(version)).map(str::to_owned);
            }
            ["state"] => self.state = text().map(|state| State::of(state.as_bytes())),
            [.., "drain_time"] => self.drain_time = text().and_then(|text| parse_duration(&text)),
            [.., "drain_strategy"] => {
                self.drains_gradually = text().is_some_and(|name| name == "Gradual");
            }
            [.., "ISTIO_VERSION"] => {
                self.istio_version = text().filter(|version| is_plain(version));
            }
            [.., "INSTANCE_IPS"] => {
                let ips = text().unwrap_or_default();
                self.instance_ips =
                    ips.split(',').filter_map(|ip| ip.trim().parse().ok()).collect();
            }
            [.., "EXIT_ON_ZERO_ACTIVE_CONNECTIONS"] => {
                self.exits_on_zero = text().is_some_and(|value| value == "true");
            }
            [.., "terminationDrainDuration"] => {
                self.termination_drain = text().and_then(|text| parse_duration(&text));
            }
            [.., "sidecar.istio.io/status"] => {
                self.native = text().and_then(|status| is_native(&status));
            }
            _ => {}
        }
    }
}

/// `sidecar.istio.io/status`: a native sidecar stands among the init containers (istio:
/// `webhook.go`).
fn is_native(status: &str) -> Option<bool> {
    let (mut is_init_container, mut is_container) = (false, false);
    let read = json::read(status.as_bytes(), &mut |status| {
        status.fields(&mut |name, names| {
            let found = match name {
                "initContainers" => &mut is_init_container,
                "containers" => &mut is_container,
                _ => return,
            };
            names.items(&mut |name| name.with_text(&mut |name| *found |= name == SIDECAR));
        });
    });
    read.ok()?;
    match (is_init_container, is_container) {
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
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (seconds, fraction) =
        text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, "0"));
    let nanoseconds = format!("{fraction:0<9}")
        .parse()
        .ok()
        .filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some(Duration::new(seconds.parse().ok()?, nanoseconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::envoy::page::whole;

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
            "command_line_options": {
                "drain_time": "45s", "drain_strategy": "Immediate", "concurrency": 2,
            },
            "node": {
                "id": "x", "metadata": all, "extensions": [{ "name": "a", "type_urls": [] }],
            },
        });
        whole::<ServerInfoPage>(info.to_string().as_bytes()).unwrap()
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
            "state": "PRE_INITIALIZING",
            "command_line_options": { "drain_time": "600s", "drain_strategy": "Gradual" },
            "node": { "id": "x", "metadata": {} },
        });
        let facts = whole::<ServerInfoPage>(info.to_string().as_bytes()).unwrap();
        assert_eq!((facts.lifetime(), facts.native), (Lifetime::Unknown, None));
        assert!(facts.drains_gradually);
        assert_eq!(facts.state, Some(State::PreInitializing));
    }

    #[test]
    fn one_null_or_one_wrong_type_loses_nothing_but_itself() {
        let whole_info = istio(&json!({ "ANNOTATIONS": { "sidecar.istio.io/status": NATIVE } }));
        assert_eq!((whole_info.native, whole_info.instance_ips.len()), (Some(true), 2));
        for nothing in [json!(null), json!(7), json!([]), json!({ "a": null })] {
            let info = json!({
                "version": nothing, "state": "LIVE", "command_line_options": nothing,
                "node": { "metadata": {
                    "ISTIO_VERSION": "1.24.0", "INSTANCE_IPS": "10.1.2.3", "PROXY_CONFIG": nothing,
                    "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": nothing,
                    "ANNOTATIONS": { "sidecar.istio.io/status": nothing, "a": nothing },
                } },
            });
            let facts = whole::<ServerInfoPage>(info.to_string().as_bytes()).unwrap();
            assert_eq!(facts.istio_version.as_deref(), Some("1.24.0"), "{nothing}");
            assert_eq!(facts.instance_ips.len(), 1, "{nothing}");
            assert_eq!(facts.lifetime(), Lifetime::Fixed(Duration::from_secs(5)), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_server_info_is_refused() {
        for body in ["", "LIVE", "[]", "{}", r#"{"version":7}"#, r#"{"state":null}"#] {
            assert!(whole::<ServerInfoPage>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
