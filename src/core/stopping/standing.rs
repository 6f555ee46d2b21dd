//! How a proxy stands before it is asked to end, by what its endpoints say: it serves, is
//! ending already, is gone, or cannot be ended from the application's container.
//!
//! Owns what has to hold for each; what a mesh's endpoints say is in its profile. Must never look
//! itself.

use crate::core::answer::{Answer, Fault};
use crate::core::endpoint::Endpoint;
use crate::core::envoy::json;
use crate::core::profile::{Evidence, Says, Server};
use crate::core::proxy::Proxy;

/// How a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves, or does not show that it does anything else.
    Serving,
    /// It was told to end, and is ending.
    Ending,
    /// Nobody listens at any of its endpoints.
    Gone,
    /// It cannot be ended from this container: why, and what to do.
    Endless(&'static str),
}

/// One endpoint to look at, and what it must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where to GET; harmless there.
    pub url: Endpoint,
    says: Says,
}

impl Condition {
    /// Is this what the endpoint says?
    #[must_use]
    pub fn holds(&self, answer: &Result<Answer, Fault>) -> bool {
        match (self.says, answer) {
            (Says::Closed, Err(fault)) => fault.is_nobody(),
            (Says::Open, answer) => !answer.as_ref().is_err_and(Fault::is_nobody),
            (Says::Status(status), Ok(answer)) => answer.status == status,
            (Says::Word(word), Ok(answer)) => answer.body.trim_ascii() == word.as_bytes(),
            (Says::Off(name), Ok(answer)) => answer.status == 200 && is_off(&answer.body, name),
            _ => false,
        }
    }
}

/// Conditions that together mean a standing; to be looked at in order, up to the first that does
/// not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What they mean then.
    pub means: Standing,
}

/// What this proxy may turn out to be, in the order to try; where nothing of it holds, it is
/// [`Standing::Serving`].
#[must_use]
pub fn candidates(proxy: &Proxy) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = endless(proxy).into_iter().chain(ending(proxy)).collect();
    let mut all = proxy.quit();
    all.extend(proxy.ready.iter().map(|ready| ready.url.clone()));
    // What is asked there is the root, which does nothing: whether somebody listens is enough.
    let conditions: Vec<Condition> =
        all.into_iter().map(|url| Condition { url: url.at("/"), says: Says::Closed }).collect();
    if !conditions.is_empty() {
        candidates.push(Candidate { conditions, means: Standing::Gone });
    }
    candidates
}

/// What shows that a proxy cannot be ended: to be told at the start, too.
#[must_use]
pub fn endless(proxy: &Proxy) -> Option<Candidate> {
    let endless = proxy.mesh.profile().endless?;
    // Where the user has named an admin API, there is another endpoint that may end it.
    if proxy.quit().len() != 1 {
        return None;
    }
    let conditions = conditions(proxy, endless.evidence)?;
    Some(Candidate { conditions, means: Standing::Endless(endless.why) })
}

/// Does this proxy show that it is ending?
#[must_use]
pub fn shows_ending(proxy: &Proxy) -> bool {
    ending(proxy).is_some()
}

fn ending(proxy: &Proxy) -> Option<Candidate> {
    let evidence = proxy.mesh.profile().ending;
    let conditions = conditions(proxy, evidence).filter(|conditions| !conditions.is_empty())?;
    Some(Candidate { conditions, means: Standing::Ending })
}

/// The profile's evidence at the endpoints of this proxy; `None` where it lacks one of them.
fn conditions(proxy: &Proxy, evidence: &[Evidence]) -> Option<Vec<Condition>> {
    let condition = |evidence: &Evidence| {
        let server = match evidence.server {
            Server::Ready => proxy.ready.first().map(|ready| ready.url.clone()),
            Server::Quit => proxy.quit().into_iter().next(),
            Server::Admin => proxy.admin.clone(),
        };
        let url = server.map(|server| match evidence.path {
            Some(path) => server.at(path),
            None => server,
        });
        url.map(|url| Condition { url, says: evidence.says })
    };
    evidence.iter().map(condition).collect()
}

