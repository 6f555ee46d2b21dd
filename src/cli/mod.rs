//! What may be typed: clap types only. Every value is what was typed, or nothing; `config` gives it
//! its meaning, its default, and looks into the environment where nothing was typed.
//!
//! Owns the subcommands, and in `options` the names and help of what several of them take; must
//! never judge a value. A new option is one field, its reader in `config`, and its name in
//! [`VARIABLES`].

mod examples;
mod options;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

use self::options::{CHECKS, STOPPING, WAITING};
pub use self::options::{
    DrainTimesArgs, ListenArgs, ProxyArgs, QuitUrlArgs, ReportArgs, SuperviseArgs, VARIABLES,
    WaitArgs,
};

/// Waits for the service mesh's proxy, then becomes the application.
#[derive(Debug, Parser)]
#[command(
    name = "meshim",
    version = env!("VERSION_AND_COMMIT"),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "meshim [OPTIONS] -- COMMAND [ARG]...\n       \
                      meshim wait|check|doctor|drain|quit [OPTIONS]\n       \
                      meshim probe TARGET\n       \
                      meshim install DIR\n       \
                      meshim help [SUBCOMMAND]",
    after_help = examples::RUN
)]
pub struct Cli {
    /// What to do, where it is not the default.
    #[command(subcommand)]
    pub subcommand: Option<Sub>,
    /// The default: wait, check, then exec.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do, where it is not the default.
#[derive(Debug, Subcommand)]
// Only the one that was typed is worth building; its help begins with its own first line.
#[command(defer = true)]
pub enum Sub {
    /// Wait for the proxy, nothing else: exit 0 when it is ready, 1 when not in time
    #[command(override_usage = "meshim wait [OPTIONS]", after_help = examples::WAIT)]
    Wait(WaitOnlyArgs),
    /// Drain inbound traffic with any mesh and with none, then return (preStop hook): exit 0,
    /// whatever came of it
    #[command(override_usage = "meshim drain [OPTIONS]", after_help = examples::DRAIN)]
    Drain(DrainArgs),
    /// Ask the proxy to end: exit 0 when it will, when Kubernetes ends it, or when there is none,
    /// else 1
    #[command(override_usage = "meshim quit [OPTIONS]", after_help = examples::QUIT)]
    Quit(QuitArgs),
    /// Is this pod all right from inside? Judge readiness, identity, listen addresses and what goes
    /// past the proxy; findings on stdout: exit 0 without an error among them, else 1
    #[command(override_usage = "meshim check [OPTIONS]", after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Read the proxy's own configuration and counters, and name the known pitfalls in them; exit 0
    /// without an error among the findings, else 1
    #[command(override_usage = "meshim doctor [OPTIONS]", after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// One HTTP or TCP look, judged as the kubelet does: exit 0 for 200-399 or a connection, else 1
    #[command(
        override_usage = "meshim probe [OPTIONS] http://127.0.0.1:8080/healthz|tcp://HOST:PORT",
        after_help = examples::PROBE
    )]
    Probe(ProbeArgs),
    /// Copy this binary to DIR/meshim, for images without it (init container)
    #[command(override_usage = "meshim install DIR", after_help = examples::INSTALL)]
    Install(InstallArgs),
}

/// `meshim [OPTIONS] -- COMMAND [ARG]...`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Which proxy, and for how long.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// What a timeout does: fail (exit 124) or start [default: fail]
    #[arg(long, help_heading = WAITING, value_name = "WHAT")]
    pub on_timeout: Option<OsString>,
    /// What an error finding before start does: enforce (exit 125), warn or off [default: enforce]
    #[arg(long, help_heading = CHECKS, value_name = "HOW")]
    pub check: Option<OsString>,
    /// Where the application listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Another signal that means "stop", as an image's STOPSIGNAL sends it; repeatable
    /// [default: TERM, INT, QUIT]
    #[arg(long, help_heading = STOPPING, value_name = "SIG")]
    pub stop_signal: Vec<OsString>,
    /// Staying as its parent.
    #[command(flatten)]
    pub supervise: SuperviseArgs,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
    /// The application and its arguments, untouched
    #[arg(last = true, required = true, help_heading = None, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Wait for the proxy, nothing else: exit 0 when it is ready, 1 when not in time
#[derive(Args, Debug)]
pub struct WaitOnlyArgs {
    /// Which proxy, and for how long.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Drain inbound traffic with any mesh and with none, then return (preStop hook): exit 0, whatever
/// came of it
#[derive(Args, Debug)]
pub struct DrainArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// How long.
    #[command(flatten)]
    pub times: DrainTimesArgs,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Ask the proxy to end: exit 0 when it will, when Kubernetes ends it, or when there is none,
/// else 1
#[derive(Args, Debug)]
pub struct QuitArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub urls: QuitUrlArgs,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Is this pod all right from inside? Judge readiness, identity, listen addresses and what goes
/// past the proxy; findings on stdout: exit 0 without an error among them, else 1
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Where the application listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Form of the findings: text, or json [default: text]
    #[arg(long, value_name = "FORM")]
    pub output: Option<OsString>,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Read the proxy's own configuration and counters, and name the known pitfalls in them; exit 0
/// without an error among the findings, else 1
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Read which clusters were used, too, and look twice at what needs time [default: off]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub deep: Option<OsString>,
    /// Form of the findings: text, or json [default: text]
    #[arg(long, value_name = "FORM")]
    pub output: Option<OsString>,
    /// Colours of the text: auto, which is on a terminal and without `NO_COLOR`, always or never
    /// [default: auto]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<OsString>,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// One HTTP or TCP look, judged as the kubelet does: exit 0 for 200-399 or a connection, else 1
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// What to look at: `http://127.0.0.1:8080/healthz`, `unix:/path.sock:/healthz` or
    /// `tcp://127.0.0.1:8080`
    #[arg(value_name = "TARGET")]
    pub target: OsString,
    /// How long the look may take, connecting included [default: 1s]
    // Not MESHIM_TIMEOUT, which the same container sets for the wait.
    #[arg(long = "timeout", value_name = "D")]
    pub probe_timeout: Option<OsString>,
    /// Allow URLs that lead out of this pod [default: off]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub allow_remote: Option<OsString>,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Copy this binary to DIR/meshim, for images without it (init container)
#[derive(Args, Debug)]
pub struct InstallArgs {
    /// Where the copy goes: a volume that the application's container mounts, too
    #[arg(value_name = "DIR")]
    pub directory: OsString,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
}
