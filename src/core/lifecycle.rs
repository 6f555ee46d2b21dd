//! The stop sequence: which phase a supervised run is in, and what each event makes it do.
//!
//! ```text
//! Running --stop signal--> Draining --idle, deadline, proxy gone, 2nd signal--> Stopping --ended--> Quitting --> exit
//!                          any of these --grace over--> Killing --ended--> Quitting
//! ```
//!
//! Owns the order; must never do anything itself. The application's own end ends every phase.

use std::time::Duration;

use crate::core::exit::Exit;
use crate::core::signal::Signal;
use crate::core::signal_map::SignalMap;

/// How long a killed application may take to be gone: only a process inside the kernel needs any time.
const KILL_TAKES: Duration = Duration::from_secs(2);

/// What does not change during a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What the application gets for each signal that arrives.
    pub map: SignalMap,
    /// Exit codes of the application that count as 0.
    pub ok_exit: Vec<u8>,
    /// Drain before stopping?
    pub drain: bool,
    /// From the first stop signal until we kill.
    pub grace: Duration,
    /// When the proxy is asked to end.
    pub quit: QuitWhen,
}

/// When the proxy is asked to end, once the application has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitWhen {
    /// Not at all.
    Never,
    /// However the run ends.
    Always,
    /// When the exit code is 0.
    OnSuccess,
}

impl QuitWhen {
    /// Is the proxy to be asked after this end?
    #[must_use]
    pub const fn applies(self, exit: Exit) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::OnSuccess => exit.code() == 0,
        }
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The application runs, and nobody has asked it to stop.
    Running,
    /// It goes on serving while the proxy turns its clients away. It will get this signal.
    Draining(Signal),
    /// It has got its stop signal.
    Stopping,
    /// It has been killed.
    Killing,
    /// It has ended so, and the proxy is asked to end.
    Quitting(Exit),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal came for the application.
    Came(Signal),
    /// The application ended.
    Ended(Exit),
    /// Draining is over: idle, out of time, or without a proxy.
    Drained,
    /// The proxy has been asked to end, with or without success.
    Asked,
    /// [`Lifecycle::deadline`] is over.
    TimeOver,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begin to drain.
    Drain,
    /// Send the application this signal, and let it run if it is stopped: it is to end.
    Stop(Signal),
    /// Send the application this signal.
    Forward(Signal),
    /// Kill the application.
    Kill,
    /// Ask the proxy to end.
    Quit,
    /// End so.
    Exit(Exit),
}

/// One run, from the application's start to our end.
#[derive(Debug)]
pub struct Lifecycle {
    rules: Rules,
    phase: Phase,
    /// The end of the phase, as far as there is one.
    deadline: Option<Duration>,
    /// Has a stop signal come before?
    asked_to_stop: bool,
}

impl Lifecycle {
    /// The application has just started.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, phase: Phase::Running, deadline: None, asked_to_stop: false }
    }

    /// Where the run is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// When [`Event::TimeOver`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// There is no proxy that could be drained, as it turned out.
    pub const fn cannot_drain(&mut self) {
        self.rules.drain = false;
    }

    /// What `event` makes the run do, in this order.
    #[must_use]
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Came(signal) if self.rules.map.is_stop(signal) => self.on_stop(now, signal),
            Event::Came(signal) => self.forward(signal),
            Event::Ended(exit) => self.on_end(exit),
            Event::Drained => match self.phase {
                Phase::Draining(first) => self.stop(first),
                _ => Vec::new(),
            },
            Event::Asked => match self.phase {
                Phase::Quitting(exit) => vec![Action::Exit(exit)],
                _ => Vec::new(),
            },
            Event::TimeOver => self.on_time_over(now),
        }
    }

    fn on_stop(&mut self, now: Duration, signal: Signal) -> Vec<Action> {
        let again = std::mem::replace(&mut self.asked_to_stop, true);
        match self.phase {
            Phase::Running => {
                self.deadline = Some(now + self.rules.grace);
                if self.rules.drain {
                    self.phase = Phase::Draining(signal);
                    vec![Action::Drain]
                } else {
                    self.stop(signal)
                }
            }
            Phase::Draining(first) => {
                let mut actions = self.stop(first);
                if signal != first {
                    actions.extend(self.forward(signal));
                }
                actions
            }
            Phase::Stopping => self.forward(signal),
            Phase::Quitting(exit) if again => vec![Action::Exit(exit)],
            Phase::Killing | Phase::Quitting(_) => Vec::new(),
        }
    }

    fn on_end(&mut self, exit: Exit) -> Vec<Action> {
        if matches!(self.phase, Phase::Quitting(_)) {
            return Vec::new();
        }
        let exit = if self.rules.ok_exit.contains(&exit.code()) { Exit::App(0) } else { exit };
        self.deadline = None;
        self.phase = Phase::Quitting(exit);
        vec![if self.rules.quit.applies(exit) { Action::Quit } else { Action::Exit(exit) }]
    }

    fn on_time_over(&mut self, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Draining(_) | Phase::Stopping => {
                self.phase = Phase::Killing;
                self.deadline = Some(now + KILL_TAKES);
                vec![Action::Kill]
            }
            Phase::Killing => self.on_end(Exit::Signal(Signal::KILL)),
            Phase::Running | Phase::Quitting(_) => Vec::new(),
        }
    }

    fn stop(&mut self, signal: Signal) -> Vec<Action> {
        self.phase = Phase::Stopping;
        self.rules.map.delivered(signal).map(Action::Stop).into_iter().collect()
    }

    fn forward(&self, signal: Signal) -> Vec<Action> {
        if matches!(self.phase, Phase::Killing | Phase::Quitting(_)) {
            return Vec::new();
        }
        self.rules.map.delivered(signal).map(Action::Forward).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ENDED: Exit = Exit::App(3);

    fn rules() -> Rules {
        Rules {
            map: SignalMap::default(),
            ok_exit: Vec::new(),
            drain: true,
            grace: 28 * SECOND,
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
        Lifecycle { rules: rules(), phase, deadline, asked_to_stop: phase != Phase::Running }
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
            (quitting, TimeOver, quitting, &[]),
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
        for event in [Event::Came(Signal::TERM), Event::Drained, Event::Came(Signal::INT), Event::Came(Signal::HUP)] {
            let _ = run.on(9 * SECOND, event);
            assert_eq!(run.deadline(), Some(29 * SECOND), "{event:?}");
        }
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
        let mut run = Lifecycle::new(rules());
        run.cannot_drain();
        assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), [Action::Stop(Signal::TERM)]);
    }

    #[test]
    fn the_first_stop_signal_while_quitting_does_not_cut_the_proxys_end_short() {
        let mut run = Lifecycle::new(rules());
        let _ = run.on(SECOND, Event::Ended(ENDED));
        assert_eq!(run.on(SECOND, Event::Came(Signal::TERM)), []);
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
            assert_eq!(actions, [if asked { Action::Quit } else { Action::Exit(exit) }], "{quit:?} {code}");
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
    fn an_exit_code_that_counts_as_success_is_also_a_signals() {
        let mut run = Lifecycle::new(Rules { ok_exit: vec![143], quit: QuitWhen::Never, ..rules() });
        assert_eq!(run.on(SECOND, Event::Ended(Exit::Signal(Signal::TERM))), [Action::Exit(Exit::App(0))]);
    }
}