/// Does `/env.json` say anything but `"true"` for `name`? What is no such page says nothing.
fn is_off(body: &[u8], name: &str) -> bool {
    let mut is_off = false;
    let read = json::read(body, &mut |variables| {
        variables.at(&[name], &mut |value| is_off = value.text().as_deref() != Some("true"));
    });
    is_off && read.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::mesh::Mesh;

    type Answered = Result<Answer, Fault>;

    const SWITCH: &str = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED";
    const REFUSED: Answered = Err(Fault::Refused);

    #[expect(clippy::unnecessary_wraps, reason = "one form for answers and faults")]
    fn answer(status: u16, body: &str) -> Answered {
        Ok(Answer { status, server: None, body: body.as_bytes().to_vec() })
    }

    /// How the proxy stands where `world` answers what is asked of a port.
    fn standing(mesh: Mesh, world: impl Fn(u16) -> Answered) -> Standing {
        let proxy = Proxy::of(mesh);
        let holds = |one: &Condition| one.holds(&world(one.url.address.port().unwrap()));
        let found = candidates(&proxy).into_iter().find(|one| one.conditions.iter().all(holds));
        found.map_or(Standing::Serving, |found| found.means)
    }

    /// As Istio's three ports answer: agent, readiness, Envoy.
    fn istio(agent: &Answered, ready: &Answered, envoy: &Answered) -> Standing {
        standing(Mesh::Istio, |port| match port {
            15020 => agent.clone(),
            15021 => ready.clone(),
            _ => envoy.clone(),
        })
    }

    #[test]
    fn an_istio_proxy_is_ending_once_its_agent_is_gone_and_its_envoy_is_not() {
        let (ok, no, live) = (answer(404, ""), answer(503, ""), answer(200, "LIVE\n"));
        assert_eq!(istio(&ok, &answer(200, ""), &live), Standing::Serving);
        // Not ready yet, and with another status port.
        assert_eq!(istio(&ok, &no, &live), Standing::Serving);
        assert_eq!(istio(&REFUSED, &answer(200, ""), &live), Standing::Serving);
        assert_eq!(istio(&REFUSED, &REFUSED, &live), Standing::Serving);
        assert_eq!(istio(&REFUSED, &no, &live), Standing::Ending);
        assert_eq!(istio(&REFUSED, &REFUSED, &REFUSED), Standing::Gone);
    }

    #[test]
    fn kuma_says_it_itself_unless_it_cannot_be_ended_at_all() {
        let kuma = |nine: &Answered, admin: &Answered| {
            standing(Mesh::Kuma, |port| if port == 9902 { nine.clone() } else { admin.clone() })
        };
        let live = answer(200, "LIVE\n");
        assert_eq!(kuma(&answer(200, "READY"), &live), Standing::Serving);
        assert_eq!(kuma(&answer(503, "TERMINATING"), &live), Standing::Ending);
        assert!(matches!(kuma(&live, &REFUSED), Standing::Endless(why) if why.contains("2.14")));
        assert_eq!(kuma(&REFUSED, &REFUSED), Standing::Gone);
    }

    #[test]
    fn linkerd_tells_whether_its_endpoint_is_on() {
        let linkerd = |body: &str| standing(Mesh::Linkerd, |_| answer(200, body));
        let value = |value: &str| format!("{{\"{SWITCH}\":{value}}}");
        assert_eq!(linkerd(&value("\"true\"")), Standing::Serving);
        for off in ["\"false\"", "null"] {
            assert!(matches!(linkerd(&value(off)), Standing::Endless(_)), "{off}");
        }
        // What cannot be read says nothing: then its answer to the request itself counts.
        for strange in ["", "[]", "{}", "<html>"] {
            assert_eq!(linkerd(strange), Standing::Serving, "{strange}");
        }
        assert_eq!(standing(Mesh::Linkerd, |_| answer(404, "")), Standing::Serving);
        assert_eq!(standing(Mesh::Linkerd, |_| REFUSED), Standing::Gone);
    }

    #[test]
    fn what_the_others_were_told_does_not_show() {
        for mesh in [Mesh::Consul, Mesh::Envoy, Mesh::Osm, Mesh::AppMesh] {
            assert_eq!(standing(mesh, |_| answer(503, "DRAINING\n")), Standing::Serving, "{mesh}");
            assert_eq!(standing(mesh, |_| REFUSED), Standing::Gone, "{mesh}");
        }
        assert_eq!(candidates(&Proxy::of(Mesh::None)), []);
    }
}
