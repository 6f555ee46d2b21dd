//! A supervised run: whatever happens in whatever order, a stop ends within its bound, no exit
//! status is lost, and the proxy is not asked to end before the application has ended.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;

use meshim::core::exit::Exit;
use meshim::core::signal::Signal;
use meshim::core::stopping::lifecycle::{Action, Event, Lifecycle, Phase, Rules};
use meshim::core::stopping::quit_when::QuitWhen;
use meshim::core::stopping::signal_map::{Mapping, SignalMap};
use meshim::core::stopping::stop_set::StopSet;

use super::{MS, Tries, milliseconds};

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

pub(crate) fn a_run_ends_as_its_application_did_and_asks_the_proxy_only_then(
    tries: &mut impl Tries,
) {
    let steps = vec((milliseconds(0..20_000), event()), 0..30);
    tries.try_all((rules(), steps, exit()), |(rules, steps, last)| {
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
    });
}

pub(crate) fn with_grace_a_stop_ends_by_itself_whatever_else_comes(tries: &mut impl Tries) {
    let others = vec((milliseconds(0..3_000), signal()), 0..20);
    tries.try_all((rules(), milliseconds(0..60_000), others), |(mut rules, grace, others)| {
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
    });
}
