//! `meshim doctor`: what this proxy's own configuration and counters show.
//!
//! Orders the looks; the requests are in `requests`, every judgement is core's. Changes nothing.

mod requests;

use super::ending::{print, stopped};
use super::pod;
use super::runtime::until_stopped;
use crate::config::{Color, DoctorSettings, OutputFormat};
use crate::core::exit::{Exit, Failure};
use crate::core::findings::check::{JUDGES, judge_all};
use crate::core::findings::doctor::diagnosis::NotSeen;
use crate::core::findings::doctor::json::json;
use crate::core::findings::doctor::judges::judge;
use crate::core::findings::doctor::pages::{Container, PodSockets, Read};
use crate::core::findings::doctor::report::DoctorReport;
use crate::core::findings::doctor::text::{TextStyle, text};
use crate::core::sockets::connection::TcpState;
use crate::io::signals::StopSignals;
use crate::io::sockets::connections::Connections;
use crate::io::{processes, terminal};

/// How many connections are judged: 100 bytes each.
const MOST_CONNECTIONS: usize = 20_000;

/// `meshim doctor`: 0 without an error among the findings, else 1.
///
/// # Errors
/// stdout cannot be written.
pub fn doctor(settings: &DoctorSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    let report = match until_stopped(&mut stop, examine(settings))? {
        Ok(report) => report,
        Err(signal) => return Ok(stopped(signal, "reading what the proxy says")),
    };
    let told = if settings.check.form == OutputFormat::Json {
        json(&report)
    } else {
        text(&report, style(settings))
    };
    print(&told, if report.has_errors() { Exit::No } else { Exit::Yes }, stop)
}

fn style(settings: &DoctorSettings) -> TextStyle {
    let colors = match settings.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal::is_stdout(),
    };
    TextStyle { width: terminal::columns_of_stdout(), colors }
}

async fn examine(settings: &DoctorSettings) -> DoctorReport {
    let pod = pod::look(&settings.check).await;
    let mut pages = requests::pages(&pod, settings.deep).await;
    pages.sockets = connections(PodSockets::of(&pod));
    let of_proxy = pod.owners().proxy_uid();
    pages.container = processes::all()
        .map(|all| Container::of(&all, of_proxy))
        .map_err(|error| NotSeen::System(format!("/proc shows no processes: {error}")));
    DoctorReport::of(&pages, judge(&pages), judge_all(JUDGES, &pod))
}

fn connections(mut sockets: PodSockets) -> Read<PodSockets> {
    let told = Connections::open().each(|connection| {
        if connection.state != TcpState::Established {
            return;
        }
        if sockets.connections.len() < MOST_CONNECTIONS {
            sockets.connections.push(connection);
        } else {
            sockets.is_cut = true;
        }
    });
    told.map(|()| sockets).map_err(|error| {
        NotSeen::System(format!("neither sock_diag nor /proc/net/tcp tells connections: {error}"))
    })
}
