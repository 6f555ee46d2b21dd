//! Signals that arrive, as [`Signal`]s. Registering is eager and can fail; waiting is separate.
//!
//! Handlers instead of masks: exec resets them, so nothing of meshim is left in the application. A signal that
//! was ignored when meshim started (`nohup`) stays ignored, for meshim and for the application.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::Stream as _;
use signal_hook_tokio::Signals;

use crate::core::signal::Signal;

/// The signals that end the wait.
const STOP: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Stop signals from the moment this exists.
pub struct StopSignals {
    signals: Signals,
    latest: Arc<AtomicUsize>,
}

impl StopSignals {
    /// Catches TERM, INT, QUIT and HUP from now on, also as PID 1. Needs a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses the handlers or the socket pair behind them.
    pub fn register() -> std::io::Result<Self> {
        let ignored = ignored();
        let numbers = STOP.into_iter().map(Signal::number).filter(|number| ignored & (1 << (number - 1)) == 0);
        let numbers: Vec<u8> = numbers.collect();
        let latest = Arc::new(AtomicUsize::new(0));
        for number in &numbers {
            signal_hook::flag::register_usize(i32::from(*number), Arc::clone(&latest), usize::from(*number))?;
        }
        let signals = Signals::new(numbers.into_iter().map(i32::from))?;
        Ok(Self { signals, latest })
    }

    /// A stop signal that has arrived by now, without waiting: the last look before exec.
    #[must_use]
    pub fn arrived(&self) -> Option<Signal> {
        i32::try_from(self.latest.load(Ordering::SeqCst)).ok().and_then(Signal::from_number)
    }

    /// The next stop signal. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Signal {
        loop {
            match poll_fn(|context| Pin::new(&mut self.signals).poll_next(context)).await {
                Some(number) => {
                    if let Some(signal) = Signal::from_number(number) {
                        return signal;
                    }
                }
                None => pending().await,
            }
        }
    }
}

/// The mask of signals that this process ignores; empty where /proc cannot tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
