//! Signals that arrive at a supervisor, as [`Arrival`]s. Getting ready can fail; reading cannot.
//!
//! Owns the signalfd from which all signals are read once the application runs: that tells who sent
//! each one, hears those that were ignored at the start, and keeps every single real-time signal,
//! as the kernel queues them. Must never end the application by an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::unistd::getpid;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::signals::{FLAGS, KernelRefusal, MASK, SIGNALFD, StopSignals, named, watch};
use crate::core::signal::Signal;

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

/// How many signals are read before the runtime has its turn.
const MOST_IN_A_ROW: u8 = 32;

/// Every signal that can be forwarded, once the application runs. All that can fail is done before.
#[derive(Debug)]
pub struct Inbox {
    fd: AsyncFd<SignalFd>,
    all: SigSet,
    original: SigSet,
    /// What has come while the application was started.
    meanwhile: Vec<(Signal, Arc<AtomicBool>)>,
    early: Vec<Arrival>,
    /// How many have been read since the runtime last had its turn.
    in_a_row: u8,
}

impl Inbox {
    /// Gets everything ready, in a tokio runtime. `stop` goes on hearing what it hears.
    ///
    /// The child inherits our mask, so the original one is in force while it is started. Handlers
    /// note what comes then; exec resets them. They catch SIGCHLD, too: ignored, it would have the
    /// kernel throw exit statuses away (`wait(2)`).
    ///
    /// # Errors
    /// The kernel refuses handlers, the signalfd, or to watch it.
    pub fn prepare(stop: &StopSignals) -> Result<Self, KernelRefusal> {
        let is_wanted = |signal: &Signal| {
            signal.can_be_forwarded() && stop.ignored & (1 << (signal.number() - 1)) == 0
        };
        let mut meanwhile = Vec::new();
        for signal in (1..=64).filter_map(Signal::from_number).filter(is_wanted) {
            let flag = Arc::new(AtomicBool::new(false));
            match signal_hook::flag::register(i32::from(signal.number()), Arc::clone(&flag)) {
                Ok(_) => meanwhile.push((signal, flag)),
                // musl keeps 34 for itself, too (`src/signal/sigaction.c`).
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(KernelRefusal::of("signal handlers")(error)),
            }
        }
        signal_hook::flag::register(libc::SIGCHLD, Arc::default())
            .map_err(KernelRefusal::of("signal handlers"))?;
        let mut all = SigSet::all();
        for fault in [libc::SIGILL, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV] {
            all.remove(named(fault));
        }
        let fd = SignalFd::with_flags(&all, FLAGS).map_err(KernelRefusal::of(SIGNALFD))?;
        let fd = watch(fd).map_err(KernelRefusal::of("epoll on a signalfd"))?;
        all.thread_block().map_err(KernelRefusal::of(MASK))?;
        Ok(Self { fd, all, original: stop.original, meanwhile, early: Vec::new(), in_a_row: 0 })
    }

    /// Calls `start` with the mask that meshim was started with, which the child inherits. Nothing
    /// in here can fail: the kernel has taken both masks before.
    pub fn while_unblocked<T>(&mut self, start: impl FnOnce() -> T) -> T {
        let _ = self.original.thread_set_mask();
        let started = start();
        let _ = self.all.thread_block();
        // A child may have ended before the mask was set.
        self.early.push(Arrival::Child);
        let caught = self.meanwhile.iter().filter(|(_, flag)| flag.load(Ordering::SeqCst));
        self.early.extend(caught.map(|(signal, _)| Arrival::Sent(*signal)));
        started
    }

    /// The next one. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Arrival {
        loop {
            // Whoever is always ready keeps the runtime from its timers: a flood of signals would
            // hold up a drain.
            self.in_a_row = (self.in_a_row + 1) % MOST_IN_A_ROW;
            if self.in_a_row == 0 {
                yield_now().await;
            }
            if let Some(early) = self.early.pop() {
                return early;
            }
            match self.read().await {
                Ok(Some(arrival)) => return arrival,
                Ok(None) => {}
                // The descriptor is our own, open and valid, so this is not to happen. The
                // application is looked after all the same, and no error of ours ends it.
                Err(_) => {
                    sleep(Duration::from_secs(1)).await;
                    return Arrival::Child;
                }
            }
        }
    }

    async fn read(&self) -> std::io::Result<Option<Arrival>> {
        let mut ready = self.fd.readable().await?;
        let info = ready.get_inner().read_signal()?;
        if info.is_none() {
            ready.clear_ready();
        }
        Ok(info.and_then(|info| arrival(&info)))
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
