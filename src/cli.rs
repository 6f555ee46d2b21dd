//! What may be typed: clap types only. Every value is text here; `config` gives it its meaning.
//!
//! Owns names, defaults and help; must never judge a value.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

/// Waits for the service mesh's proxy, then becomes the application.
#[derive(Debug, Parser)]
#[command(
    name = "meshim",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "meshim [OPTIONS] -- COMMAND [ARG]...\n       \
                      meshim wait|check|drain|quit [OPTIONS]\n       \
                      meshim probe TARGET\n       \
                      meshim install DIR",
    after_help = "Every option has a variable MESHIM_<NAME>; an empty variable counts as unset.\n\
                  Exit codes: the application's own; 128+n for signal n; 124 proxy not ready in time;\n\
                  125 meshim itself failed; 126 COMMAND cannot be executed; 127 COMMAND not found."
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
#[command(defer = true)] // only the one that was typed is worth building; its help begins with its own first line
pub enum Sub {
    /// Wait for the proxy, nothing else: exit 0 when it is ready, 1 when not in time
    #[command(override_usage = "meshim wait [OPTIONS]")]
    Wait(WaitOnlyArgs),
    /// Drain the proxy's inbound side, then return (preStop hook): exit 0 when idle or out of time,
    /// 1 when it cannot
    #[command(override_usage = "meshim drain [OPTIONS]")]
    Drain(DrainArgs),
    /// Ask the proxy to end: exit 0 when it will, or when Kubernetes ends it, else 1
    #[command(override_usage = "meshim quit [OPTIONS]")]
    Quit(QuitArgs),
    /// Judge identity and listen addresses; findings on stdout: exit 0 without an error among them,
    /// else 1
    #[command(override_usage = "meshim check [OPTIONS]")]
    Check(CheckArgs),
    /// One HTTP or TCP look, judged as the kubelet does: exit 0 for 200-399 or a connection, else 1
    #[command(
        override_usage = "meshim probe [OPTIONS] http://127.0.0.1:8080/healthz|tcp://127.0.0.1:8080"
    )]
    Probe(ProbeArgs),
    /// Copy this binary to DIR/meshim, for images without it (init container)
    #[command(override_usage = "meshim install DIR")]
    Install(InstallArgs),
}

/// `meshim [OPTIONS] -- COMMAND [ARG]...`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Which proxy, and for how long.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// What a timeout does: fail (exit 124) or start
    #[arg(long, env = "MESHIM_ON_TIMEOUT", value_name = "WHAT", default_value = "fail")]
    pub on_timeout: String,
    /// What an error finding before start does: enforce (exit 125), warn or off
    #[arg(long, env = "MESHIM_CHECK", value_name = "HOW", default_value = "enforce")]
    pub check: String,
    /// Where the application listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Staying as its parent.
    #[command(flatten)]
    pub supervise: SuperviseArgs,
    /// Where to say what happens.
    #[command(flatten)]
    pub report: ReportArgs,
    /// The application and its arguments, untouched
    #[arg(last = true, required = true, value_name = "COMMAND")]
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

/// Drain the proxy's inbound side, then return (preStop hook): exit 0 when idle or out of time, 1
/// when it cannot
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

/// Ask the proxy to end: exit 0 when it will, or when Kubernetes ends it, else 1
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

/// Staying as the application's parent.
#[derive(Args, Debug)]
pub struct SuperviseArgs {
    /// Stay as the application's parent: forward signals, reap, pass its exit code on; implied by
    /// --drain and --quit
    #[arg(long, env = "MESHIM_SUPERVISE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub supervise: String,
    /// On a stop signal, drain the proxy's inbound side before stopping the application
    #[arg(long, env = "MESHIM_DRAIN", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub drain: String,
    /// How long draining takes.
    #[command(flatten)]
    pub times: DrainTimesArgs,
    /// From the stop signal until the application is killed: draining and its own stop
    #[arg(long, env = "MESHIM_GRACE", value_name = "D", default_value = "28s")]
    pub grace: String,
    /// End the proxy after the application: never, always or on-success
    #[arg(long, env = "MESHIM_QUIT", value_name = "WHEN", default_value = "never")]
    pub quit: String,
    /// Whom to ask.
    #[command(flatten)]
    pub urls: QuitUrlArgs,
    /// What the application gets instead of a signal, as TERM:QUIT; TERM:0 for nothing; repeatable
    #[arg(long, env = "MESHIM_MAP_SIGNAL", value_name = "FROM:TO", value_delimiter = ',')]
    pub map_signal: Vec<String>,
    /// An exit code of the application that counts as 0, as 143 for JVMs; repeatable
    #[arg(long, env = "MESHIM_OK_EXIT", value_name = "CODE", value_delimiter = ',')]
    pub ok_exit: Vec<String>,
    /// The signal that the kernel sends meshim when its own parent dies [default: off]
    #[arg(long, env = "MESHIM_PARENT_DEATH_SIGNAL", value_name = "SIG")]
    pub parent_death_signal: Option<String>,
}

