//! How long draining may take beside this proxy, and what of the settings does not fit it.
//!
//! Owns the plan and the sentences about it; must never look at a proxy. All times count from the
//! stop signal.

use std::time::Duration;

use crate::core::duration::Spoken;
use crate::core::envoy::server_info::{Lifetime, ServerInfo};
use crate::core::mesh::Mesh;
use crate::core::profile::AtSigterm;

/// What of a proxy's remaining life is left for the application's own stop.
const SHARE_OF_STOP: u32 = 5;

/// With `EXIT_ON_ZERO_ACTIVE_CONNECTIONS` the agent begins to look for connections after this long
/// (istio: `MINIMUM_DRAIN_DURATION`).
const MINIMUM_DRAIN: Duration = Duration::from_secs(5);

/// What the user set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Keep serving at least this long.
    pub min: Duration,
    /// Keep serving at most this long.
    pub max: Duration,
    /// A connection on which nothing moved for this long, and which owes no answer, is idle.
    pub quiet: Duration,
    /// The application is killed after this, its own stop included.
    pub grace: Option<Duration>,
}

/// What will be done, given how long the proxy lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// Keep serving at least this long.
    pub min: Duration,
    /// Keep serving at most this long.
    pub max: Duration,
    /// As [`Times::quiet`].
    pub quiet: Duration,
}

impl DrainPlan {
    /// As the user set it, cut to the life of the proxy that goes down by the same signal.
    #[must_use]
    pub fn new(times: Times, facts: Option<&ServerInfo>) -> Self {
        let longest = facts.and_then(|facts| longest(facts.lifetime()));
        let max = longest.map_or(times.max, |longest| times.max.min(longest));
        Self { min: times.min.min(max), max, quiet: times.quiet.min(max) }
    }
}

/// How long draining can take beside a proxy that is killed at a known time.
fn longest(lifetime: Lifetime) -> Option<Duration> {
    match lifetime {
        Lifetime::Fixed(life) => Some(life.saturating_sub(life / SHARE_OF_STOP)),
        Lifetime::Outlives | Lifetime::WhileBusy | Lifetime::Unknown => None,
    }
}

/// What a stop of the whole run may take, as far as meshim bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Draining comes first.
    pub drain: Option<Times>,
    /// The application is killed after this, draining included.
    pub grace: Option<Duration>,
    /// Ending the proxy comes last; zero where that is not wanted.
    pub quitting: Duration,
}

impl Stop {
    /// The sentence to be said at the start: how long a stop may take in all, and what that asks of
    /// the pod. `None` where nothing is bounded and the pod's grace period is not known.
    ///
    /// # Errors
    /// A warning: the plan does not fit `pod_grace`, the pod's `terminationGracePeriodSeconds`, or
    /// leaves no time at all.
    pub fn told(self, pod_grace: Option<Duration>) -> Result<Option<String>, String> {
        if self.grace == Some(Duration::ZERO) {
            return Err(
                "--grace 0 kills the application at the first stop signal; without --grace \
                        nothing is killed"
                    .to_owned(),
            );
        }
        let bound = self.grace.or(self.drain.map(|times| times.max)).unwrap_or_default();
        let bound = bound + self.quitting;
        let (parts, seconds) = (self.parts(), bound.as_secs_f64().ceil());
        match pod_grace {
            Some(pod) if pod <= bound => Err(format!(
                "a stop takes {parts}, but the pod is killed {} after its deletion: raise \
                 terminationGracePeriodSeconds above {seconds}{}",
                Spoken(pod),
                if self.drain.is_some() { ", or lower --drain-max" } else { "" }
            )),
            Some(pod) => Ok(Some(format!(
                "a stop takes {parts}; the pod is killed {} after its deletion",
                Spoken(pod)
            ))),
            None if bound.is_zero() => Ok(None),
            None => Ok(Some(format!(
                "a stop takes {parts}; the pod's terminationGracePeriodSeconds must be above \
                 {seconds}"
            ))),
        }
    }

    fn parts(self) -> String {
        let draining = self.drain.map(|times| Spoken(times.max));
        let application = match (draining, self.grace.map(Spoken)) {
            (Some(max), None) => {
                format!("up to {max} of draining, then the application's own stop")
            }
            (Some(max), Some(grace)) => {
                format!("up to {grace}, of which up to {max} are draining")
            }
            (None, Some(grace)) => format!("up to {grace}"),
            (None, None) => "as long as the application takes".to_owned(),
        };
        if self.quitting.is_zero() {
            application
        } else {
            format!("{application}, then up to {} for ending the proxy", Spoken(self.quitting))
        }
    }
}

