//! The machines that stop a run: whatever happens in whatever order, a stop ends within its bound,
//! no exit status is lost, and the proxy is not asked to end before the application has ended.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;

use meshim::core::answer::{Answer, Fault};
use meshim::core::endpoint::Endpoint;
use meshim::core::envoy::activity::Activity;
use meshim::core::exit::Exit;
use meshim::core::signal::Signal;
use meshim::core::stopping::drain::{self, Counted, Counters, Drain};
use meshim::core::stopping::drained;
use meshim::core::stopping::idle::Sample;
use meshim::core::stopping::lifecycle::{Action, Event, Lifecycle, Phase, Rules};
use meshim::core::stopping::plan::{Plan, Times};
use meshim::core::stopping::quit::{self, Quit};
use meshim::core::stopping::quit_when::QuitWhen;
use meshim::core::stopping::signal_map::{Mapping, SignalMap};
use meshim::core::stopping::stop_set::StopSet;
use meshim::core::stopping::unsent::{self, Limits, Load, Unsent};

use crate::cases;

const MS: Duration = Duration::from_millis(1);

/// More steps than any of these machines needs for what it is given here.
const FOR_EVER: usize = 100_000;

fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn signal() -> impl Strategy<Value = Signal> {
    let numbers: Vec<i32> = (1..=64).collect();
    let any_of_them = select(numbers).prop_filter_map("a signal", Signal::from_number);
    let stops = select(vec![Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP]);
    proptest::prop_oneof![3 => stops, 1 => any_of_them]
        .prop_filter("arrives", |signal| signal.can_be_forwarded())
}

fn exit() -> impl Strategy<Value = Exit> {
    proptest::prop_oneof![any::<u8>().prop_map(Exit::App), signal().prop_map(Exit::Signal)]
}

