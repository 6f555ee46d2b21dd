//! Asking the proxy to end: whom, how often, and what its answers mean.
//!
//! Owns the tries and their budget; must never send anything. Nothing here ever changes an exit
//! code.

use std::time::Duration;

use crate::core::answer::{Answer, Fault};
use crate::core::endpoint::Endpoint;

/// All tries together.
pub const BUDGET: Duration = Duration::from_secs(10);

/// One try, connecting included.
const TRY: Duration = Duration::from_secs(1);

/// The pause after a failed try, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One proxy to end: endpoints of which one that agrees is enough, in the order to try.
#[derive(Clone, Debug)]
struct Request {
    endpoints: Vec<Endpoint>,
    current: usize,
    due: Duration,
    pause: Duration,
    refusals: Vec<String>,
    /// The endpoint that agreed, or why none will.
    outcome: Option<Outcome>,
    last: String,
}

/// How asking one proxy came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It will end: who said so and how.
    Agreed(String),
    /// It will not: why, and what to do.
    Refused(String),
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
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
    requests: Vec<Request>,
    /// Was the proxy seen alive? Then a refused connection means that it is gone already.
    seen_alive: bool,
}

impl Quit {
    /// Each list is one proxy, its endpoints in the order to try.
    #[must_use]
    pub fn new(proxies: Vec<Vec<Endpoint>>, seen_alive: bool) -> Self {
        let request = |endpoints| Request {
            endpoints,
            current: 0,
            due: Duration::ZERO,
            pause: FIRST_PAUSE,
            refusals: Vec::new(),
            outcome: None,
            last: "it was never asked".to_owned(),
        };
        let requests =
            proxies.into_iter().filter(|endpoints| !endpoints.is_empty()).map(request).collect();
        Self { requests, seen_alive }
    }

    /// What to do at `now`, counted from the beginning.
    #[must_use]
    pub fn next(&self, now: Duration) -> Next {
        let open =
            self.requests.iter().enumerate().filter(|(_, request)| request.outcome.is_none());
        let Some((index, request)) = open.min_by_key(|(_, request)| request.due) else {
            return Next::Over;
        };
        if now >= BUDGET {
            return Next::Over;
        }
        if now < request.due {
            return Next::Rest(request.due.min(BUDGET));
        }
        Next::Post {
            request: index,
            endpoint: request.endpoints[request.current].clone(),
            until: (now + TRY).min(BUDGET),
        }
    }

    /// Takes in the answer to a [`Next::Post`].
    pub fn on(&mut self, now: Duration, index: usize, answer: &Result<Answer, Fault>) {
        let seen_alive = self.seen_alive;
        let Some(request) = self.requests.get_mut(index) else { return };
        let endpoint = &request.endpoints[request.current];
        match judge(answer, seen_alive) {
            Told::Yes(how) => request.outcome = Some(Outcome::Agreed(format!("{endpoint}: {how}"))),
            Told::Later(why) => {
                request.last = format!("{endpoint}: {why}");
                request.due = now + request.pause;
                request.pause = (request.pause * 2).min(LONGEST_PAUSE);
            }
            Told::No(why) => {
                request.refusals.push(format!("{endpoint}: {why}"));
                request.current += 1;
                if request.current == request.endpoints.len() {
                    request.outcome = Some(Outcome::Refused(request.refusals.join(", ")));
                }
            }
        }
    }

    /// How it came out for each proxy.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        let unanswered =
            |request: &Request| Outcome::Refused(format!("{} (until the last try)", request.last));
        self.requests
            .iter()
            .map(|request| request.outcome.clone().unwrap_or_else(|| unanswered(request)))
            .collect()
    }
}

/// What one answer means.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Yes(String),
    Later(String),
    No(String),
}