/// One thing that does not fit, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// It is so; else it is so only where the sidecar is a classic one, which cannot be seen.
    pub is_certain: bool,
    /// What, and what to do.
    pub sentence: String,
}

/// What of the settings does not fit the proxy; to be said at the start, not at the end.
#[must_use]
pub fn misfits(times: Times, mesh: Mesh, facts: Option<&ServerInfo>) -> Vec<Misfit> {
    let certain = |sentence| Misfit { is_certain: true, sentence };
    let mut misfits: Vec<Misfit> = of_mesh(times, mesh).into_iter().collect();
    let Some(facts) = facts else { return misfits };
    let plan = DrainPlan::new(times, Some(facts));
    match facts.lifetime() {
        Lifetime::Fixed(life) if plan.max < times.max => {
            misfits.push(certain(killed_too_early(times, plan, life)));
        }
        Lifetime::WhileBusy => misfits.push(while_busy(times)),
        Lifetime::Fixed(_) | Lifetime::Outlives | Lifetime::Unknown => {}
    }
    if let (true, Some(drain_time)) = (facts.drains_gradually, facts.drain_time)
        && drain_time > plan.max
    {
        misfits.push(certain(format!(
            "this Envoy turns its clients away one by one over {}, so some are still there when \
             draining ends after {} at the latest; start it with --drain-strategy immediate, or \
             with --drain-time-s {}",
            Spoken(drain_time),
            Spoken(plan.max),
            plan.min.as_secs().max(1),
        )));
    }
    misfits
}

fn killed_too_early(times: Times, plan: DrainPlan, life: Duration) -> String {
    // The inverse of `longest`: what is left of it is the application's.
    let needed = times.max * SHARE_OF_STOP / (SHARE_OF_STOP - 1);
    let needed = times.grace.unwrap_or(needed).max(needed).as_secs_f64().ceil();
    format!(
        "the Istio proxy is killed {} after SIGTERM, so --drain-max {} does not fit: draining is \
         cut to {}. Give the pod the annotation proxy.istio.io/config: \
         '{{\"terminationDrainDuration\": \"{needed}s\"}}', and every stop of the pod takes that \
         long, unless --quit on-stop lets the proxy go; or '{{\"proxyMetadata\": \
         {{\"EXIT_ON_ZERO_ACTIVE_CONNECTIONS\": \"true\"}}}}', and the proxy ends with its last \
         connection: an application that calls out after its SIGTERM may find none",
        Spoken(life),
        Spoken(times.max),
        Spoken(plan.max),
    )
}

fn while_busy(times: Times) -> Misfit {
    let cost = "an application that calls out after its SIGTERM may find no proxy. Where yours \
                does, take EXIT_ON_ZERO_ACTIVE_CONNECTIONS away and set terminationDrainDuration \
                to what a stop takes in all; every stop of the pod then takes that long, unless \
                --quit on-stop lets the proxy go";
    let sentence = format!(
        "this Istio proxy (EXIT_ON_ZERO_ACTIVE_CONNECTIONS) ends as soon as it has no connection \
         for a moment, from {} after SIGTERM on, whatever terminationDrainDuration says",
        Spoken(MINIMUM_DRAIN)
    );
    let is_certain = times.min > MINIMUM_DRAIN;
    let sentence = if is_certain {
        format!(
            "{sentence}: --drain-min {} is not kept where it is idle, and {cost}",
            Spoken(times.min)
        )
    } else {
        format!("{sentence}: {cost}")
    };
    Misfit { is_certain, sentence }
}

/// What is known of a mesh's classic sidecars. Whether this one is native cannot be seen from the
/// application's container before it is told to stop.
fn of_mesh(times: Times, mesh: Mesh) -> Option<Misfit> {
    let sentence = match mesh.profile().at_sigterm? {
        AtSigterm::Closes(sentence) => sentence.to_owned(),
        AtSigterm::Serves(life, setting) if times.max > life => format!(
            "a classic {mesh} sidecar serves for {} after SIGTERM by default, so --drain-max {} is \
             pointless unless {setting} is raised",
            Spoken(life),
            Spoken(times.max),
        ),
        AtSigterm::Serves(..) => return None,
    };
    Some(Misfit { is_certain: false, sentence })
}

#[cfg(test)]
mod tests;
