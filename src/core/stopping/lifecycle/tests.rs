use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ENDED: Exit = Exit::App(3);

fn rules() -> Rules {
    Rules {
        stops: StopSet::default(),
        map: SignalMap::default(),
        ok_exit: Vec::new(),
        drain: true,
        grace: Some(28 * SECOND),
        quit: QuitWhen::Always,
    }
}

/// A run in `phase`, which a TERM at 1 s has brought there unless it is still running.
fn in_phase(phase: Phase) -> Lifecycle {
    let deadline = match phase {
        Phase::Running | Phase::Quitting(_) => None,
        Phase::Draining(_) | Phase::Stopping => Some(29 * SECOND),
        Phase::Killing => Some(31 * SECOND),
    };
    let asked = if phase == Phase::Running { StopCount::Never } else { StopCount::Once };
    Lifecycle { rules: rules(), phase, deadline, asked, stops: Vec::new() }
}

#[test]
fn every_phase_meets_every_event() {
    use Action::{Drain, Exit as End, Forward, Kill, Quit, Stop};
    use Event::{Asked, Came, Drained, Ended, TimeOver};
    use Phase::{Draining, Killing, Quitting, Running, Stopping};
    let (term, hup, int) = (Signal::TERM, Signal::HUP, Signal::INT);
    let (draining, quitting) = (Draining(term), Quitting(ENDED));
    let killed = Quitting(Exit::Signal(Signal::KILL));
    let table: [(Phase, Event, Phase, &[Action]); 35] = [
        (Running, Came(term), draining, &[Drain]),
        (Running, Came(int), Draining(int), &[Drain]),
        (Running, Came(hup), Running, &[Forward(hup)]),
        (Running, Ended(ENDED), quitting, &[Quit]),
        (Running, Drained, Running, &[]),
        (Running, Asked, Running, &[]),
        (Running, TimeOver, Running, &[]),
        (draining, Came(term), Stopping, &[Stop(term)]),
        (draining, Came(int), Stopping, &[Stop(term), Forward(int)]),
        (draining, Came(hup), draining, &[Forward(hup)]),
        (draining, Ended(ENDED), quitting, &[Quit]),
        (draining, Drained, Stopping, &[Stop(term)]),
        (draining, Asked, draining, &[]),
        (draining, TimeOver, Killing, &[Kill]),
        (Stopping, Came(term), Stopping, &[Forward(term)]),
        (Stopping, Came(int), Stopping, &[Forward(int)]),
        (Stopping, Came(hup), Stopping, &[Forward(hup)]),
        (Stopping, Ended(ENDED), quitting, &[Quit]),
        (Stopping, Drained, Stopping, &[]),
        (Stopping, Asked, Stopping, &[]),
        (Stopping, TimeOver, Killing, &[Kill]),
        (Killing, Came(term), Killing, &[]),
        (Killing, Came(int), Killing, &[]),
        (Killing, Came(hup), Killing, &[]),
        (Killing, Ended(ENDED), quitting, &[Quit]),
        (Killing, Drained, Killing, &[]),
        (Killing, Asked, Killing, &[]),
        (Killing, TimeOver, killed, &[Quit]),
        (quitting, Came(term), quitting, &[End(ENDED)]),
        (quitting, Came(int), quitting, &[End(ENDED)]),
        (quitting, Came(hup), quitting, &[]),
        (quitting, Ended(Exit::App(9)), quitting, &[]),
        (quitting, Drained, quitting, &[]),
        (quitting, Asked, quitting, &[End(ENDED)]),
        (quitting, TimeOver, quitting, &[End(ENDED)]),
    ];
    for (phase, event, then, actions) in table {
        let mut run = in_phase(phase);
        assert_eq!(run.on(5 * SECOND, event), actions, "{phase:?} {event:?}");
        assert_eq!(run.phase(), then, "{phase:?} {event:?}");
    }
}

#[test]
fn grace_counts_from_the_first_stop_signal_and_is_never_lengthened() {
    let mut run = Lifecycle::new(rules());
    assert_eq!(run.deadline(), None);
    let _ = run.on(SECOND, Event::Came(Signal::HUP));
    assert_eq!(run.deadline(), None);
    let _ = run.on(SECOND, Event::Came(Signal::TERM));
    for event in [
        Event::Came(Signal::TERM),
        Event::Drained,
        Event::Came(Signal::INT),
        Event::Came(Signal::HUP),
    ] {
        let _ = run.on(9 * SECOND, event);
        assert_eq!(run.deadline(), Some(29 * SECOND), "{event:?}");
    }
}

#[test]
fn without_grace_nothing_is_ever_killed() {
    let mut run = Lifecycle::new(Rules { grace: None, ..rules() });
    for event in [Event::Came(Signal::TERM), Event::Drained, Event::Came(Signal::TERM)] {
        let _ = run.on(SECOND, event);
        assert_eq!(run.deadline(), None, "{event:?}");
    }
    assert_eq!(run.phase(), Phase::Stopping);
    // Ending the proxy is bounded all the same.
    let _ = run.on(9 * SECOND, Event::Ended(ENDED));
    assert_eq!(run.deadline(), Some(20 * SECOND));
}