fn rules() -> impl Strategy<Value = Rules> {
    let maps = vec(select(vec!["TERM:QUIT", "TERM:0", "INT:TERM", "HUP:0", "QUIT:KILL"]), 0..3);
    let whens = vec![QuitWhen::Never, QuitWhen::Always, QuitWhen::OnSuccess, QuitWhen::OnStop];
    let ok = vec(any::<u8>(), 0..3);
    let grace = option::of(milliseconds(0..60_000));
    (maps, vec(signal(), 0..2), any::<bool>(), grace, ok, select(whens)).prop_map(
        |(maps, added, drain, grace, ok_exit, quit)| {
            let maps: Vec<Mapping> = maps.iter().filter_map(|map| map.parse().ok()).collect();
            let map = SignalMap::of(&maps).unwrap_or_default();
            Rules { stops: StopSet::adding(added), map, ok_exit, drain, grace, quit }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    proptest::prop_oneof![
        4 => signal().prop_map(Event::Came),
        1 => exit().prop_map(Event::Ended),
        1 => Just(Event::Drained),
        1 => Just(Event::Asked),
    ]
}

/// What a run has done so far.
#[derive(Default)]
struct Seen {
    ended: Option<Exit>,
    was_killed: bool,
    exit: Option<Exit>,
}

impl Seen {
    /// Checks what an event made the run do.
    fn take(&mut self, actions: &[Action], phase: Phase) {
        for action in actions {
            let over = matches!(phase, Phase::Quitting(_));
            match action {
                Action::Quit => assert!(over, "quit before the application's end"),
                Action::Exit(exit) => {
                    assert!(over, "an end before the application's");
                    self.exit = Some(*exit);
                }
                Action::Kill => self.was_killed = true,
                Action::Stop(_) | Action::Forward(_) | Action::Drain => {
                    assert!(!over, "{action:?} to an application that has ended");
                }
            }
        }
    }

    /// Its exit is the application's own, 0 where that code counts as 0, or that of a kill that had
    /// to be given up.
    fn is_true(&self, rules: &Rules) -> bool {
        let own = self.ended.unwrap_or(Exit::Signal(Signal::KILL));
        assert!(self.ended.is_some() || self.was_killed, "an end without the application's");
        let counts = if rules.ok_exit.contains(&own.code()) { Exit::App(0) } else { own };
        self.exit == Some(counts)
    }
}

#[test]
fn a_run_ends_as_its_application_did_and_asks_the_proxy_only_then() {
    let steps = vec((milliseconds(0..20_000), event()), 0..30);
    cases(800)
        .run(&(rules(), steps, exit()), |(rules, steps, last)| {
            let mut run = Lifecycle::new(rules.clone());
            let (mut seen, mut now) = (Seen::default(), Duration::ZERO);
            let ending = [(MS, Event::Ended(last)), (MS, Event::Asked), (MS, Event::Asked)];
            'run: for (pause, event) in steps.into_iter().chain(ending) {
                // The loop wakes up for the deadline before it hears anything later.
                let until = now + pause;
                while let Some(due) = run.deadline().filter(|due| *due <= until) {
                    now = now.max(due);
                    let before = run.phase();
                    let actions = run.on(now, Event::TimeOver);
                    seen.take(&actions, run.phase());
                    if seen.exit.is_some() {
                        break 'run;
                    }
                    assert!(run.phase() != before || !actions.is_empty(), "TimeOver does nothing");
                }
                now = until;
                let was_over = matches!(run.phase(), Phase::Quitting(_));
                if let Event::Ended(exit) = event {
                    // An application ends once.
                    if was_over {
                        continue;
                    }
                    seen.ended = seen.ended.or(Some(exit));
                }
                let actions = run.on(now, event);
                seen.take(&actions, run.phase());
                if seen.exit.is_some() {
                    break;
                }
            }
            assert!(seen.is_true(&rules), "{:?} {:?}", seen.ended, seen.exit);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn with_grace_a_stop_ends_by_itself_whatever_else_comes() {
    let others = vec((milliseconds(0..3_000), signal()), 0..20);
    cases(800)
        .run(&(rules(), milliseconds(0..60_000), others), |(mut rules, grace, others)| {
            rules.grace = Some(grace);
            let mut run = Lifecycle::new(rules.clone());
            let mut seen = Seen::default();
            let mut now = Duration::ZERO;
            seen.take(&run.on(now, Event::Came(Signal::TERM)), run.phase());
            let mut signals = others.into_iter();
            let mut due_signal = signals.next().map(|(pause, signal)| (now + pause, signal));
            // Neither the application, nor the drain, nor the proxy ever says anything.
            for _ in 0..100 {
                if seen.exit.is_some() {
                    break;
                }
                let deadline = run.deadline().expect("a stop has a deadline");
                match due_signal {
                    Some((at, signal)) if at < deadline => {
                        now = at;
                        seen.take(&run.on(now, Event::Came(signal)), run.phase());
                        due_signal = signals.next().map(|(pause, signal)| (now + pause, signal));
                    }
                    _ => {
                        now = deadline;
                        seen.take(&run.on(now, Event::TimeOver), run.phase());
                    }
                }
            }
            assert!(seen.exit.is_some(), "it never ends");
            // The kill may take two seconds, ending the proxy one.
            let bound = grace + Duration::from_secs(3);
            assert!(now <= bound, "{now:?} is later than {bound:?}");
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn times() -> impl Strategy<Value = Plan> {
    let long = proptest::prop_oneof![
        5 => milliseconds(0..20_000),
        1 => Just(Duration::from_hours(720)),
        1 => Just(Duration::ZERO),
    ];
    (milliseconds(0..20_000), milliseconds(0..20_000), long).prop_map(|(min, more, quiet)| {
        Plan::new(Times { min, max: min + more, quiet, grace: None }, None)
    })
}

fn sample() -> impl Strategy<Value = Option<Sample>> {
    let some = (0..4_u64, 0..4_u64, option::of(milliseconds(0..10_000)), any::<bool>()).prop_map(
        |(open, at_work, until, without_ages)| {
            let until = until.filter(|_| at_work > 0);
            Sample { open, at_work, until, without_ages }
        },
    );
    option::weighted(0.9, some)
}

fn counted() -> impl Strategy<Value = Counted> {
    let number = || proptest::prop_oneof![4 => 0..3_u64, 1 => any::<u64>()];
    let activity = (number(), number(), option::of(number()))
        .prop_map(|(requests, connections, begun)| Activity { requests, connections, begun });
    proptest::prop_oneof![
        8 => activity.prop_map(Counted::Activity),
        1 => Just(Counted::Unreadable),
        1 => Just(Counted::Gone),
    ]
}

#[test]
fn draining_ends_between_its_shortest_and_its_longest_time() {
    let counters = select(vec![None, Some(Counters::Stats), Some(Counters::Metrics)]);
    let took = || milliseconds(0..300);
    let looks = vec((sample(), counted(), took()), 1..60);
    cases(150)
        .run(&(times(), counters, looks), |(plan, counters, looks)| {
            let mut drain = Drain::new(plan, counters);
            let mut looks = looks.into_iter().cycle();
            let mut now = Duration::ZERO;
            for _ in 0..FOR_EVER {
                match drain.next(now) {
                    drain::Next::Rest(until) => {
                        assert!(until > now, "a rest goes forward");
                        now = until;
                    }
                    drain::Next::LookAtConnections => {
                        let (sample, _, took) = looks.next().expect("for ever");
                        now += took;
                        drain.on_connections(now, took, sample);
                    }
                    drain::Next::LookAt(_) => {
                        let (_, counted, took) = looks.next().expect("for ever");
                        now += took;
                        drain.on_counters(now, took, counted);
                    }
                    drain::Next::Over(reason) => {
                        assert!(now >= plan.min, "{now:?} is too early");
                        // One look may have begun just before.
                        assert!(now <= plan.max + 300 * MS, "{now:?} is too late");
                        assert!(!drained::sentence(&reason, plan.quiet).contains('\n'));
                        return Ok(());
                    }
                }
            }
            panic!("it goes round and round at {now:?}");
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_request_in_flight_is_waited_for_until_the_longest_time() {
    let busy = (1..9_u64, 1..9_u64, milliseconds(0..50));
    cases(150)
        .run(&(times(), busy), |(plan, (requests, open, took))| {
            let mut drain = Drain::new(plan, Some(Counters::Stats));
            let activity = Activity { requests, connections: 0, begun: Some(7) };
            let kernel = Sample { open, at_work: 1, until: None, without_ages: false };
            let mut now = Duration::ZERO;
            for _ in 0..FOR_EVER {
                match drain.next(now) {
                    drain::Next::Rest(until) => now = until,
                    drain::Next::LookAtConnections => {
                        now += took;
                        drain.on_connections(now, took, Some(kernel));
                    }
                    drain::Next::LookAt(_) => {
                        now += took;
                        drain.on_counters(now, took, Counted::Activity(activity));
                    }
                    drain::Next::Over(reason) => {
                        assert!(matches!(reason, drain::Reason::OutOfTime(_)), "{reason:?}");
                        assert!(now >= plan.max);
                        return Ok(());
                    }
                }
            }
            panic!("it goes round and round at {now:?}");
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

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

#[test]
fn asking_ends_within_its_budget_and_nobody_is_asked_after_agreeing() {
    let proxies = vec(0..4_usize, 0..4);
    let budget = select(vec![quit::BUDGET, quit::BUDGET_AFTER_STOP, Duration::ZERO]);
    let answers = vec((answer(), milliseconds(0..1_500)), 1..20);
    cases(400)
        .run(&(proxies, budget, answers), |(proxies, budget, answers)| {
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
                    quit::Next::Rest(until) => {
                        assert!(until > now && until <= budget, "{until:?}");
                        now = until;
                    }
                    quit::Next::Post { request, until, .. } => {
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
                    quit::Next::Over => {
                        assert!(now <= budget, "{now:?}");
                        assert_eq!(quit.outcomes().len(), expected);
                        return Ok(());
                    }
                }
            }
            panic!("it goes round and round at {now:?}");
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn waiting_for_unsent_bytes_ends_and_says_empty_only_where_nothing_was_seen_twice() {
    let number = || proptest::prop_oneof![4 => 0..2_u64, 1 => any::<u64>()];
    let load = (number(), number(), number()).prop_map(|(unsent, unread, in_flight)| Load {
        unsent,
        unread,
        in_flight,
    });
    let looks = vec((option::weighted(0.95, load), milliseconds(0..50)), 1..40);
    let limits = proptest::prop_oneof![Just(None), milliseconds(0..20_000).prop_map(Some),];
    cases(400)
        .run(&(limits, looks), |(until, looks)| {
            let limits = until.map_or(Limits::UNHURRIED, Limits::until);
            // `Limits::UNHURRIED` says so itself.
            let bound = until.unwrap_or(Duration::from_mins(2)) + 50 * MS;
            let mut wait = Unsent::new(limits);
            let mut looks = looks.into_iter().cycle();
            let (mut now, mut last) = (Duration::ZERO, Vec::new());
            for _ in 0..FOR_EVER {
                match wait.next(now) {
                    unsent::Next::Rest(until) => {
                        assert!(until > now, "a rest goes forward");
                        now = until;
                    }
                    unsent::Next::Look => {
                        let (seen, took) = looks.next().expect("for ever");
                        now += took;
                        last.push(seen);
                        wait.on(now, seen);
                    }
                    unsent::Next::Over(end) => {
                        assert!(now <= bound, "{now:?} is later than {bound:?}");
                        let is_empty = |seen: &Option<Load>| *seen == Some(Load::default());
                        let twice = last.iter().rev().take(2).filter(|seen| is_empty(seen)).count();
                        assert_eq!(end == unsent::End::Empty, twice == 2, "{end:?} {last:?}");
                        return Ok(());
                    }
                }
            }
            panic!("it goes round and round at {now:?}");
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
