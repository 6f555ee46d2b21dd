//! What `--quit always` still does where other settings are wrong: whatever of them can be used.
//!
//! Owns which settings that needs; must never tell what is wrong, which has been told by then.

use std::time::Duration;

use super::reader::Reader;
use super::{Input, SuperviseSettings};
use crate::cli::RunArgs;
use crate::core::duration;
use crate::core::endpoint::Endpoint;
use crate::core::proxy::Given;
use crate::core::stopping::quit_when::QuitWhen;
use crate::core::waiting::pacing::WaitLimits;
use crate::core::waiting::wait::WaitPlan;

/// How long a proxy that is only to be asked to end is waited for at most, also where `--timeout`
/// allows more: nothing else is going to happen in this container.
const LONGEST: Duration = Duration::from_mins(2);

/// When a pod in which `auto` sees no proxy, and whose traffic nobody redirects, is taken for one
/// without a mesh, unless `--absent-after` says another time: a typing error in a pod without a
/// mesh is not to cost minutes at each restart. A sidecar of whose listening nothing is seen yet
/// has had its iptables rules since before this container.
const ABSENT_AFTER: Duration = Duration::from_secs(10);

/// `limits` as they bound a wait for a proxy that is only to be asked to end.
fn bounded(limits: WaitLimits, given: &Given) -> WaitLimits {
    let usual = given.mesh.is_none().then_some(ABSENT_AFTER);
    WaitLimits {
        timeout: Some(limits.timeout.map_or(LONGEST, |timeout| timeout.min(LONGEST))),
        absent_after: limits.absent_after.or(usual),
        ..limits
    }
}

/// How a proxy is ended whose application never starts.
#[derive(Clone, Debug)]
pub struct Unstarted {
    /// Which proxy, and how long it may take to show up.
    pub wait: WaitPlan,
    /// Whom to ask; empty is the mesh's own.
    pub quit_urls: Vec<Endpoint>,
    /// How long all of it may take after a stop signal; `None` is the usual time.
    pub grace: Option<Duration>,
}

impl Unstarted {
    /// By settings that are right.
    #[must_use]
    pub fn of(wait: &WaitPlan, supervise: &SuperviseSettings) -> Self {
        let limits = bounded(wait.limits, &wait.given);
        Self {
            wait: WaitPlan { limits, others: Vec::new(), ..wait.clone() },
            quit_urls: supervise.quit_urls.clone(),
            grace: supervise.grace,
        }
    }
}

