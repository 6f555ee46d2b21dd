//! The stop sequence: which phase a supervised run is in, and what each event makes it do.
//!
//! ```text
//! Running --stop signal--> Draining --idle, out of time, 2nd signal--> Stopping
//! Stopping --ended--> Quitting --> exit
//!        with --grace: any of these, time over --> Killing --ended--> Quitting
//! ```
//!
//! Owns the order; must never do anything itself. The application's own end ends every phase.

use std::time::Duration;

use crate::core::exit::Exit;
use crate::core::signal::Signal;
use crate::core::stopping::quit::BUDGET_AFTER_STOP;
use crate::core::stopping::quit_when::{Occasion, QuitWhen, WATCHING};
use crate::core::stopping::signal_map::SignalMap;
use crate::core::stopping::stop_set::StopSet;

/// How long a killed application may take to be gone: only a process inside the kernel needs any
/// time.
const KILL_TAKES: Duration = Duration::from_secs(2);

/// What asking the proxy to end gets after a stop signal, when the time for watching it is over:
/// one try on a busy machine.
const ASKING_TAKES: Duration = BUDGET_AFTER_STOP;

/// How long a run that was asked to stop may take for ending the proxy, where `--grace` does not
/// say.
const QUITTING_TAKES: Duration = WATCHING.saturating_add(ASKING_TAKES);

/// What does not change during a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which signals ask the run to stop.
    pub stops: StopSet,
    /// What the application gets for each signal that arrives.
    pub map: SignalMap,
    /// Exit codes of the application that count as 0.
    pub ok_exit: Vec<u8>,
    /// Drain before stopping?
    pub drain: bool,
    /// From the first stop signal until we kill; `None` is never.
    pub grace: Option<Duration>,
    /// When the proxy is asked to end.
    pub quit: QuitWhen,
}

impl Rules {
    /// How long ending the proxy may take after a stop signal, beyond `--grace` where that is
    /// given; zero where it is not asked.
    #[must_use]
    pub fn quitting_takes(&self) -> Duration {
        match (self.quit, self.grace) {
            (QuitWhen::Never, _) => Duration::ZERO,
            (_, Some(_)) => ASKING_TAKES,
            (_, None) => QUITTING_TAKES,
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
    /// Draining is over: idle, or out of time.
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
    /// End the proxy, as [`Lifecycle::occasion`] has it; begin anew where that is under way.
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
    asked: StopCount,
    /// What the application gets for the stop signals that have come.
    stops: Vec<Signal>,
}

/// How often a run was asked to stop. A second time always shortens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCount {
    /// Not at all.
    Never,
    /// By one stop signal.
    Once,
    /// By two or more.
    Twice,
}

impl StopCount {
    const fn again(self) -> Self {
        match self {
            Self::Never => Self::Once,
            Self::Once | Self::Twice => Self::Twice,
        }
    }
}

impl Lifecycle {
    /// The application has just started.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Running,
            deadline: None,
            asked: StopCount::Never,
            stops: Vec::new(),
        }
    }

    /// Where the run is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// From the first stop signal until the application is killed; `None` is never.
    #[must_use]
    pub const fn grace(&self) -> Option<Duration> {
        self.rules.grace
    }

    /// When [`Event::TimeOver`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// What the run's end followed, once it is [`Phase::Quitting`].
    #[must_use]
    pub fn occasion(&self) -> Occasion {
        match self.deadline {
            Some(deadline) => Occasion::Stopped { until: deadline.saturating_sub(ASKING_TAKES) },
            None => Occasion::Ended,
        }
    }

    /// What `event` makes the run do, in this order.
    #[must_use]
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Came(signal) if self.is_stop(signal) => self.on_stop(now, signal),
            Event::Came(signal) => self.forward(signal),
            Event::Ended(exit) => self.on_end(now, exit),
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

    /// Does `signal` ask this run to stop? That is judged by what arrived, whatever the application
    /// gets instead.
    #[must_use]
    pub fn is_stop(&self, signal: Signal) -> bool {
        self.rules.stops.contains(signal)
    }

    fn on_stop(&mut self, now: Duration, signal: Signal) -> Vec<Action> {
        self.asked = self.asked.again();
        let delivered = self.rules.map.delivered(signal);
        self.stops.extend(delivered.filter(|signal| !self.stops.contains(signal)));
        match self.phase {
            Phase::Running => {
                self.deadline = self.rules.grace.map(|grace| now + grace);
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
            Phase::Quitting(exit) if self.asked == StopCount::Twice => vec![Action::Exit(exit)],
            // The pod stops now, and the proxy with it: that is another way to end it.
            Phase::Quitting(_) => {
                self.deadline = Some(now + self.rules.grace.unwrap_or(QUITTING_TAKES));
                vec![Action::Quit]
            }
            Phase::Killing => Vec::new(),
        }
    }

    fn on_end(&mut self, now: Duration, exit: Exit) -> Vec<Action> {
        if matches!(self.phase, Phase::Quitting(_)) {
            return Vec::new();
        }
        let exit = if self.rules.ok_exit.contains(&exit.code()) { Exit::App(0) } else { exit };
        // After a stop signal the kubelet is about to kill us: then grace bounds the asking, too.
        self.deadline = match (self.asked, self.deadline) {
            (StopCount::Never, _) => None,
            (_, Some(grace)) => Some(grace.max(now + ASKING_TAKES)),
            (_, None) => Some(now + QUITTING_TAKES),
        };
        self.phase = Phase::Quitting(exit);
        let stopped_by = (self.asked != StopCount::Never).then_some(self.stops.as_slice());
        let asks = self.rules.quit.applies(exit, stopped_by);
        vec![if asks { Action::Quit } else { Action::Exit(exit) }]
    }

    fn on_time_over(&mut self, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Draining(_) | Phase::Stopping => {
                self.phase = Phase::Killing;
                self.deadline = Some(now + KILL_TAKES);
                vec![Action::Kill]
            }
            Phase::Killing => self.on_end(now, Exit::Signal(Signal::KILL)),
            Phase::Quitting(exit) => vec![Action::Exit(exit)],
            Phase::Running => Vec::new(),
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
mod tests;
