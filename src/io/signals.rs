//! Signals that arrive, as [`Signal`]s. Registering is eager and can fail; waiting is separate.
//!
//! Until the application has started there are handlers and no mask: exec resets handlers, so nothing of meshim is
//! left in the application. A signal that was ignored when meshim started (`nohup`) stays ignored, for meshim and
//! for the application. Afterwards all signals are blocked and read from a signalfd: that tells who sent each one,
//! hears those that were ignored at the start, and keeps every single real-time signal, as the kernel queues them.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_core::Stream as _;
use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::getpid;
use signal_hook_tokio::Signals;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

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

/// What a supervisor hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A child has ended, stopped or been continued; one for many.
    Child,
    /// A process has sent this signal.
    Sent(Signal),
    /// The kernel has: a key on the terminal was pressed, or the terminal is gone.
    Kernel(Signal),
}

/// Every signal that can be forwarded, from the moment this exists: before the application does.
#[derive(Debug)]
pub struct Remembered(Vec<(Signal, Arc<AtomicBool>)>);

impl Remembered {
    /// Catches them all, and SIGCHLD: ignored, it would have the kernel throw exit statuses away (`wait(2)`).
    ///
    /// # Errors
    /// The kernel refuses handlers.
    pub fn register() -> std::io::Result<Self> {
        let ignored = ignored();
        let is_wanted = |signal: &Signal| signal.can_be_forwarded() && ignored & (1 << (signal.number() - 1)) == 0;
        let mut remembered = Vec::new();
        for signal in (1..=64).filter_map(Signal::from_number).filter(is_wanted) {
            let flag = Arc::new(AtomicBool::new(false));
            match signal_hook::flag::register(i32::from(signal.number()), Arc::clone(&flag)) {
                Ok(_) => remembered.push((signal, flag)),
                // musl keeps 34 for itself, too (`src/signal/sigaction.c`).
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        signal_hook::flag::register(libc::SIGCHLD, Arc::default())?;
        Ok(Self(remembered))
    }

    /// Goes on with a signalfd, now that the application has started. Needs a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses the mask or the descriptor.
    pub fn into_inbox(self) -> std::io::Result<Inbox> {
        let mut set = SigSet::all();
        for fault in [libc::SIGILL, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV] {
            set.remove(nix::sys::signal::Signal::try_from(fault)?);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        #[expect(deprecated, reason = "its successor is unsafe and demands what SignalFd does: to own its descriptor")]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        // A child may have ended before the mask was set.
        let mut early = vec![Arrival::Child];
        let caught = self.0.iter().filter(|(_, flag)| flag.load(Ordering::SeqCst));
        early.extend(caught.map(|(signal, _)| Arrival::Sent(*signal)));
        Ok(Inbox { fd, early })
    }
}

/// Signals that arrive at a supervisor.
#[derive(Debug)]
pub struct Inbox {
    fd: AsyncFd<SignalFd>,
    /// What came before.
    early: Vec<Arrival>,
}

impl Inbox {
    /// The next one. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The kernel's, for a descriptor that is no more.
    pub async fn next(&mut self) -> std::io::Result<Arrival> {
        loop {
            if let Some(early) = self.early.pop() {
                return Ok(early);
            }
            let mut ready = self.fd.readable().await?;
            match ready.get_inner().read_signal()? {
                Some(info) => {
                    if let Some(arrival) = arrival(&info) {
                        return Ok(arrival);
                    }
                }
                None => ready.clear_ready(),
            }
        }
    }
}

/// What a signal means here; `None` for one that our own writing to a closed pipe has caused.
fn arrival(info: &siginfo) -> Option<Arrival> {
    let signal = i32::try_from(info.ssi_signo).ok().and_then(Signal::from_number)?;
    if i32::from(signal.number()) == libc::SIGCHLD {
        return Some(Arrival::Child);
    }
    match info.ssi_code {
        libc::SI_KERNEL => Some(Arrival::Kernel(signal)),
        _ if i32::try_from(info.ssi_pid) == Ok(getpid().as_raw()) => None,
        _ => Some(Arrival::Sent(signal)),
    }
}

/// The mask of signals that this process ignores; empty where /proc cannot tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