#[test]
fn a_kill_that_does_not_work_is_waited_for_only_shortly() {
    let mut run = in_phase(Phase::Stopping);
    assert_eq!(run.on(29 * SECOND, Event::TimeOver), [Action::Kill]);
    assert_eq!(run.deadline(), Some(31 * SECOND));
    assert_eq!(run.on(31 * SECOND, Event::TimeOver), [Action::Quit]);
    assert_eq!(run.on(31 * SECOND, Event::Asked), [Action::Exit(Exit::Signal(Signal::KILL))]);
}

#[test]
fn without_draining_the_first_stop_signal_goes_straight_through() {
    let mut run = Lifecycle::new(Rules { drain: false, ..rules() });
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Stop(Signal::TERM)]);
}

#[test]
fn the_first_stop_signal_while_quitting_makes_it_another_occasion() {
    let mut run = Lifecycle::new(rules());
    let _ = run.on(SECOND, Event::Ended(ENDED));
    assert_eq!((run.occasion(), run.deadline()), (Occasion::Ended, None));
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Quit]);
    assert_eq!(run.occasion(), Occasion::Stopped { until: 28 * SECOND });
    assert_eq!(run.deadline(), Some(29 * SECOND));
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Exit(ENDED)]);
}

#[test]
fn the_proxy_is_asked_as_the_setting_says() {
    let table = [
        (QuitWhen::Never, 0, false),
        (QuitWhen::Never, 1, false),
        (QuitWhen::Always, 0, true),
        (QuitWhen::Always, 1, true),
        (QuitWhen::OnSuccess, 0, true),
        (QuitWhen::OnSuccess, 1, false),
        (QuitWhen::OnSuccess, 143, true),
    ];
    for (quit, code, asked) in table {
        let mut run = Lifecycle::new(Rules { quit, ok_exit: vec![143], ..rules() });
        let actions = run.on(SECOND, Event::Ended(Exit::App(code)));
        let exit = Exit::App(if code == 143 { 0 } else { code });
        assert_eq!(
            actions,
            [if asked { Action::Quit } else { Action::Exit(exit) }],
            "{quit:?} {code}"
        );
    }
}

#[test]
fn what_is_mapped_arrives_as_something_else_or_not_at_all() {
    let map = SignalMap::of(&["TERM:QUIT".parse().unwrap(), "USR1:0".parse().unwrap()]).unwrap();
    let mut run = Lifecycle::new(Rules { map, drain: false, ..rules() });
    let usr1 = "USR1".parse().unwrap();
    assert_eq!(run.on(SECOND, Event::Came(usr1)), []);
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Stop(Signal::QUIT)]);
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Forward(Signal::QUIT)]);
}

#[test]
fn stop_is_judged_by_what_arrived() {
    let map = SignalMap::of(&["TERM:0".parse().unwrap(), "WINCH:TERM".parse().unwrap()]).unwrap();
    let (usr1, winch) = ("USR1".parse().unwrap(), "WINCH".parse().unwrap());
    let stops = StopSet::adding(vec![usr1]);
    let new = || Lifecycle::new(Rules { map: map.clone(), stops: stops.clone(), ..rules() });
    let mut run = new();
    assert_eq!(run.on(SECOND, Event::Came(winch)), [Action::Forward(Signal::TERM)]);
    assert_eq!(run.phase(), Phase::Running);
    assert_eq!(run.on(SECOND, Event::Came(usr1)), [Action::Drain]);
    assert_eq!(run.on(SECOND, Event::Drained), [Action::Stop(usr1)]);
    // What is mapped to nothing still drains, and stops nobody.
    let mut run = new();
    assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Drain]);
    assert_eq!(run.on(SECOND, Event::Drained), []);
    assert_eq!(run.phase(), Phase::Stopping);
}

#[test]
fn an_exit_code_that_counts_as_success_is_also_a_signals() {
    let mut run = Lifecycle::new(Rules { ok_exit: vec![143], quit: QuitWhen::Never, ..rules() });
    assert_eq!(
        run.on(SECOND, Event::Ended(Exit::Signal(Signal::TERM))),
        [Action::Exit(Exit::App(0))]
    );
}

#[test]
fn after_a_stop_signal_grace_bounds_the_asking_too() {
    let mut run = Lifecycle::new(rules());
    let _ = run.on(SECOND, Event::Came(Signal::TERM));
    let _ = run.on(2 * SECOND, Event::Ended(ENDED));
    assert_eq!(run.deadline(), Some(29 * SECOND));
    assert_eq!(run.on(29 * SECOND, Event::TimeOver), [Action::Exit(ENDED)]);
    let mut late = in_phase(Phase::Stopping);
    let _ = late.on(29 * SECOND, Event::Ended(ENDED));
    assert_eq!(late.deadline(), Some(30 * SECOND));
    let mut by_itself = Lifecycle::new(rules());
    let _ = by_itself.on(SECOND, Event::Ended(ENDED));
    assert_eq!(by_itself.deadline(), None);
}
