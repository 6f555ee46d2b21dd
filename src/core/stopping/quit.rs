//! Asking the proxy to end: whom in which order, how often, and what each answer means.
//!
//! Owns the turns and their budget; must never send anything. Nothing here ever changes an exit
//! code.

use std::time::Duration;

use crate::core::answer::{Answer, Fault};
use crate::core::endpoint::Endpoint;

/// All of the asking together, where no stop signal has come.
pub const BUDGET: Duration = Duration::from_secs(10);

/// The same after a stop signal, when the pod is stopping.
pub const BUDGET_AFTER_STOP: Duration = Duration::from_secs(1);

/// One try, connecting included.
const TRY: Duration = Duration::from_secs(1);

/// The pause after a round in which no endpoint agreed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One proxy to end: endpoints of which one that agrees is enough. They are asked in rounds, each
/// in its turn.
#[derive(Clone, Debug)]
struct AskedProxy {
    endpoints: Vec<AskedEndpoint>,
    /// The endpoint that is asked now.
    turn: usize,
    due: Duration,
    pause: Duration,
    outcome: Option<Outcome>,
}

/// An endpoint, and what it said last.
#[derive(Clone, Debug)]
struct AskedEndpoint {
    endpoint: Endpoint,
    said: Told,
    /// Has it cut the connection without an answer?
    has_cut: bool,
}

/// How asking one proxy came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It will end: who said so and how.
    Agreed(String),
    /// Nobody listens at any of its endpoints: which.
    Nobody(String),
    /// It will not: why, and what to do.
    Refused(String),
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuitStep {
    /// POST there; give up at this moment.
    Post {
        /// Which of the proxies: to be handed back with the answer.
        request: usize,
        /// Where.
        endpoint: Endpoint,
        /// The end of this try.
        until: Duration,
    },
    /// Nothing until this moment.
    Rest(Duration),
    /// Every proxy has agreed or will not.
    Over,
}

/// All proxies that are to end.
#[derive(Debug)]
pub struct Quit {
    proxies: Vec<AskedProxy>,
    budget: Duration,
}

impl Quit {
    /// Each list is one proxy, its endpoints in the order to try; `budget` is for all of them.
    #[must_use]
    pub fn new(proxies: Vec<Vec<Endpoint>>, budget: Duration) -> Self {
        let never = || Told::Later("it was never asked".to_owned());
        let proxy = |endpoints: Vec<Endpoint>| AskedProxy {
            endpoints: endpoints
                .into_iter()
                .map(|endpoint| AskedEndpoint { endpoint, said: never(), has_cut: false })
                .collect(),
            turn: 0,
            due: Duration::ZERO,
            pause: FIRST_PAUSE,
            outcome: None,
        };
        let proxies =
            proxies.into_iter().filter(|endpoints| !endpoints.is_empty()).map(proxy).collect();
        Self { proxies, budget }
    }

    /// What to do at `now`, counted from the beginning.
    #[must_use]
    pub fn next(&self, now: Duration) -> QuitStep {
        let open = self.proxies.iter().enumerate().filter(|(_, proxy)| proxy.outcome.is_none());
        let Some((index, proxy)) = open.min_by_key(|(_, proxy)| proxy.due) else {
            return QuitStep::Over;
        };
        if now >= self.budget {
            return QuitStep::Over;
        }
        if now < proxy.due {
            return QuitStep::Rest(proxy.due.min(self.budget));
        }
        QuitStep::Post {
            request: index,
            endpoint: proxy.endpoints[proxy.turn].endpoint.clone(),
            until: (now + TRY).min(self.budget),
        }
    }

    /// Takes in the answer to a [`QuitStep::Post`].
    pub fn on(&mut self, now: Duration, index: usize, answer: &Result<Answer, Fault>) {
        let Some(proxy) = self.proxies.get_mut(index) else { return };
        let asked = &mut proxy.endpoints[proxy.turn];
        let is_first_cut = matches!(answer, Err(Fault::Cut(_))) && !asked.has_cut;
        asked.hears(answer);
        if let Told::Yes(how) = &asked.said {
            proxy.outcome = Some(Outcome::Agreed(format!("{}: {how}", asked.endpoint)));
            return;
        }
        if is_first_cut {
            proxy.due = now + FIRST_PAUSE;
            return;
        }
        match proxy.after(proxy.turn + 1) {
            Some(next) => proxy.turn = next,
            None => proxy.end_round(now),
        }
    }

