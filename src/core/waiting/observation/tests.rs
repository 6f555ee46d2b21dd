use super::*;
use crate::core::mesh::Mesh;
use crate::core::profiles::ENVOYS_WORDS;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, server: Some("envoy".to_owned()), body: body.as_bytes().to_vec() }
}

const ENVOY: Expect = Expect::Says(ENVOYS_WORDS);

fn decode(expect: Expect, answer: Answer) -> Observation {
    super::decode(expect, Trust::Certain, Ok(answer))
}

/// The profile's own expectation of the endpoint with this port.
fn expected_at(mesh: Mesh, port: &str) -> Expect {
    let ready = mesh.profile().ready.iter().find(|ready| ready.url.contains(port));
    ready.unwrap().expect
}

fn not_ready(status: u16, word: &str) -> Observation {
    Observation::NotReady { status, state: State::of(word.as_bytes()) }
}

#[test]
fn envoys_ready_is_read_by_status_and_word() {
    assert_eq!(decode(ENVOY, answer(200, "LIVE\n")), Observation::Ready);
    for word in ["PRE_INITIALIZING", "INITIALIZING", "DRAINING"] {
        let seen = decode(ENVOY, answer(503, &format!("{word}\n")));
        assert_eq!(seen, not_ready(503, word));
        assert_eq!(seen.to_string(), format!("503 {word}"));
    }
}

#[test]
fn a_200_that_does_not_say_live_is_somebody_elses() {
    let seen = decode(ENVOY, answer(200, "<html>hello</html>"));
    assert!(matches!(seen, Observation::Foreign { status: 200, .. }));
    assert!(!seen.shows_a_proxy());
    assert_eq!(decode(Expect::Ok, answer(200, "<html>")), Observation::Ready);
}

fn from(server: Option<&str>, status: u16, body: &str) -> Answer {
    Answer { status, server: server.map(str::to_owned), body: body.as_bytes().to_vec() }
}

/// Answers of real proxies (linkerd2-proxy of 2026-08, kuma-dp 2.14.3).
#[test]
fn a_guess_is_proven_by_the_words_of_its_proxy_alone() {
    let (linkerd, istio) = (expected_at(Mesh::Linkerd, "4191"), expected_at(Mesh::Istio, "15021"));
    let kuma = expected_at(Mesh::Kuma, "9902");
    let table = [
        (linkerd, from(None, 200, "ready\n"), Observation::Ready),
        (linkerd, from(None, 503, "not ready\n"), not_ready(503, "not ready")),
        (istio, from(Some("envoy"), 200, ""), Observation::Ready),
        (istio, from(Some("envoy"), 503, ""), not_ready(503, "")),
        (kuma, from(Some("kuma-dp"), 503, "NOT_READY"), not_ready(503, "NOT_READY")),
        (kuma, from(Some("kuma-dp"), 200, "READY"), Observation::AgentRuns(State::of(b"READY"))),
        (kuma, from(Some("kuma-dp"), 503, "TERMINATING"), not_ready(503, "TERMINATING")),
        (kuma, from(None, 503, "envoy not ready\n"), not_ready(503, "envoy not ready")),
        (kuma, from(Some("envoy"), 503, "INITIALIZING\n"), not_ready(503, "INITIALIZING")),
        (kuma, from(Some("envoy"), 200, "LIVE\n"), Observation::Ready),
        (ENVOY, answer(503, "PRE_INITIALIZING\n"), not_ready(503, "PRE_INITIALIZING")),
    ];
    for (expect, answer, seen) in table {
        assert!(proves(expect, &answer), "{answer:?}");
        assert_eq!(super::decode(expect, Trust::Guessed, Ok(answer)), seen);
    }
    // What others answer there.
    for expect in [linkerd, istio, kuma, ENVOY] {
        for (server, status, body) in [
            (None, 200, "OK"),
            (None, 200, ""),
            (Some("nginx"), 200, "LIVE"),
            (Some("gunicorn"), 200, "ready"),
            (Some("Express"), 200, "READY"),
            (None, 503, "starting"),
            (None, 403, "Forbidden"),
            (Some("nginx"), 404, ""),
        ] {
            let answer = from(server, status, body);
            assert!(!proves(expect, &answer), "{answer:?}");
            let seen = super::decode(expect, Trust::Guessed, Ok(answer));
            assert!(seen.refutes(), "{seen:?}");
        }
    }
}

#[test]
fn what_linkerd_withholds_neither_proves_nor_refutes() {
    let linkerd = expected_at(Mesh::Linkerd, "4191");
    for status in [403, 404] {
        let answer = from(None, status, "");
        assert!(!proves(linkerd, &answer));
        let seen = super::decode(linkerd, Trust::Guessed, Ok(answer));
        assert_eq!(seen, Observation::Withheld(status));
        assert!(!seen.refutes() && !seen.speaks());
    }
}

#[test]
fn what_else_is_waited_for_is_judged_as_a_probe() {
    for (status, is_ready) in [(200, true), (204, true), (302, true), (404, false), (503, false)] {
        let seen = decode(Expect::Healthy, from(None, status, ""));
        assert_eq!(seen == Observation::Ready, is_ready, "{status}");
    }
}

#[test]
fn other_statuses_are_told_apart() {
    for expect in [Expect::Ok, ENVOY] {
        assert_eq!(decode(expect, answer(403, "Forbidden")), Observation::Locked);
        assert_eq!(decode(expect, answer(503, "")), not_ready(503, ""));
        for status in [204, 301, 302, 400, 404, 405, 426] {
            assert!(
                matches!(decode(expect, answer(status, "")), Observation::Foreign { .. }),
                "{status}"
            );
        }
    }
}

#[test]
fn server_infos_state_decides() {
    let of = |state| of_server_info(Ok(ServerInfo { state, ..ServerInfo::default() }));
    assert_eq!(of(Some(State::Live)), Observation::Ready);
    assert_eq!(of(Some(State::PreInitializing)), not_ready(200, "PRE_INITIALIZING"));
    let unread = |unread| of_server_info(Err(unread));
    assert_eq!(unread(Unread::Locked), Observation::Locked);
    assert_eq!(unread(Unread::Gone), Observation::Failed(Fault::Refused));
    assert_eq!(unread(Unread::Status(503)), not_ready(503, ""));
    for status in [204, 301, 404] {
        let seen = unread(Unread::of_status(status).unwrap());
        assert!(matches!(seen, Observation::Foreign { .. }), "{status}");
    }
    let garbage = unread(Unread::Garbage("x".to_owned()));
    assert!(matches!(garbage, Observation::Failed(Fault::Broken(_))));
}

#[test]
fn a_body_cannot_forge_a_log_line() {
    let seen = decode(Expect::Ok, answer(503, "a\x1b[31mb\u{7f}\nsecond line"));
    assert_eq!(seen, not_ready(503, "a [31mb"));
    let long = decode(Expect::Ok, answer(503, &"x".repeat(5_000)));
    assert_eq!(long, not_ready(503, &"x".repeat(60)));
}