fn judge(answer: &Result<Answer, Fault>, seen_alive: bool) -> Told {
    let status = match answer {
        Ok(answer) => answer.status,
        // A proxy that ends at once may not get its answer out.
        Err(Fault::Broken(_)) => {
            return Told::Yes("it cut the connection, as a proxy that ends does".to_owned());
        }
        Err(Fault::Refused) if seen_alive => {
            return Told::Yes("nobody listens there any more".to_owned());
        }
        Err(fault @ Fault::Unreachable(_)) => return Told::No(fault.to_string()),
        Err(fault @ (Fault::Refused | Fault::Silent)) => return Told::Later(fault.to_string()),
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
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    type Answered = Result<Answer, Fault>;

    #[expect(clippy::unnecessary_wraps, reason = "one form for answers and faults")]
    fn status(status: u16) -> Answered {
        Ok(Answer { status, server: None, body: Vec::new() })
    }

    fn endpoint(port: u16) -> Endpoint {
        format!("http://127.0.0.1:{port}/quitquitquit").parse().unwrap()
    }

    /// Asks until it is over; `world` answers the n-th POST to a port. When it was over, and to
    /// whom the POSTs went.
    fn simulate(
        mut quit: Quit,
        world: impl Fn(u16, usize) -> Answered,
    ) -> (Vec<Outcome>, Duration, Vec<u16>) {
        let (mut now, mut posts) = (Duration::ZERO, Vec::new());
        loop {
            match quit.next(now) {
                Next::Over => return (quit.outcomes(), now, posts),
                Next::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    now = until;
                }
                Next::Post { request, endpoint: asked, until } => {
                    let port = (1..9).find(|port| endpoint(*port) == asked).unwrap();
                    posts.push(port);
                    let answer = world(port, posts.iter().filter(|other| **other == port).count());
                    now = if answer == Err(Fault::Silent) { until } else { now + MS };
                    quit.on(now, request, &answer);
                }
            }
        }
    }

    fn alone(seen_alive: bool) -> Quit {
        Quit::new(vec![vec![endpoint(1)]], seen_alive)
    }

    #[test]
    fn answers_are_told_apart() {
        let broken = Err(Fault::Broken("reset".to_owned()));
        for (answer, agreed, part) in [
            (status(200), true, "200"),
            (broken, true, "cut the connection"),
            (Err(Fault::Refused), true, "any more"),
            (status(403), false, "loopback"),
            (status(404), false, "enableShutdownEndpoint"),
            (status(405), false, "takes no POST"),
            (status(301), false, "301, which is not"),
        ] {
            let (outcomes, over, posts) = simulate(alone(true), |_, _| answer.clone());
            let (Outcome::Agreed(said) | Outcome::Refused(said)) = &outcomes[0];
            assert_eq!(matches!(outcomes[0], Outcome::Agreed(_)), agreed, "{said}");
            assert!(said.contains(part) && said.contains("127.0.0.1:1"), "{said}");
            assert_eq!((posts.len(), over), (1, MS));
        }
    }

    #[test]
    fn a_proxy_that_is_busy_is_asked_again() {
        let (outcomes, over, posts) =
            simulate(alone(true), |_, count| status(if count < 3 { 503 } else { 200 }));
        assert_eq!(outcomes, [Outcome::Agreed(format!("{}: 200", endpoint(1)))]);
        assert_eq!(posts.len(), 3);
        assert!(over < 200 * MS, "{over:?}");
    }

    #[test]
    fn all_tries_together_end_within_their_budget() {
        for answer in [status(503), Err(Fault::Silent), Err(Fault::Refused)] {
            let (outcomes, over, posts) = simulate(alone(false), |_, _| answer.clone());
            assert!(
                matches!(&outcomes[0], Outcome::Refused(said) if said.contains("until the last \
                                                                                try"))
            );
            assert!(over >= 9 * BUDGET / 10 && over <= BUDGET + MS, "{over:?}");
            assert!(posts.len() >= 5 && posts.len() < 20, "{}", posts.len());
        }
    }

    #[test]
    fn the_second_endpoint_is_asked_when_the_first_will_not() {
        let quit = || Quit::new(vec![vec![endpoint(1), endpoint(2)]], true);
        let world = |port, _| status(if port == 1 { 404 } else { 200 });
        assert_eq!(simulate(quit(), world).2, [1, 2]);
        assert_eq!(simulate(quit(), |_, _| status(200)).2, [1]);
        let (outcomes, _, _) = simulate(quit(), |_, _| status(405));
        assert!(matches!(&outcomes[0], Outcome::Refused(said) if said.matches("405").count() == 2));
    }

    #[test]
    fn several_proxies_are_all_asked_and_one_that_hangs_keeps_none_waiting() {
        let quit = Quit::new(vec![vec![endpoint(1)], vec![endpoint(2)], vec![]], true);
        let world = |port, _| if port == 1 { Err(Fault::Silent) } else { status(200) };
        let (outcomes, _, posts) = simulate(quit, world);
        assert_eq!(outcomes.len(), 2);
        assert!(matches!(outcomes[1], Outcome::Agreed(_)));
        assert_eq!(posts[..3], [1, 2, 1]);
    }
}
