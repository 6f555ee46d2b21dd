//! Which endpoint of one proxy is looked at when, and whether the proxy is ready.
//!
//! Owns the order of looks; must never sleep, ask or read a clock: `now` is always the time since
//! the wait began and comes in as an argument.

use std::time::Duration;

use crate::core::answer::Fault;
use crate::core::endpoint::{Address, Endpoint};
use crate::core::profile::{Expect, Ready};
use crate::core::profiles::ENVOYS_WORDS;
use crate::core::proxy::Proxy;
use crate::core::waiting::observation::Observation;
use crate::core::waiting::pacing::{Distance, LONGEST_PAUSE, SHARE_OF_PROXY};
use crate::core::waiting::watched::{Look, Place, RECHECK, Watched};

/// How often a readiness endpoint is looked at while the admin API, which comes up first, tells
/// nothing, and how often after it has said no for [`EAGER`] although Envoy is LIVE. Each failed
/// look at Istio's makes the agent log a warning: at most two a second.
const RARELY: Duration = Duration::from_millis(500);

/// For how long a no of a LIVE proxy is asked about at full pace: mostly the yes follows within
/// milliseconds, and where the configuration was rejected not for minutes.
const EAGER: Duration = Duration::from_secs(1);

/// How often a readiness endpoint is looked at although the admin API, which is far cheaper, says
/// not LIVE. It could only be ready if that API belongs to somebody else.
const SECOND_OPINION_PAUSE: Duration = Duration::from_secs(5);

/// How many times rarer the admin API is looked at while nobody listens at the readiness endpoint's
/// port: it tells how far the proxy is, but that port is the first to change. Envoy's listeners
/// listen only once its workers start (envoy: `ListenerManagerImpl::startWorkers`; measured on 1.36
/// and 1.40), and seeing that costs the proxy nothing.
const BESIDE_A_CLOSED_PORT: u32 = 5;

/// The looks at one proxy.
#[derive(Debug)]
pub(super) struct Readiness {
    /// The admin API's `/ready`, which costs the proxy 0.1 ms, where that is not a readiness
    /// endpoint itself.
    cheap: Option<Watched>,
    /// The readiness endpoints; the turn is the first one's. One that does not tell the proxy's own
    /// state goes to the end.
    endpoints: Vec<Watched>,
    /// Is the readiness endpoint an expensive page of the same admin API (`/server_info`)? Then a
    /// not-LIVE is final.
    is_same_server: bool,
    live_since: Option<Duration>,
    /// Since when a readiness endpoint has been saying no although Envoy is LIVE.
    denied_since: Option<Duration>,
    /// Has anything shown a proxy?
    pub(super) is_somebody_there: bool,
    pub(super) looks: u32,
}

impl Readiness {
    /// One that has seen nothing yet.
    pub(super) fn new(proxy: &Proxy) -> Self {
        let cheap = proxy.cheap.clone();
        let is_same_server = match (&cheap, proxy.ready.as_slice()) {
            (Some(cheap), [only]) => {
                only.expect == Expect::ServerInfo && only.url.address == cheap.address
            }
            _ => false,
        };
        let as_envoy = |url| Watched::new(Ready { url, expect: Expect::Says(ENVOYS_WORDS) });
        Self {
            cheap: cheap.map(as_envoy),
            endpoints: proxy.ready.iter().cloned().map(Watched::new).collect(),
            is_same_server,
            live_since: None,
            denied_since: None,
            is_somebody_there: false,
            looks: 0,
        }
    }

    /// Everything that is looked at.
    fn all(&self) -> impl Iterator<Item = &Watched> {
        self.cheap.iter().chain(&self.endpoints)
    }

