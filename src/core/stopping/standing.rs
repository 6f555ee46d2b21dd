//! How a proxy stands before it is asked to end, by signs that its endpoints give: it serves, is
//! ending already, is gone, or cannot be ended from the application's container.
//!
//! Owns the signs of each mesh; must never look itself. Seen on real agents: pilot-agent closes its
//! port within 0.3 s of SIGTERM while Envoy answers 503 for it on the readiness port and goes on;
//! kuma-dp says `TERMINATING` within 4 ms. What a Consul, Linkerd or plain Envoy sidecar is told to
//! do does not show.

use crate::core::answer::{Answer, Fault};
use crate::core::endpoint::Endpoint;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;

/// Linkerd's variable for its `/shutdown`, which `/env.json` tells to anybody in the pod.
const LINKERDS_SWITCH: &str = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED";

/// How a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves, or does not show that it does anything else.
    Serving,
    /// It was told to end, and is at it.
    Ending,
    /// Nobody listens at any of its endpoints.
    Gone,
    /// It cannot be ended from this container: why, and what to do.
    Endless(&'static str),
}

/// What an endpoint must say to be a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Nobody listens there.
    Closed,
    /// Somebody does.
    Open,
    /// It answers with this status.
    Status(u16),
    /// The body begins with this word.
    Word(&'static str),
    /// The JSON body does not say `"true"` for this name.
    Off(&'static str),
}

/// One place to look at, and what it must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Where to GET; harmless there.
    pub url: Endpoint,
    says: Says,
}

impl Sign {
    /// Is this what the endpoint says?
    #[must_use]
    pub fn holds(&self, answer: &Result<Answer, Fault>) -> bool {
        match (self.says, answer) {
            (Says::Closed, Err(Fault::Refused)) => true,
            (Says::Open, answer) => !matches!(answer, Err(Fault::Refused)),
            (Says::Status(status), Ok(answer)) => answer.status == status,
            (Says::Word(word), Ok(answer)) => answer.body.trim_ascii() == word.as_bytes(),
            (Says::Off(name), Ok(answer)) => answer.status == 200 && is_off(&answer.body, name),
            _ => false,
        }
    }
}

/// Signs that together mean a standing; to be looked at in order, up to the first that does not
/// hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// All of them must hold.
    pub signs: Vec<Sign>,
    /// What they mean then.
    pub means: Standing,
}

/// The cases of this proxy, in the order to try; where none holds, it is [`Standing::Serving`].
#[must_use]
pub fn cases(proxy: &Proxy) -> Vec<Case> {
    let mut cases: Vec<Case> = endless(proxy).into_iter().chain(ending(proxy)).collect();
    let mut all = proxy.quit();
    all.extend(proxy.ready.iter().map(|ready| ready.url.clone()));
    // What is asked there is the root, which does nothing: whether somebody listens is enough.
    let signs: Vec<Sign> =
        all.into_iter().map(|url| Sign { url: url.at("/"), says: Says::Closed }).collect();
    if !signs.is_empty() {
        cases.push(Case { signs, means: Standing::Gone });
    }
    cases
}

/// The cases of a proxy that cannot be ended: to be told at the start, too.
#[must_use]
pub fn endless(proxy: &Proxy) -> Option<Case> {
    let own = proxy.quit();
    let [only] = own.as_slice() else { return None };
    let ready = &proxy.ready.first()?.url;
    let sign = |url: &Endpoint, says| Sign { url: url.clone(), says };
    match proxy.mesh {
        Mesh::Kuma => Some(Case {
            signs: vec![sign(&only.at("/ready"), Says::Closed), sign(ready, Says::Open)],
            means: Standing::Endless(
                "from Kuma 2.14 on its admin API is a Unix socket in the sidecar's own container; \
                 unless it is a native sidecar, which Kubernetes ends, make it one, or give the \
                 control plane KUMA_BOOTSTRAP_SERVER_PARAMS_ENVOY_ADMIN_UNIX_SOCKET=false",
            ),
        }),
        Mesh::Linkerd => Some(Case {
            signs: vec![sign(
                &only.at(&format!("/env.json?{LINKERDS_SWITCH}")),
                Says::Off(LINKERDS_SWITCH),
            )],
            means: Standing::Endless(
                "its shutdown endpoint is switched off; unless it is a native sidecar, which \
                 Kubernetes ends, make it one, or set proxy.enableShutdownEndpoint in Linkerd's \
                 Helm values",
            ),
        }),
        _ => None,
    }
}

/// Does this proxy show that it is ending?
#[must_use]
pub fn shows_ending(proxy: &Proxy) -> bool {
    ending(proxy).is_some()
}

/// The case of a proxy that is ending, where that shows.
fn ending(proxy: &Proxy) -> Option<Case> {
    let ready = &proxy.ready.first()?.url;
    let sign = |url: &Endpoint, says| Sign { url: url.clone(), says };
    let signs = match proxy.mesh {
        Mesh::Istio => {
            let agent = proxy.quit().into_iter().next()?;
            let admin = proxy.admin.as_ref()?;
            vec![
                sign(&agent.at("/"), Says::Closed),
                sign(ready, Says::Status(503)),
                sign(&admin.at("/ready"), Says::Open),
            ]
        }
        Mesh::Kuma => vec![sign(ready, Says::Word("TERMINATING"))],
        _ => return None,
    };
    Some(Case { signs, means: Standing::Ending })
}

/// Does `/env.json` say anything but `"true"` for `name`? What is no such page says nothing.
fn is_off(body: &[u8], name: &str) -> bool {
    let variables: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_slice(body);
    let value = variables.ok().and_then(|mut variables| variables.remove(name));
    value.is_some_and(|value| value != "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answered = Result<Answer, Fault>;

    const REFUSED: Answered = Err(Fault::Refused);

    #[expect(clippy::unnecessary_wraps, reason = "one form for answers and faults")]
    fn answer(status: u16, body: &str) -> Answered {
        Ok(Answer { status, server: None, body: body.as_bytes().to_vec() })
    }

    /// How the proxy stands where `world` answers what is asked of a port.
    fn standing(mesh: Mesh, world: impl Fn(u16) -> Answered) -> Standing {
        let proxy = Proxy::of(mesh);
        let holds = |sign: &Sign| sign.holds(&world(sign.url.address.port().unwrap()));
        let case = cases(&proxy).into_iter().find(|case| case.signs.iter().all(holds));
        case.map_or(Standing::Serving, |case| case.means)
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
        let value = |value: &str| format!("{{\"{LINKERDS_SWITCH}\":{value}}}");
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
        assert_eq!(cases(&Proxy::of(Mesh::None)), []);
    }
}
