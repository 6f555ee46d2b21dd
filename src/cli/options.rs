//! The options, in the groups that subcommands share; a group's heading is the one of `--help`.
//!
//! Owns names and help; must never judge a value.

use std::ffi::OsString;

use clap::Args;

// The headings of `--help`. A group that flattens another one names its own at each option behind
// it: clap keeps the inner one.
pub(super) const WAITING: &str = "Waiting";
pub(super) const CHECKS: &str = "Checks before the start";
const PARENT: &str = "Staying as the parent";
pub(super) const STOPPING: &str = "Stopping";
const QUITTING: &str = "Ending the proxy";

/// The variable of each option of any subcommand, without `MESHIM_`; and those without an option.
/// A test holds the options against the types below.
pub const VARIABLES: &[&str] = &[
    "ABSENT_AFTER",
    "ADMIN_URL",
    "ALLOW_REMOTE",
    "CHECK",
    "COLOR",
    "DEEP",
    "DRAIN",
    "DRAIN_MAX",
    "DRAIN_MIN",
    "DRAIN_QUIET",
    "GRACE",
    "LISTEN",
    "LOG",
    "LOG_FORMAT",
    "MAP_SIGNAL",
    "MESH",
    "OK_EXIT",
    "ON_TIMEOUT",
    "OUTPUT",
    "PARENT_DEATH_SIGNAL",
    "PROBE_TIMEOUT",
    "QUIT",
    "QUIT_URL",
    "READY_URL",
    "REQUEST_TIMEOUT",
    "SIGNAL_GROUP",
    "STOP_SIGNAL",
    "SUPERVISE",
    "TERMINATION_LOG",
    "TIMEOUT",
    "WAIT_FOR",
    // From the downward API and the policy: no person writes them.
    "INJECTED",
    "POD_GRACE",
];

/// Which proxy.
#[derive(Args, Debug)]
#[command(next_help_heading = "Proxy")]
pub struct ProxyArgs {
    /// Which proxy to expect: auto, istio, linkerd, consul, kuma, appmesh, osm, envoy or none
    /// [default: auto]
    #[arg(long, value_name = "NAME")]
    pub mesh: Option<OsString>,
    /// Envoy's admin API, as `http://127.0.0.1:15000` or `unix:/path/admin.sock` [default: by mesh]
    #[arg(long, value_name = "URL")]
    pub admin_url: Option<OsString>,
    /// The endpoint whose 200 means ready [default: by mesh]
    #[arg(long, value_name = "URL")]
    pub ready_url: Option<OsString>,
    /// Allow URLs that lead out of this pod [default: off]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub allow_remote: Option<OsString>,
    /// How long one look at an endpoint may take [default: 1s]
    #[arg(long, value_name = "D")]
    pub request_timeout: Option<OsString>,
}

/// Which proxy, and for how long.
#[derive(Args, Debug)]
#[command(next_help_heading = WAITING)]
pub struct WaitArgs {
    /// Which proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// How long to wait in all; 0 is for ever [default: 2m]
    #[arg(long, help_heading = WAITING, value_name = "D")]
    pub timeout: Option<OsString>,
    /// Go on without a proxy when none has shown up at all by then; 0 is at the first look
    /// [default: off]
    #[arg(long, help_heading = WAITING, value_name = "D")]
    pub absent_after: Option<OsString>,
    /// Another sidecar of this pod that must be ready, too: `http://127.0.0.1:8001/readyz` (200 to
    /// 399) or `tcp://127.0.0.1:5432` (takes connections); repeatable [default: none]
    #[arg(long, help_heading = WAITING, value_name = "URL")]
    pub wait_for: Vec<OsString>,
}

/// Where the application listens.
#[derive(Args, Debug)]
#[command(next_help_heading = CHECKS)]
pub struct ListenArgs {
    /// An address the application is going to listen on, as 0.0.0.0:8080; checked before start;
    /// repeatable
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<OsString>,
}

/// Staying as the application's parent.
#[derive(Args, Debug)]
#[command(next_help_heading = PARENT)]
pub struct SuperviseArgs {
    /// Stay as the application's parent: forward signals, reap, pass its exit code on; implied by
    /// --drain and --quit [default: off]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub supervise: Option<OsString>,
    /// On a stop signal, drain inbound traffic before stopping the application, with any mesh and
    /// with none [default: off]
    #[arg(long, help_heading = STOPPING, value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub drain: Option<OsString>,
    /// How long draining takes.
    #[command(flatten)]
    pub times: DrainTimesArgs,
    /// Kill the application this long after the first stop signal: draining and its own stop; 0 is
    /// at once [default: off]
    #[arg(long, help_heading = STOPPING, value_name = "D")]
    pub grace: Option<OsString>,
    /// End the proxy after the application: never, always (not with `restartPolicy: OnFailure`,
    /// whose retries would wait for a proxy that is gone), on-success or on-stop [default: never]
    #[arg(long, help_heading = QUITTING, value_name = "WHEN")]
    pub quit: Option<OsString>,
    /// Whom to ask.
    #[command(flatten)]
    pub urls: QuitUrlArgs,
    /// Send signals to the application's process group, not to the application alone
    /// [default: off]
    #[arg(long, help_heading = PARENT, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub signal_group: Option<OsString>,
    /// What the application gets instead of a signal, as TERM:QUIT; TERM:0 for nothing; repeatable
    #[arg(long, help_heading = PARENT, value_name = "FROM:TO")]
    pub map_signal: Vec<OsString>,
    /// An exit code of the application that counts as 0, as 143 for JVMs; repeatable
    #[arg(long, help_heading = PARENT, value_name = "CODE")]
    pub ok_exit: Vec<OsString>,
    /// What the kernel sends meshim when its own parent dies, and the application when meshim dies
    /// [default: off]
    #[arg(long, help_heading = PARENT, value_name = "SIG")]
    pub parent_death_signal: Option<OsString>,
}

/// How long draining takes.
#[derive(Args, Debug)]
#[command(next_help_heading = STOPPING)]
pub struct DrainTimesArgs {
    /// While draining, keep serving at least this long [default: 5s]
    #[arg(long, value_name = "D")]
    pub drain_min: Option<OsString>,
    /// While draining, keep serving at most this long [default: 15s]
    #[arg(long, value_name = "D")]
    pub drain_max: Option<OsString>,
    /// A connection on which nothing moved for this long, and which owes no answer, is idle
    /// [default: 2s]
    #[arg(long, value_name = "D")]
    pub drain_quiet: Option<OsString>,
}

/// Whom to ask to end.
#[derive(Args, Debug)]
#[command(next_help_heading = QUITTING)]
pub struct QuitUrlArgs {
    /// What to POST to end the proxy; repeatable, each is asked [default: by mesh]
    #[arg(long, value_name = "URL")]
    pub quit_url: Vec<OsString>,
}

/// Where to say what happens.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reporting")]
pub struct ReportArgs {
    /// How much to say on stderr: error, warn, info or debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<OsString>,
    /// How to say it: text, or json with one object a line [default: text]
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<OsString>,
    /// Where the reason of a failure goes for `kubectl describe pod`; never created
    /// [default: /dev/termination-log]
    #[arg(long, value_name = "PATH")]
    pub termination_log: Option<OsString>,
}
