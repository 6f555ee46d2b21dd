//! Ending the proxies: within the budget, and nobody is asked again after agreeing.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::Strategy;
use proptest::sample::select;

use meshim::core::answer::{Answer, Fault};
use meshim::core::endpoint::Endpoint;
use meshim::core::stopping::quit::{self, Quit, QuitStep};

use super::{Tries, milliseconds};

/// More steps than it needs for what it is given here.
const FOR_EVER: usize = 100_000;

fn answer() -> impl Strategy<Value = Result<Answer, Fault>> {
    let status = select(vec![200, 204, 302, 403, 404, 405, 429, 500, 503, 999_u16]);
    let answer = status.prop_map(|status| Ok(Answer { status, server: None, body: Vec::new() }));
    let faults = vec![
        Fault::Refused,
        Fault::Silent,
        Fault::Broken("x".to_owned()),
        Fault::Cut("x".to_owned()),
    ];
    proptest::prop_oneof![2 => answer, 1 => select(faults).prop_map(Err)]
}

pub(crate) fn asking_ends_within_its_budget_and_nobody_is_asked_after_agreeing(
    tries: &mut impl Tries,
) {
    let proxies = vec(0..4_usize, 0..4);
    let budget = select(vec![quit::BUDGET, quit::BUDGET_AFTER_STOP, Duration::ZERO]);
    let answers = vec((answer(), milliseconds(0..1_500)), 1..20);
    tries.try_all((proxies, budget, answers), |(proxies, budget, answers)| {
        let endpoint = |port: usize| -> Endpoint {
            format!("http://127.0.0.1:{}/quit", port + 1).parse().expect("a URL")
        };
        let lists = proxies.iter().enumerate().map(|(proxy, endpoints)| {
            (0..*endpoints).map(|at| endpoint(proxy * 10 + at)).collect()
        });
        let lists: Vec<Vec<Endpoint>> = lists.collect();
        let expected = lists.iter().filter(|list| !list.is_empty()).count();
        let mut quit = Quit::new(lists, budget);
        let mut answers = answers.into_iter().cycle();
        let (mut now, mut agreed) = (Duration::ZERO, Vec::new());
        for _ in 0..FOR_EVER {
            match quit.next(now) {
                QuitStep::Rest(until) => {
                    assert!(until > now && until <= budget, "{until:?}");
                    now = until;
                }
                QuitStep::Post { request, until, .. } => {
                    assert!(!agreed.contains(&request), "asked after it agreed");
                    assert!(until > now && until <= budget, "{until:?}");
                    let (answer, took) = answers.next().expect("for ever");
                    let answer = if now + took >= until { Err(Fault::Silent) } else { answer };
                    now = until.min(now + took);
                    if matches!(&answer, Ok(Answer { status: 200..=299, .. })) {
                        agreed.push(request);
                    }
                    quit.on(now, request, &answer);
                }
                QuitStep::Over => {
                    assert!(now <= budget, "{now:?}");
                    assert_eq!(quit.outcomes().len(), expected);
                    return;
                }
            }
        }
        panic!("it goes round and round at {now:?}");
    });
}