/// How long draining takes.
#[derive(Args, Debug)]
pub struct DrainTimesArgs {
    /// While draining, keep serving at least this long
    #[arg(long, env = "MESHIM_DRAIN_MIN", value_name = "D", default_value = "5s")]
    pub drain_min: String,
    /// While draining, keep serving at most this long
    #[arg(long, env = "MESHIM_DRAIN_MAX", value_name = "D", default_value = "15s")]
    pub drain_max: String,
}

/// Whom to ask to end.
#[derive(Args, Debug)]
pub struct QuitUrlArgs {
    /// What to POST to end the proxy; repeatable, each is asked [default: by mesh]
    #[arg(long, env = "MESHIM_QUIT_URL", value_name = "URL", value_delimiter = ',')]
    pub quit_url: Vec<String>,
}

/// Judge identity and listen addresses; findings on stdout: exit 0 without an error among them,
/// else 1
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Where the application listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Form of the findings: text, or json
    #[arg(long, env = "MESHIM_OUTPUT", value_name = "FORM", default_value = "text")]
    pub output: String,
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
    pub target: String,
    /// How long the look may take, connecting included
    // Not MESHIM_TIMEOUT, which the same container sets for the wait.
    #[arg(long = "timeout", env = "MESHIM_PROBE_TIMEOUT", value_name = "D", default_value = "1s")]
    pub probe_timeout: String,
    /// Allow URLs that lead out of this pod
    #[arg(long, env = "MESHIM_ALLOW_REMOTE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub allow_remote: String,
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

/// Where the application listens.
#[derive(Args, Debug)]
pub struct ListenArgs {
    /// An address the application is going to listen on, as 0.0.0.0:8080; checked before start;
    /// repeatable
    #[arg(long, env = "MESHIM_LISTEN", value_name = "ADDR:PORT", value_delimiter = ',')]
    pub listen: Vec<String>,
}

/// Which proxy, and for how long.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// How long to wait for the proxy; 0 is for ever
    #[arg(long, env = "MESHIM_TIMEOUT", value_name = "D", default_value = "2m")]
    pub timeout: String,
    /// Go on without a proxy when none has shown up at all by then [default: off]
    #[arg(long, env = "MESHIM_ABSENT_AFTER", value_name = "D")]
    pub absent_after: Option<String>,
}

/// Which proxy.
#[derive(Args, Debug)]
pub struct ProxyArgs {
    /// Which proxy to expect: auto, istio, linkerd, consul, kuma, appmesh, osm, envoy or none
    #[arg(long, env = "MESHIM_MESH", value_name = "NAME", default_value = "auto")]
    pub mesh: String,
    /// Envoy's admin API, as `http://127.0.0.1:15000` or `unix:/path/admin.sock` [default: by mesh]
    #[arg(long, env = "MESHIM_ADMIN_URL", value_name = "URL")]
    pub admin_url: Option<String>,
    /// The endpoint whose 200 means ready [default: by mesh]
    #[arg(long, env = "MESHIM_READY_URL", value_name = "URL")]
    pub ready_url: Option<String>,
    /// Allow URLs that lead out of this pod
    #[arg(long, env = "MESHIM_ALLOW_REMOTE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub allow_remote: String,
    /// How long one look at an endpoint may take
    #[arg(long, env = "MESHIM_REQUEST_TIMEOUT", value_name = "D", default_value = "1s")]
    pub request_timeout: String,
}

/// Where to say what happens.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// How much to say on stderr: error, warn, info or debug
    #[arg(long, env = "MESHIM_LOG", value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// How to say it: text, or json with one object a line
    #[arg(long, env = "MESHIM_LOG_FORMAT", value_name = "FORM", default_value = "text")]
    pub log_format: String,
    /// Where the reason of a failure goes for `kubectl describe pod`; never created
    #[arg(
        long,
        env = "MESHIM_TERMINATION_LOG",
        value_name = "PATH",
        default_value = "/dev/termination-log"
    )]
    pub termination_log: OsString,
}
