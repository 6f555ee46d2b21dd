//! Why the proxy is not ready: the last things seen, turned into a likely cause and a remedy.
//!
//! Owns the words of waiting; must never look anywhere itself.

use crate::core::answer::Fault;
use crate::core::endpoint::{Address, Endpoint};
use crate::core::envoy::state::State;
use crate::core::mesh::Mesh;
use crate::core::waiting::observation::Observation;

/// An endpoint and what was last seen there.
pub type Seen<'a> = (&'a Endpoint, &'a Observation);

/// `http://127.0.0.1:15000/ready: 503 PRE_INITIALIZING`, for each endpoint that was looked at.
#[must_use]
pub fn last_seen(seen: &[Seen<'_>]) -> String {
    let each: Vec<String> =
        seen.iter().map(|(endpoint, seen)| format!("{endpoint}: {seen}")).collect();
    if each.is_empty() { "no look has been answered yet".to_owned() } else { each.join(", ") }
}

/// What else is known when the wait is over.
#[derive(Debug, Default)]
pub struct Hints {
    /// Envoy's own init targets, where it could be asked.
    pub unready: Vec<String>,
    /// Another mesh, whose proxy's ports are listened on in this pod.
    pub other_mesh: Option<Mesh>,
}

/// The likely cause and the remedy, as a clause.
#[expect(clippy::too_many_lines, reason = "one table of sentences, one row a cause")]
#[must_use]
pub fn advice(mesh: Mesh, seen: &[Seen<'_>], hints: &Hints) -> String {
    let state = seen.iter().find_map(|(_, seen)| match seen {
        Observation::NotReady { state, .. } if !state.is_silent() => Some(state),
        _ => None,
    });
    let foreign = seen.iter().find(|(_, seen)| matches!(seen, Observation::Foreign { .. }));
    let all = |is: fn(&Observation) -> bool| seen.iter().all(|(_, seen)| is(seen));
    let any = |is: fn(&Observation) -> bool| seen.iter().any(|(_, seen)| is(seen));

    if seen.is_empty() {
        return "it is too early to say why".to_owned();
    }
    if all(|seen| matches!(seen, Observation::Failed(Fault::Refused))) {
        if let Some(other) = hints.other_mesh {
            return format!(
                "nobody listens there, but the {other} proxy's ports are taken: is --mesh {other} \
                 meant?"
            );
        }
        let neighbour = neighbour(seen);
        return format!(
            "nobody listens there: is the {mesh} sidecar injected and running?{neighbour}"
        );
    }
    if any(|seen| matches!(seen, Observation::Ready)) {
        let plane = control_plane(mesh);
        return format!(
            "Envoy is LIVE but the authority says no: was the configuration from {plane} rejected?"
        );
    }
    if let Some(state @ (State::PreInitializing | State::Initializing)) = state {
        let unready = &hints.unready;
        let targets = if unready.is_empty() {
            "its first configuration".to_owned()
        } else {
            unready.join(", ")
        };
        let plane = control_plane(mesh);
        return format!(
            "Envoy is {state} and waits for {targets}: is {plane} reachable from this pod?"
        );
    }
    if state == Some(&State::Draining) {
        return "the proxy is draining: is this pod being ended, or did somebody POST \
                /healthcheck/fail?"
            .to_owned();
    }
    if let Some((endpoint, seen)) = foreign {
        let port = port_of(endpoint);
        return format!(
            "{port} belongs to somebody else's server or has no such path ({seen}): check --mesh \
             and the URLs"
        );
    }
    if any(|seen| matches!(seen, Observation::Locked)) {
        return "the proxy allows other paths only: add this one to its admin allow_paths, or set \
                --ready-url"
            .to_owned();
    }
    if any(|seen| matches!(seen, Observation::Failed(Fault::Broken(_)))) {
        return "what listens there hangs up or speaks no HTTP/1.1: is the port another server's? \
                Check --mesh and the URLs"
            .to_owned();
    }
    if any(|seen| matches!(seen, Observation::Failed(Fault::Silent))) {
        return "it accepts connections and does not answer: is the proxy starved of CPU, or hung?"
            .to_owned();
    }
    if any(|seen| matches!(seen, Observation::Failed(Fault::Unreachable(_)))) {
        return "the address cannot be reached from this container: check the URL and its \
                permissions"
            .to_owned();
    }
    let plane = control_plane(mesh);
    format!("the proxy answers and is not ready: look at its log, and whether {plane} is reachable")
}

/// Who configures this mesh's proxies.
const fn control_plane(mesh: Mesh) -> &'static str {
    match mesh {
        Mesh::Istio => "istiod",
        Mesh::Linkerd => "linkerd's identity and destination service",
        Mesh::Consul => "the Consul server",
        Mesh::Kuma => "kuma-cp",
        Mesh::AppMesh => "the App Mesh endpoint",
        Mesh::Osm => "osm-controller",
        Mesh::Envoy | Mesh::None => "its xDS server",
    }
}

fn port_of(endpoint: &Endpoint) -> String {
    match &endpoint.address {
        Address::Tcp { port, .. } => format!("port {port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

/// A socket file that is not there is mostly in another container.
fn neighbour(seen: &[Seen<'_>]) -> &'static str {
    let unix = seen.iter().any(|(endpoint, _)| matches!(endpoint.address, Address::Unix(_)));
    if unix { " (a Unix socket must be on a volume that both containers mount)" } else { "" }
}

/// What to say where no port showed any mesh at all.
#[must_use]
pub fn nothing_found(strangers: &[(Mesh, Observation)]) -> String {
    let mut text = "no mesh's proxy listens in this pod: is a sidecar injected (look for a second \
                    container)? \
                    A proxy on ports of its own needs --mesh or --admin-url; a pod without a mesh, \
                    --absent-after"
        .to_owned();
    for (mesh, seen) in strangers {
        use std::fmt::Write as _;
        let _ = write!(text, "; the {mesh} proxy's port was tried and answered {seen}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(mesh: Mesh, seen: &[(&str, Observation)], unready: &[&str]) -> String {
        let seen: Vec<(Endpoint, Observation)> =
            seen.iter().map(|(url, seen)| (url.parse().unwrap(), seen.clone())).collect();
        let seen: Vec<Seen<'_>> = seen.iter().map(|(endpoint, seen)| (endpoint, seen)).collect();
        let unready = unready.iter().map(|name| (*name).to_owned()).collect();
        format!(
            "{}; {}",
            last_seen(&seen),
            advice(mesh, &seen, &Hints { unready, other_mesh: None })
        )
    }

    fn not_ready(word: &str) -> Observation {
        Observation::NotReady { status: 503, state: State::of(word.as_bytes()) }
    }

    const ADMIN: &str = "http://127.0.0.1:15000/ready";
    const AGENT: &str = "http://127.0.0.1:15021/healthz/ready";

    #[test]
    fn each_last_sight_has_its_own_cause() {
        let refused = || Observation::Failed(Fault::Refused);
        let foreign = Observation::Foreign { status: 404, server: Some("nginx".to_owned()) };
        let table = [
            (vec![(ADMIN, refused()), (AGENT, refused())], "is the istio sidecar injected"),
            (vec![("unix:/a/b.sock:/ready", refused())], "a volume that both containers mount"),
            (
                vec![(ADMIN, not_ready("PRE_INITIALIZING")), (AGENT, not_ready(""))],
                "waits for LDS, CDS: is istiod",
            ),
            (
                vec![(ADMIN, Observation::Ready), (AGENT, not_ready(""))],
                "was the configuration from istiod rejected",
            ),
            (vec![(ADMIN, not_ready("DRAINING"))], "is draining"),
            (
                vec![(AGENT, foreign)],
                "port 15021 belongs to somebody else's server or has no such path (404 from a \
                 server that calls itself `nginx`)",
            ),
            (vec![(ADMIN, Observation::Locked), (AGENT, refused())], "allow_paths"),
            (vec![(ADMIN, Observation::Failed(Fault::Silent))], "starved of CPU"),
            (
                vec![(ADMIN, Observation::Failed(Fault::Unreachable("denied".to_owned())))],
                "cannot be reached",
            ),
            (vec![(AGENT, not_ready(""))], "look at its log"),
        ];
        for (seen, cause) in table {
            let text = say(Mesh::Istio, &seen, &["LDS", "CDS"]);
            assert!(text.contains(cause), "{text}");
        }
    }

    #[test]
    fn another_meshs_proxy_is_pointed_at() {
        let (url, refused) = (ADMIN.parse().unwrap(), Observation::Failed(Fault::Refused));
        let hints = Hints { unready: Vec::new(), other_mesh: Some(Mesh::Linkerd) };
        let text = advice(Mesh::Istio, &[(&url, &refused)], &hints);
        assert!(text.contains("is --mesh linkerd meant?"), "{text}");
    }

    #[test]
    fn before_the_first_answer_nothing_is_blamed() {
        assert_eq!(
            say(Mesh::Istio, &[], &[]),
            "no look has been answered yet; it is too early to say why"
        );
    }

    #[test]
    fn what_was_seen_is_said_with_its_address() {
        let text = say(Mesh::Istio, &[(ADMIN, not_ready("INITIALIZING"))], &[]);
        assert!(text.starts_with("http://127.0.0.1:15000/ready: 503 INITIALIZING; "), "{text}");
    }
}
