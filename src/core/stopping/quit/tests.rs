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

/// Asks until it is over; `world` answers the n-th POST to a port. When it was over, and to whom
/// the POSTs went.
fn simulate(
    mut quit: Quit,
    world: impl Fn(u16, usize) -> Answered,
) -> (Vec<Outcome>, Duration, Vec<u16>) {
    let (mut now, mut posts) = (Duration::ZERO, Vec::new());
    loop {
        match quit.next(now) {
            QuitStep::Over => return (quit.outcomes(), now, posts),
            QuitStep::Rest(until) => {
                assert!(until > now, "a rest goes forward");
                now = until;
            }
            QuitStep::Post { request, endpoint: asked, until } => {
                let port = (1..9).find(|port| endpoint(*port) == asked).unwrap();
                posts.push(port);
                let answer = world(port, posts.iter().filter(|other| **other == port).count());
                now = if answer == Err(Fault::Silent) { until } else { now + MS };
                quit.on(now, request, &answer);
            }
        }
    }
}

/// One proxy with endpoints at these ports.
fn one(ports: &[u16]) -> Quit {
    Quit::new(vec![ports.iter().copied().map(endpoint).collect()], BUDGET)
}

#[test]
fn answers_are_told_apart() {
    let garbage = Err(Fault::Broken("invalid HTTP version parsed".to_owned()));
    let unreachable = Err(Fault::Unreachable("permission denied".to_owned()));
    for (answer, agreed, part) in [
        (status(200), true, "200"),
        (garbage, false, "no usable HTTP answer"),
        (unreachable, false, "permission denied"),
        (status(403), false, "loopback"),
        (status(404), false, "enableShutdownEndpoint"),
        (status(405), false, "takes no POST"),
        (status(301), false, "301, which is not"),
    ] {
        let (outcomes, over, posts) = simulate(one(&[1]), |_, _| answer.clone());
        let (Outcome::Agreed(said) | Outcome::Refused(said)) = &outcomes[0] else {
            panic!("{outcomes:?}")
        };
        assert_eq!(matches!(outcomes[0], Outcome::Agreed(_)), agreed, "{said}");
        assert!(said.contains(part) && said.contains("127.0.0.1:1"), "{said}");
        assert_eq!((posts.len(), over), (1, MS));
    }
}

#[test]
fn a_proxy_that_is_busy_is_asked_again() {
    let (outcomes, over, posts) =
        simulate(one(&[1]), |_, count| status(if count < 3 { 503 } else { 200 }));
    assert_eq!(outcomes, [Outcome::Agreed(format!("{}: 200", endpoint(1)))]);
    assert_eq!(posts.len(), 3);
    assert!(over < 200 * MS, "{over:?}");
}

fn cut() -> Answered {
    Err(Fault::Cut("reset".to_owned()))
}

#[test]
fn a_cut_connection_is_an_end_only_where_nobody_listens_afterwards() {
    // It is asked again before anybody else is: Envoy must not be ended beside an agent that ends.
    for cuts in 1..4 {
        let world = |_, count| if count <= cuts { cut() } else { Err(Fault::Refused) };
        let (outcomes, over, posts) = simulate(one(&[1]), world);
        let Outcome::Agreed(said) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert!(said.contains("127.0.0.1:1/quitquitquit: it cut the connection and is"), "{said}");
        assert!(posts.len() == cuts + 1 && over < 500 * MS, "{over:?} {posts:?}");
    }
    let world = |port, count| match (port, count) {
        (1, 1) => cut(),
        (1, _) => Err(Fault::Refused),
        _ => panic!("the agent is ending"),
    };
    assert!(matches!(simulate(one(&[1, 2]), world).0[0], Outcome::Agreed(_)));
    // A server that only hangs up has not been told anything, and another endpoint has its turn.
    let (outcomes, over, _) = simulate(one(&[1]), |_, _| cut());
    let Outcome::Refused(said) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(said.contains("it hangs up without an answer (until the last try)"), "{said}");
    assert!(over >= 9 * BUDGET / 10, "{over:?}");
    let world = |port, _| if port == 1 { cut() } else { status(200) };
    let (outcomes, _, posts) = simulate(one(&[1, 2]), world);
    assert_eq!(outcomes, [Outcome::Agreed(format!("{}: 200", endpoint(2)))]);
    assert_eq!(posts, [1, 1, 2]);
}