/// By what can be used of settings some of which are wrong; `None` unless `--quit always` is among
/// them. What is wrong has been told by whoever has read them before.
pub(super) fn of_wrong(input: &Input, args: &RunArgs) -> Option<Unstarted> {
    let mut reader = Reader::new(input);
    let quit = reader.quit_when(args.supervise.quit.as_ref()).ok()?;
    if quit != QuitWhen::Always {
        return None;
    }
    let remote = reader.remote(args.wait.proxy.allow_remote.as_ref());
    let given = reader.proxy(&args.wait.proxy, remote).unwrap_or_default();
    let injected = reader.injected().ok().flatten();
    let optional = |reader: &mut Reader<'_>, id, typed| {
        reader.optional(id, typed, duration::parse).ok().flatten()
    };
    let timeout = optional(&mut reader, "timeout", args.wait.timeout.as_ref());
    let timeout = timeout.filter(|timeout| !timeout.is_zero());
    let limits = WaitLimits {
        timeout,
        absent_after: optional(&mut reader, "absent_after", args.wait.absent_after.as_ref()),
        request_timeout: reader.request_timeout(&args.wait.proxy).unwrap_or(Duration::from_secs(1)),
    };
    Some(Unstarted {
        wait: WaitPlan { limits: bounded(limits, &given), given, injected, others: Vec::new() },
        quit_urls: reader.quit_urls(&args.supervise.urls, remote).unwrap_or_default(),
        grace: optional(&mut reader, "grace", args.supervise.grace.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::super::{Loaded, load};
    use super::*;
    use crate::core::mesh::Mesh;

    /// What is left of settings that are wrong.
    fn left(args: &[&str], variables: &[(&str, &str)]) -> Option<Unstarted> {
        let Loaded { job, unstarted, .. } = load(&Input::of(args, variables));
        assert!(job.is_err(), "{args:?}");
        unstarted
    }

    #[test]
    fn whatever_can_be_used_is_used() {
        let args = ["--quit=always", "--mesh=istio", "--timeout=10s", "--listen=x", "--", "app"];
        let unstarted = left(&args, &[]).unwrap();
        assert_eq!(unstarted.wait.given.mesh, Some(Mesh::Istio));
        assert_eq!(unstarted.wait.limits.timeout, Some(Duration::from_secs(10)));
        let args = ["--quit=always", "--mesh=isto", "--timeout=1h", "--grace=7s", "--", "app"];
        let unstarted = left(&args, &[]).unwrap();
        assert_eq!(unstarted.wait.given.mesh, None);
        assert_eq!(unstarted.wait.limits.timeout, Some(LONGEST));
        assert_eq!(unstarted.grace, Some(Duration::from_secs(7)));
        let variables = [("MESHIM_QUIT", "always"), ("MESHIM_TIMEOUT", "soon")];
        let unstarted = left(&["--", "app"], &variables).unwrap();
        assert_eq!(unstarted.wait.limits.timeout, Some(LONGEST));
        // A command line that clap refuses.
        assert!(left(&["--quit=always", "--tymeout=1s", "--", "app"], &[]).is_some());
        let args = ["--tymeout", "1s", "--mesh=istio", "--quit", "always", "--", "--tymeout"];
        assert_eq!(left(&args, &[]).unwrap().wait.given.mesh, Some(Mesh::Istio));
        assert!(left(&["--tymeout=1s", "--", "app"], &variables).is_some());
    }

    #[test]
    fn nothing_is_done_where_it_was_not_asked_for_or_nothing_was_to_start() {
        for quit in ["--quit=on-success", "--quit=on-stop", "--quit=sometimes", "--supervise"] {
            assert!(left(&[quit, "--timeout=x", "--", "app"], &[]).is_none(), "{quit}");
        }
        // By hand in a pod whose container sets it.
        let always = [("MESHIM_QUIT", "always")];
        for args in [&["drian"][..], &["quit", "--mesh=x"], &["wait", "--timeout=x"], &[]] {
            assert!(left(args, &always).is_none(), "{args:?}");
        }
    }

    #[test]
    fn a_pod_without_a_mesh_is_not_waited_in_for_minutes() {
        let absent_after = |args: &[&str]| left(args, &[]).unwrap().wait.limits.absent_after;
        let bad = ["--quit=always", "--log=loud", "--", "app"];
        assert_eq!(absent_after(&bad), Some(ABSENT_AFTER));
        let given = [&["--absent-after=3s"], &bad[..]].concat();
        assert_eq!(absent_after(&given), Some(Duration::from_secs(3)));
        // Who names a mesh says that there is one.
        assert_eq!(absent_after(&[&["--mesh=kuma"], &bad[..]].concat()), None);
        let settings = run(&["--quit=always"]);
        let unstarted = Unstarted::of(&settings.wait, &settings.supervise.unwrap());
        assert_eq!(unstarted.wait.limits.absent_after, Some(ABSENT_AFTER));
    }

    #[test]
    fn a_longer_timeout_is_cut() {
        let settings = run(&["--quit=always", "--timeout=0", "--quit-url=http://127.0.0.1:1/q"]);
        let unstarted = Unstarted::of(&settings.wait, &settings.supervise.unwrap());
        assert_eq!(unstarted.wait.limits.timeout, Some(LONGEST));
        assert_eq!(unstarted.quit_urls.len(), 1);
    }
}
