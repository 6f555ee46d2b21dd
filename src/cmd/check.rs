//! `meshim check`, and the looks at listen addresses before start and once after it.
//!
//! Orders them; the judgement is core's. After start nothing here ever ends the application.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::pod::Pod;
use super::runtime::block_on;
use crate::config::{Check, Enforcement, Form};
use crate::core::exit::{Exit, Failure};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::identity::{self as ids, Identity};
use crate::core::findings::listen::messages::spoken_ports;
use crate::core::findings::listen::sockets::{Socket, owner};
use crate::core::findings::listen::{
    cases::Facts,
    judge::{before_start, for_real},
};
use crate::core::findings::report::Report;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::io::identity;

/// How long a supervised application is given to listen before nobody looks any more.
const LISTENS_WITHIN: Duration = Duration::from_mins(1);

/// How soon after the start it is looked at for the first time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// `meshim check`: 0 without an error among the findings, else 1.
///
/// # Errors
/// stdout cannot be written.
pub fn check(settings: &Check) -> Result<Exit, Failure> {
    let report = block_on(async {
        let pod = Pod::of(settings.proxy.as_ref(), settings.request_timeout).await;
        Ok(report(pod, &settings.listen))
    })?;
    let text = if settings.form == Form::Json { report.json() } else { report.text() };
    let written = std::io::stdout().write_all(text.as_bytes());
    written
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write to stdout: {error}")))?;
    Ok(if report.is_ok() { Exit::Yes } else { Exit::No })
}

fn report(pod: Pod, declared: &[SocketAddr]) -> Report {
    let (uid, gid) = identity::own();
    let ours = Identity { uid, gid, proxy_owner: pod.proxy_owner };
    let mut findings = ids::judge(pod.mesh, ours);
    findings.extend(for_real(&pod.facts(declared)));
    let mesh = match (pod.mesh, &pod.istio_version) {
        (Mesh::None, _) if pod.ambient => {
            "none in this pod (ambient: the node's ztunnel carries the traffic)".to_owned()
        }
        (Mesh::None, _) => "none: no mesh's proxy listens in this pod".to_owned(),
        (mesh, Some(version)) => format!("{mesh} {version}"),
        (mesh, None) => mesh.to_string(),
    };
    let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("mesh", mesh),
        ("identity", format!("user {uid}, group {gid}")),
        (
            "pod addresses",
            if addresses.is_empty() { "not known".to_owned() } else { addresses.join(", ") },
        ),
        ("listening", listening(&pod)),
    ];
    if let Some(forwarding) = &pod.forwarding {
        facts.push(("inbound traffic", forwarding.to_string()));
    }
    Report { findings, facts, not_seen: pod.not_seen }
}

/// `0.0.0.0 port 8080; 127.0.0.1 ports 9000-9002`
fn listening(pod: &Pod) -> String {
    let mut places: Vec<(String, Vec<u16>)> = Vec::new();
    for socket in ours(pod) {
        let address = socket.bound.address;
        let only = socket.bound.v6only == Some(true) && address.ip().is_unspecified();
        let place = format!("{}{}", address.ip(), if only { " (IPv6 only)" } else { "" });
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, ports)) => ports.push(address.port()),
            None => places.push((place, vec![address.port()])),
        }
    }
    if places.is_empty() {
        return "no process of this container listens on a TCP port".to_owned();
    }
    let each = places.iter().map(|(place, ports)| format!("{place} {}", spoken_ports(ports)));
    each.collect::<Vec<String>>().join("; ")
}

fn ours(pod: &Pod) -> impl Iterator<Item = &Socket> {
    let proxy_uid = pod.facts(&[]).proxy_uid;
    let is_ours = move |socket: &&Socket| owner(socket, pod.mesh, proxy_uid).is_ours();
    pod.sockets.iter().filter(is_ours)
}

/// Judges `--listen` before the wait, by what no answer of the proxy could change.
///
/// # Errors
/// An error finding, under `enforce`.
pub(super) fn listen_at_once(
    enforcement: Enforcement,
    mesh: Mesh,
    declared: &[SocketAddr],
) -> Result<(), Failure> {
    if enforcement == Enforcement::Off || declared.is_empty() {
        return Ok(());
    }
    let facts = Facts { mesh, proxy_uid: None, pod: &[], forwarding: None, sockets: &[], declared };
    enforce(enforcement, &before_start(&facts))
}

/// Judges `--listen` between the proxy's readiness and the start: then the inbound clusters are
/// there.
///
/// # Errors
/// An error finding, under `enforce`.
pub(super) async fn listen_before_start(
    enforcement: Enforcement,
    proxy: &Proxy,
    declared: &[SocketAddr],
    request_timeout: Duration,
) -> Result<(), Failure> {
    if enforcement == Enforcement::Off || declared.is_empty() {
        return Ok(());
    }
    let pod = Pod::of_forwarding(proxy, request_timeout).await;
    for not_seen in &pod.not_seen {
        tracing::info!("--listen is judged without {not_seen}");
    }
    enforce(enforcement, &before_start(&pod.facts(declared)))
}

/// Logs what is no error, and stops at an error under `enforce`.
///
/// # Errors
/// The errors, as one sentence.
pub(super) fn enforce(enforcement: Enforcement, findings: &[Finding]) -> Result<(), Failure> {
    let (errors, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| {
        finding.severity == Severity::Error && enforcement == Enforcement::Enforce
    });
    for finding in others {
        tracing::warn!("{finding}");
    }
    if errors.is_empty() {
        return Ok(());
    }
    let errors: Vec<String> = errors.into_iter().map(ToString::to_string).collect();
    Err(Failure::new(
        Exit::Failed,
        format!("{}; --check warn starts all the same", errors.join("; ")),
    ))
}

/// Once after start, for a supervisor: waits until the application's sockets are the same twice in
/// a row (it may open several), judges them and logs the findings. Ends by itself after a minute
/// without any. May be dropped at any time.
pub async fn after_start(proxy: &Proxy, declared: &[SocketAddr], request_timeout: Duration) {
    let began = Instant::now();
    let mut before: Vec<SocketAddr> = Vec::new();
    while began.elapsed() < LISTENS_WITHIN {
        let now = began.elapsed();
        // Some 25 looks in the whole minute: an application that never listens is hardly ever woken
        // up for.
        sleep((now / 4).max(FIRST_PAUSE)).await;
        let pod = Pod::of_sockets(Some(proxy.mesh));
        let listening: Vec<SocketAddr> = ours(&pod).map(|socket| socket.bound.address).collect();
        if !listening.is_empty() && listening == before {
            let pod = Pod::of_listening(proxy, request_timeout).await;
            let findings = for_real(&pod.facts(declared));
            for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
                tracing::warn!("{finding}");
            }
            tracing::debug!(findings = findings.len(), "looked at where the application listens");
            return;
        }
        before = listening;
    }
    tracing::debug!("the application has not listened on any port within a minute");
}