#[test]
fn a_want_of_descriptors_or_memory_may_pass() {
    let wanting = || Err(Fault::Exhausted("Too many open files".to_owned()));
    let world = |_, count| if count < 5 { wanting() } else { status(200) };
    let (outcomes, _, posts) = simulate(one(&[1]), world);
    assert_eq!(
        (outcomes, posts.len()),
        (vec![Outcome::Agreed(format!("{}: 200", endpoint(1)))], 5)
    );
    let (outcomes, over, _) = simulate(one(&[1]), |_, _| wanting());
    assert!(matches!(&outcomes[0], Outcome::Refused(said) if said.contains("Too many open files")));
    assert!(over >= 9 * BUDGET / 10, "{over:?}");
}

#[test]
fn all_tries_together_end_within_their_budget() {
    for answer in [status(503), Err(Fault::Silent)] {
        for budget in [BUDGET, BUDGET_AFTER_STOP] {
            let quit = Quit::new(vec![vec![endpoint(1)]], budget);
            let (outcomes, over, posts) = simulate(quit, |_, _| answer.clone());
            let Outcome::Refused(said) = &outcomes[0] else { panic!("{outcomes:?}") };
            assert!(said.contains("until the last try"), "{said}");
            assert!(over >= 9 * budget / 10 && over <= budget + MS, "{over:?}");
            assert!((1..20).contains(&posts.len()), "{}", posts.len());
        }
    }
}

#[test]
fn each_endpoint_has_its_turn_whatever_the_others_say() {
    for first in [status(404), Err(Fault::Refused), Err(Fault::Silent), status(503)] {
        let world = |port, _| if port == 1 { first.clone() } else { status(200) };
        let (outcomes, _, posts) = simulate(one(&[1, 2]), world);
        assert_eq!(outcomes, [Outcome::Agreed(format!("{}: 200", endpoint(2)))], "{first:?}");
        assert_eq!(posts, [1, 2], "{first:?}");
    }
    assert_eq!(simulate(one(&[1, 2]), |_, _| status(200)).2, [1]);
    let (outcomes, _, _) = simulate(one(&[1, 2]), |_, _| status(405));
    assert!(matches!(&outcomes[0], Outcome::Refused(said) if said.matches("405").count() == 2));
}

#[test]
fn nobody_there_is_told_from_a_refusal_and_known_at_once() {
    let (outcomes, over, posts) = simulate(one(&[1, 2]), |_, _| Err(Fault::Refused));
    assert_eq!(outcomes, [Outcome::Nobody(format!("{} or {}", endpoint(1), endpoint(2)))]);
    assert_eq!((over, posts.len()), (2 * MS, 2));
    let world = |port, _| if port == 1 { Err(Fault::Refused) } else { status(404) };
    let (outcomes, _, posts) = simulate(one(&[1, 2]), world);
    let Outcome::Refused(said) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(said.contains("connection refused") && said.contains("404"), "{said}");
    assert_eq!(posts, [1, 2]);
}

#[test]
fn one_that_will_never_agree_is_not_asked_in_the_next_round() {
    let world = |port, count| status(if port == 1 { 404 } else { [503, 200][count - 1] });
    assert_eq!(simulate(one(&[1, 2]), world).2, [1, 2, 2]);
}

#[test]
fn several_proxies_are_all_asked_and_one_that_hangs_keeps_none_waiting() {
    let quit = Quit::new(vec![vec![endpoint(1)], vec![endpoint(2)], vec![]], BUDGET);
    let world = |port, _| if port == 1 { Err(Fault::Silent) } else { status(200) };
    let (outcomes, _, posts) = simulate(quit, world);
    assert_eq!(outcomes.len(), 2);
    assert!(matches!(outcomes[1], Outcome::Agreed(_)));
    assert_eq!(posts[..3], [1, 2, 1]);
}
