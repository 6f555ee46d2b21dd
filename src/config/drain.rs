//! How long draining may take: settings of `meshim drain`, and a part of a supervised run's.

use std::time::Duration;

use super::reader::{Reader, Wrong};
use crate::cli::{DrainArgs, DrainTimesArgs};
use crate::core::duration::{self, Spoken};
use crate::core::proxy::Proxy;
use crate::core::stopping::drain::Times;

/// Keep serving at least this long: what kube-proxy and other proxies usually need to hear that
/// this pod is going.
const MIN: Duration = Duration::from_secs(5);

/// Keep serving at most this long: half of a pod's usual 30 s.
const MAX: Duration = Duration::from_secs(15);

/// Settings of `meshim drain`.
#[derive(Debug)]
pub struct Drain {
    /// Which proxy; `None` is learnt from what listens in the pod.
    pub proxy: Option<Proxy>,
    /// How long.
    pub times: Times,
}

impl Reader<'_> {
    pub(super) fn drain(&mut self, args: &DrainArgs) -> Result<Drain, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        let request_timeout = self.request_timeout(&args.proxy);
        // A hook knows nothing of the application's own stop.
        let times = self.times(&args.times, Duration::ZERO);
        let times = times.map(|times| Times { grace: times.max + times.max / 4, ..times });
        remote?;
        request_timeout?;
        Ok(Drain { proxy: Proxy::given(&given?), times: times? })
    }

    pub(super) fn times(&mut self, args: &DrainTimesArgs, grace: Duration) -> Result<Times, Wrong> {
        let min = self.read("drain_min", args.drain_min.as_ref(), MIN, duration::parse);
        let max = self.read("drain_max", args.drain_max.as_ref(), MAX, duration::parse);
        let (min, max) = (min?, max?);
        if min > max {
            let problem = format!("{} is above --drain-max {}", Spoken(min), Spoken(max));
            return Err(self.problem("drain_min", problem));
        }
        Ok(Times { min, max, grace })
    }
}