    /// What was last seen, and where.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Ready<Endpoint>, &Observation)> {
        self.all().filter_map(|watched| Some((&*watched.ready, watched.seen()?)))
    }

    /// Does a readiness endpoint say so?
    pub(super) fn is_ready(&self) -> bool {
        self.endpoints.iter().any(|watched| watched.seen() == Some(&Observation::Ready))
    }

    /// An answer that this proxy cannot give, where there is one and no other that it can. Where
    /// `withheld_too`, a refusal that others give as well counts as one.
    pub(super) fn refutation(
        &self,
        withheld_too: bool,
    ) -> Option<(&Ready<Endpoint>, &Observation)> {
        let refutes = |seen: &Observation| {
            seen.refutes() || withheld_too && matches!(seen, Observation::Withheld(_))
        };
        let mut answers = self.seen().filter(|(_, seen)| !seen.is_nobody());
        let first = answers.next().filter(|(_, seen)| refutes(seen))?;
        answers.all(|(_, seen)| refutes(seen)).then_some(first)
    }

    /// When the last look at a readiness endpoint ended.
    pub(super) fn last_look(&self) -> Duration {
        self.last_answer().map_or(Duration::ZERO, |look| look.at)
    }

    /// What was last seen there.
    pub(super) fn seen_at(&self, place: &Place) -> Option<&Observation> {
        self.all().find(|watched| watched.is_at(place)).and_then(Watched::seen)
    }

    /// What is to be looked at next, and when.
    pub(super) fn due(&self) -> (&Place, Duration) {
        let ready = |watched: &&Watched| watched.seen() == Some(&Observation::Ready);
        if let Some((watched, look)) =
            self.endpoints.iter().find(ready).and_then(|at| Some((at, at.last.as_ref()?)))
        {
            return (&watched.ready, look.at + RECHECK);
        }
        let (cheap, endpoint) = (self.cheap_due(), self.endpoint_due());
        match &self.cheap {
            Some(watched) if cheap <= endpoint => (&watched.ready, cheap),
            _ => (&self.endpoints[0].ready, endpoint),
        }
    }

    /// Takes in what a look at `place`, which ended at `now` and took `took`, has seen.
    pub(super) fn observe(
        &mut self,
        place: &Place,
        now: Duration,
        took: Duration,
        seen: Observation,
    ) {
        self.looks += 1;
        self.is_somebody_there |= seen.shows_a_proxy() || is_locked_up(&place.url, &seen);
        if let Some(cheap) = self.cheap.as_mut().filter(|cheap| cheap.is_at(place)) {
            let is_live = seen == Observation::Ready;
            self.live_since = if is_live { self.live_since.or(Some(now)) } else { None };
            cheap.observe(now, took, seen);
            return;
        }
        let is_denied = self.live_since.is_some() && matches!(seen, Observation::NotReady { .. });
        self.denied_since = if is_denied { self.denied_since.or(Some(now)) } else { None };
        if !seen.speaks() {
            // Gone, or never there: what the admin API said before no longer holds.
            self.live_since = None;
            if let Some(cheap) = &mut self.cheap {
                cheap.last = cheap.last.take().filter(|look| look.seen != Observation::Ready);
            }
        }
        let speaks = seen.speaks();
        let Some(watched) = self.endpoints.iter_mut().find(|at| at.is_at(place)) else {
            return;
        };
        watched.observe(now, took, seen);
        if !speaks {
            self.endpoints.rotate_left(1);
        }
    }

    /// When the admin API is next worth a look; never while it is known to be LIVE.
    fn cheap_due(&self) -> Duration {
        let Some(cheap) = &self.cheap else { return Duration::MAX };
        let Some(look) = &cheap.last else {
            return self.last_answer().map_or(Duration::ZERO, |look| look.next(Distance::Near));
        };
        match look.seen {
            Observation::Ready => Duration::MAX,
            // Neither changes while the proxy lives.
            Observation::Locked | Observation::Foreign { .. } => look.at + LONGEST_PAUSE,
            _ if self.closed_endpoint().is_some() => {
                look.at + (look.pause(look.distance()) * BESIDE_A_CLOSED_PORT).min(LONGEST_PAUSE)
            }
            _ => look.next(look.distance()),
        }
    }

    /// The last look at a readiness endpoint.
    fn last_answer(&self) -> Option<&Look> {
        let looks = self.endpoints.iter().filter_map(|watched| watched.last.as_ref());
        looks.max_by_key(|look| look.at)
    }

    /// The last look at a readiness endpoint, where nobody listened at its port.
    fn closed_endpoint(&self) -> Option<&Look> {
        let first = self.endpoints.first().filter(|first| first.is_closed());
        first.filter(|_| !self.is_same_server)?.last.as_ref()
    }

    /// When the first readiness endpoint is next worth a look.
    fn endpoint_due(&self) -> Duration {
        let last = self.endpoints.first().and_then(|first| first.last.as_ref());
        let at = last.map_or(Duration::ZERO, |look| look.at);
        // Behind a LIVE proxy, an endpoint that refuses is about to come.
        let distance =
            |look: &Look| if self.live_since.is_some() { Distance::Near } else { look.distance() };
        let next = last.map_or(Duration::ZERO, |look| look.next(distance(look)));
        let Some(cheap) = &self.cheap else { return next };
        let Some(cheap) = &cheap.last else { return Duration::MAX };
        match self.live_since {
            Some(live) if at <= live => live,
            Some(_) if self.denied_since.is_some_and(|since| at.saturating_sub(since) >= EAGER) => {
                next.max(at + RARELY)
            }
            Some(live) if self.denied_since.is_none() => {
                next.max(at + (at.saturating_sub(live) / SHARE_OF_PROXY).min(LONGEST_PAUSE))
            }
            Some(_) => next,
            None => self.beside_one_not_live(cheap, at, next),
        }
    }

    /// The same while the admin API says anything but LIVE.
    fn beside_one_not_live(&self, cheap: &Look, at: Duration, next: Duration) -> Duration {
        let says_no = matches!(cheap.seen, Observation::NotReady { .. });
        if says_no && self.is_same_server {
            return Duration::MAX;
        }
        if self.last_answer().is_none() {
            return at;
        }
        if let Some(closed) = self.closed_endpoint() {
            return closed.next(cheap.distance());
        }
        if says_no { at + SECOND_OPINION_PAUSE } else { next.max(at + RARELY) }
    }
}

/// A Unix socket that is there, and that this user may not connect to.
fn is_locked_up(url: &Endpoint, seen: &Observation) -> bool {
    matches!(url.address, Address::Unix(_))
        && matches!(seen, Observation::Failed(Fault::Unreachable(_)))
}
