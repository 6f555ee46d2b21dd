//! Signals that arrive, as [`Signal`]s. Registering is eager and can fail; waiting is separate.
//!
//! Owns the mask; must never let another program be executed before the original one is back.
//!
//! From the first instruction on, every signal that would end a program is blocked and read from a
//! signalfd. The kernel keeps a blocked signal also for PID 1, for which it throws away one that
//! has no handler (`kernel/signal.c`, `sig_ignored`); and one that the parent had blocked is heard,
//! too. A signal that was ignored at the start (`nohup`) stays ignored until the application runs.

use std::fs::File;
use std::future::pending;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::core::exit::{Exit, Failure};
use crate::core::signal::Signal;

/// What the kernel may refuse.
pub(super) const MASK: &str = "to change the signal mask";
pub(super) const SIGNALFD: &str = "signalfd, by which signals are heard";

pub(super) const FLAGS: SfdFlags = SfdFlags::SFD_NONBLOCK.union(SfdFlags::SFD_CLOEXEC);

/// Stop signals from the moment this exists.
#[derive(Debug)]
pub struct StopSignals {
    fd: SignalFd,
    /// What `fd` reads.
    heard: SigSet,
    /// What was blocked when meshim started.
    pub(super) original: SigSet,
    /// What was ignored then: bit 0 is signal 1.
    pub(super) ignored: u64,
}

/// What the kernel has refused, without which nothing can be heard or waited for.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refuses {what}: {error}{}", remedy(error))]
pub struct KernelRefusal {
    what: &'static str,
    error: std::io::Error,
}

impl KernelRefusal {
    /// `what` the kernel has refused.
    pub fn of<E: Into<std::io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self { what, error: error.into() }
    }
}

impl From<KernelRefusal> for Failure {
    /// Nothing can be done by a program that hears nothing.
    fn from(refused: KernelRefusal) -> Self {
        Self::new(Exit::Failed, refused.to_string())
    }
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "; raise this container's limit of open files (RLIMIT_NOFILE)",
        Some(libc::EPERM | libc::ENOSYS) => "; allow it in the pod's seccomp profile",
        _ => "",
    }
}

/// What a wait ended by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A stop signal came.
    Stopped(Signal),
    /// The descriptor is ready, or broken.
    Ready,
    /// The time is up.
    TimeUp,
}

impl StopSignals {
    /// Hears every signal that would end a program from now on, also as PID 1 and also where the
    /// parent had blocked it. [`StopSignals::restore_mask`] must come before an exec.
    ///
    /// # Errors
    /// The kernel refuses the mask or the signalfd.
    pub fn register() -> Result<Self, KernelRefusal> {
        // nix cannot name a real-time signal: all of them are in, and nothing else needs naming.
        let mut heard = SigSet::all();
        for number in 1..32 {
            let is_heard = Signal::from_number(number)
                .is_some_and(|signal| signal.ends_a_program() && signal.can_be_forwarded());
            // PIPE is what our own writing to a closed pipe causes.
            if !is_heard || number == libc::SIGPIPE {
                heard.remove(named(number));
            }
        }
        let original =
            heard.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(KernelRefusal::of(MASK))?;
        let fd = SignalFd::with_flags(&heard, FLAGS).map_err(KernelRefusal::of(SIGNALFD))?;
        Ok(Self { fd, heard, original, ignored: ignored() })
    }

    /// Hears these, too: signals that end no program, but mean "stop" to this application.
    ///
    /// # Errors
    /// The kernel refuses the mask.
    pub fn hear(&mut self, signals: &[Signal]) -> Result<(), KernelRefusal> {
        let before = self.heard;
        // The real-time ones are in already.
        let numbers = signals.iter().map(|signal| i32::from(signal.number()));
        self.heard.extend(numbers.filter(|number| *number < 32).map(named));
        if self.heard != before {
            self.heard.thread_block().map_err(KernelRefusal::of(MASK))?;
            self.fd.set_mask(&self.heard).map_err(KernelRefusal::of(SIGNALFD))?;
        }
        Ok(())
    }

    /// Blocks again what was blocked when meshim started, and nothing else: the next program gets
    /// the mask that it would have got without meshim.
    ///
    /// # Errors
    /// The kernel refuses the mask.
    pub fn restore_mask(&self) -> Result<(), KernelRefusal> {
        // musl hides signal 34 from its callers: it alone is unblocked afterwards in any case.
        self.original.thread_set_mask().map_err(KernelRefusal::of(MASK))
    }

    /// Was `signal` blocked when meshim started, so that the next program does not hear it? Only
    /// standard ones are known.
    #[must_use]
    pub fn was_blocked(&self, signal: Signal) -> bool {
        let number = i32::from(signal.number());
        number < 32 && self.original.contains(named(number))
    }

    /// A stop signal that has arrived by now, without waiting.
    #[must_use]
    pub fn arrived(&mut self) -> Option<Signal> {
        while let Ok(Some(info)) = self.fd.read_signal() {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(Signal::from_number);
            let is_ignored = |signal: &Signal| self.ignored & (1 << (signal.number() - 1)) != 0;
            if let Some(signal) = signal.filter(|signal| !is_ignored(signal)) {
                return Some(signal);
            }
        }
        None
    }

    /// Waits for a stop signal, for the descriptor, or for `until`, whichever comes first; to the
    /// microsecond.
    ///
    /// # Errors
    /// The kernel's, for want of memory.
    pub fn wait(
        &mut self,
        other: Option<(BorrowedFd<'_>, PollFlags)>,
        until: Instant,
    ) -> std::io::Result<Woken> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let arrivals = self.fd.as_fd();
            let (other, wanted) = other.unwrap_or((arrivals, PollFlags::empty()));
            let mut polled = [PollFd::new(arrivals, PollFlags::POLLIN), PollFd::new(other, wanted)];
            match ppoll(&mut polled, Some(left.into()), None) {
                Ok(0) => return Ok(Woken::TimeUp),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [signalled, ready] = polled.map(|polled| polled.any() == Some(true));
            match signalled.then(|| self.arrived()).flatten() {
                Some(signal) => return Ok(Woken::Stopped(signal)),
                None if ready => return Ok(Woken::Ready),
                None => {}
            }
        }
    }

    /// The next stop signal, in a tokio runtime. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Signal {
        loop {
            if let Some(signal) = self.arrived() {
                return signal;
            }
            // There is no waiting for what the kernel will not watch.
            let Ok(watched) = watch(self.fd.as_fd()) else { return pending().await };
            let _ = watched.readable().await;
        }
    }
}

/// One of the standard signals, 1-31, as nix has it.
pub(super) fn named(number: i32) -> nix::sys::signal::Signal {
    number.try_into().expect("nix knows all of the standard signals")
}

/// The runtime tells when `fd` can be read.
pub(super) fn watch<F: std::os::fd::AsRawFd>(fd: F) -> std::io::Result<AsyncFd<F>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe and demands what we do: to keep the descriptor open"
    )]
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// The mask of signals that this process ignores; empty where /proc cannot tell.
fn ignored() -> u64 {
    // The kernel gives all of it at once where there is room: one system call, not four.
    let mut status = [0; 4096];
    let read = File::open("/proc/self/status").and_then(|mut file| file.read(&mut status));
    let mut lines = status[..read.unwrap_or(0)].split(|byte| *byte == b'\n');
    let mask = lines.find_map(|line| line.strip_prefix(b"SigIgn:"));
    let mask = mask.and_then(|mask| str::from_utf8(mask).ok());
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