    /// How it came out for each proxy.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.proxies
            .iter()
            .map(|proxy| {
                let unanswered =
                    || Outcome::Refused(format!("{} (until the last try)", proxy.said()));
                proxy.outcome.clone().unwrap_or_else(unanswered)
            })
            .collect()
    }
}

impl AskedProxy {
    /// The first endpoint from this one on that may still agree.
    fn after(&self, first: usize) -> Option<usize> {
        let mut rest = self.endpoints.iter().enumerate().skip(first);
        rest.find(|(_, asked)| !matches!(asked.said, Told::No(_))).map(|(index, _)| index)
    }

    /// Every endpoint has had its turn. A closed one may belong to another version or setting of
    /// the mesh, so it says nothing where another one speaks.
    fn end_round(&mut self, now: Duration) {
        let all = |is: fn(&Told) -> bool| self.endpoints.iter().all(|asked| is(&asked.said));
        if all(|said| matches!(said, Told::Closed)) {
            let urls: Vec<String> =
                self.endpoints.iter().map(|asked| asked.endpoint.to_string()).collect();
            self.outcome = Some(Outcome::Nobody(urls.join(" or ")));
        } else if all(|said| matches!(said, Told::Closed | Told::No(_))) {
            self.outcome = Some(Outcome::Refused(self.said()));
        } else {
            self.turn = self.after(0).unwrap_or_default();
            self.due = now + self.pause;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What each endpoint said last.
    fn said(&self) -> String {
        let said = |asked: &AskedEndpoint| {
            let why = match &asked.said {
                Told::Yes(why) | Told::Later(why) | Told::No(why) => why.as_str(),
                Told::Closed => "connection refused",
            };
            format!("{}: {why}", asked.endpoint)
        };
        self.endpoints.iter().map(said).collect::<Vec<_>>().join(", ")
    }
}

impl AskedEndpoint {
    /// A proxy that ends at once may not get its answer out: it cuts the connection, and nobody
    /// listens there afterwards. A server that only hangs up goes on listening.
    fn hears(&mut self, answer: &Result<Answer, Fault>) {
        self.said = match judge(answer) {
            Told::Closed if self.has_cut => Told::Yes("it cut the connection and is gone".into()),
            // While it ends, what it does to a new connection means nothing.
            Told::No(why) if self.has_cut && answer.is_err() => Told::Later(why),
            said => said,
        };
        self.has_cut |= matches!(answer, Err(Fault::Cut(_)));
    }
}

/// What one answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Yes(String),
    /// Not now.
    Later(String),
    /// Nobody listens there.
    Closed,
    /// It never will.
    No(String),
}

fn judge(answer: &Result<Answer, Fault>) -> Told {
    let status = match answer {
        Ok(answer) => answer.status,
        Err(Fault::Cut(_)) => return Told::Later("it hangs up without an answer".to_owned()),
        Err(Fault::Refused | Fault::NoSocket) => return Told::Closed,
        Err(fault @ (Fault::Silent | Fault::Exhausted(_))) => {
            return Told::Later(fault.to_string());
        }
        Err(fault @ (Fault::Unreachable(_) | Fault::Broken(_))) => {
            return Told::No(fault.to_string());
        }
    };
    match status {
        200..=299 => Told::Yes(status.to_string()),
        403 => Told::No(
            "403, it takes this from its own loopback or from allowed paths only".to_owned(),
        ),
        404 => Told::No(
            "404, there is no such endpoint or it is switched off (Linkerd: \
             proxy.enableShutdownEndpoint)"
                .to_owned(),
        ),
        405 => Told::No("405, this endpoint takes no POST: is it the right one?".to_owned()),
        429 | 500..=599 => Told::Later(status.to_string()),
        _ => Told::No(format!("{status}, which is not the answer of a proxy's quit endpoint")),
    }
}

#[cfg(test)]
mod tests;
