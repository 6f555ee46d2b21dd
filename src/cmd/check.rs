//! `meshim check`, and the looks at listen addresses before start and once after it.
//!
//! Owns their order; the judgement is core's. Must never end the application once it has started.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ending::{print, stopped};
use super::pod;
use super::runtime::until_stopped;
use crate::config::{CheckSettings, Enforcement, OutputFormat};
use crate::core::exit::{Exit, Failure};
use crate::core::findings::check::{JUDGES, judge_all};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::identity as ids;
use crate::core::findings::listen::facts;
use crate::core::findings::listen::judge::before_the_wait;
use crate::core::findings::listen::settling::Settling;
use crate::core::findings::report::CheckReport;
use crate::core::proxy::Proxy;
use crate::io::signals::StopSignals;

/// `meshim check`: 0 without an error among the findings, else 1.
///
/// # Errors
/// stdout cannot be written.
pub fn check(settings: &CheckSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    let pod = match until_stopped(&mut stop, pod::look(settings))? {
        Ok(pod) => pod,
        Err(signal) => return Ok(stopped(signal, "looking at this pod")),
    };
    let verdict = judge_all(JUDGES, &pod);
    let report = CheckReport {
        findings: verdict.findings,
        facts: facts::of(&pod),
        not_seen: verdict.not_seen,
        judges: verdict.judges,
        blind: verdict.blind,
    };
    let text = if settings.form == OutputFormat::Json { report.json() } else { report.text() };
    print(&text, if report.has_errors() { Exit::No } else { Exit::Yes }, stop)
}

/// Judges who we are beside this proxy, and where the application is going to listen by what no
/// answer of the proxy could change.
///
/// # Errors
/// An error finding, under `enforce`.
pub(super) fn at_once(
    enforcement: Enforcement,
    proxy: &Proxy,
    declared: &[SocketAddr],
) -> Result<(), Failure> {
    if enforcement == Enforcement::Off {
        return Ok(());
    }
    enforce(enforcement, &ids::judge(&pod::of_identity(proxy.clone())).findings)?;
    enforce(enforcement, &before_the_wait(proxy, declared))
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
    let judged = pod::judge_before_start(proxy, declared, request_timeout).await;
    for not_seen in &judged.not_seen {
        tracing::info!(event = "not_seen", "--listen is judged without {not_seen}");
    }
    enforce(enforcement, &judged.findings)
}

fn warn_of(finding: &Finding) {
    tracing::warn!(
        event = "finding",
        code = %finding.code,
        severity = finding.severity_name(),
        "{finding}"
    );
}

/// Logs what is no error, and stops at an error under `enforce`.
///
/// # Errors
/// The errors, as one sentence.
fn enforce(enforcement: Enforcement, findings: &[Finding]) -> Result<(), Failure> {
    let (errors, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| {
        finding.severity == Severity::Error && enforcement == Enforcement::Enforce
    });
    for finding in others {
        warn_of(finding);
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
    let (began, mut settling) = (Instant::now(), Settling::default());
    while let Some(rest) = settling.rest(began.elapsed()) {
        sleep(rest).await;
        let pod = pod::of_sockets(proxy.clone());
        let listening = pod.application().iter().map(|(socket, _)| socket.bound.address).collect();
        if settling.has_settled(listening) {
            let findings = pod::judge_for_real(proxy, declared, request_timeout).await.findings;
            for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
                warn_of(finding);
            }
            tracing::debug!(findings = findings.len(), "looked at where the application listens");
            return;
        }
    }
    tracing::debug!("the application has not listened on any port within a minute");
}
