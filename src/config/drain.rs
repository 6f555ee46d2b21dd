//! How long draining may take: settings of `meshim drain`, and a part of a supervised run's.
//!
//! Owns the defaults, and that a default yields to what was given; must never know of a proxy's
//! life, by which the plan is cut later.

use std::time::Duration;

use super::reader::{Reader, Wrong};
use crate::cli::{DrainArgs, DrainTimesArgs};
use crate::core::duration::{self, Spoken};
use crate::core::proxy::Given;
use crate::core::stopping::plan::Times;

/// Keep serving at least this long: what kube-proxy and other proxies usually need to hear that
/// this pod is going.
const MIN: Duration = Duration::from_secs(5);

/// Keep serving at most this long: half of a pod's usual 30 s.
const MAX: Duration = Duration::from_secs(15);

/// A connection is idle after this long: longer than the pauses of most streams, and hidden in
/// [`MIN`], since what moved before the stop signal counts.
const QUIET: Duration = Duration::from_secs(2);

/// What a default leaves of a given `--grace` for the application's own stop.
const OWN_STOP: Duration = Duration::from_secs(2);

/// Settings of `meshim drain`.
#[derive(Debug)]
pub struct DrainSettings {
    /// What the user said about the proxy; the rest is learnt from what listens in the pod.
    pub given: Given,
    /// How long.
    pub times: Times,
}

impl Reader<'_> {
    pub(super) fn drain(&mut self, args: &DrainArgs) -> Result<DrainSettings, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        let request_timeout = self.request_timeout(&args.proxy);
        // A hook knows nothing of the application's own stop.
        let times = self.times(&args.times, None);
        remote?;
        request_timeout?;
        Ok(DrainSettings { given: given?, times: times? })
    }

    /// Only values that were given can contradict each other; a default yields. `grace` is
    /// `--grace`, where it was given.
    pub(super) fn times(
        &mut self,
        args: &DrainTimesArgs,
        grace: Option<Duration>,
    ) -> Result<Times, Wrong> {
        let min = self.optional("drain_min", args.drain_min.as_ref(), duration::parse);
        let max = self.optional("drain_max", args.drain_max.as_ref(), duration::parse);
        let quiet = self.optional("drain_quiet", args.drain_quiet.as_ref(), duration::parse);
        let (min, max, quiet) = (min?, max?, quiet?);
        let mut ok = Ok(());
        for (id, value) in [("drain_min", min), ("drain_quiet", quiet)] {
            if let (Some(value), Some(max)) = (value, max)
                && value > max
            {
                let problem = format!("{} is above --drain-max {}", Spoken(value), Spoken(max));
                ok = Err(self.problem(id, problem));
            }
        }
        for (id, value) in [("drain_min", min), ("drain_max", max), ("drain_quiet", quiet)] {
            if let (Some(value), Some(grace)) = (value, grace)
                && value >= grace
            {
                let problem = format!(
                    "{} is not below --grace {}, so the application would be killed while it \
                     drains",
                    Spoken(value),
                    Spoken(grace)
                );
                ok = Err(self.problem(id, problem));
            }
        }
        ok?;
        let longest = grace.map_or(MAX, |grace| MAX.min(grace.saturating_sub(OWN_STOP)));
        let max = max
            .unwrap_or_else(|| longest.max(min.unwrap_or_default()).max(quiet.unwrap_or_default()));
        let (min, quiet) = (min.unwrap_or(MIN.min(max)), quiet.unwrap_or(QUIET.min(max)));
        Ok(Times { min, max, quiet, grace })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refused, run};

    /// Minimum, maximum and quiet time in milliseconds.
    fn times(args: &[&str]) -> [u128; 3] {
        let times = run(&[&["--drain"], args].concat()).supervise.unwrap().drain.unwrap();
        [times.min, times.max, times.quiet].map(|time| time.as_millis())
    }

    #[test]
    fn a_default_yields_to_what_was_given() {
        let table: [(&[&str], [u128; 3]); 9] = [
            (&[], [5_000, 15_000, 2_000]),
            (&["--drain-max=3s"], [3_000, 3_000, 2_000]),
            (&["--drain-max=1s"], [1_000, 1_000, 1_000]),
            (&["--drain-min=20s"], [20_000, 20_000, 2_000]),
            (&["--drain-quiet=20s"], [5_000, 20_000, 20_000]),
            (&["--grace=10s"], [5_000, 8_000, 2_000]),
            (&["--grace=3s"], [1_000, 1_000, 1_000]),
            (&["--grace=1s"], [0, 0, 0]),
            (&["--grace=10s", "--drain-min=9s"], [9_000, 9_000, 2_000]),
        ];
        for (args, expected) in table {
            assert_eq!(times(args), expected, "{args:?}");
        }
    }

    #[test]
    fn draining_goes_with_any_mesh_and_with_none() {
        for mesh in ["none", "linkerd", "kuma", "consul", "istio", "envoy", "auto"] {
            assert_eq!(times(&["--mesh", mesh]), [5_000, 15_000, 2_000], "{mesh}");
        }
    }

    #[test]
    fn given_values_that_contradict_each_other_are_refused() {
        let table: [(&[&str], &str); 4] = [
            (&["--drain-min=16s", "--drain-max=15s"], "--drain-min: 16s is above --drain-max 15s"),
            (&["--drain-quiet=3s", "--drain-max=2s"], "--drain-quiet: 3s is above --drain-max 2s"),
            (&["--drain-max=15s", "--grace=15s"], "--drain-max: 15s is not below --grace 15s"),
            (&["--drain-min=16s", "--grace=15s"], "--drain-min: 16s is not below --grace 15s"),
        ];
        for (args, part) in table {
            let error = refused(&[&["--drain"], args, &["--", "app"]].concat(), &[]);
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
}
