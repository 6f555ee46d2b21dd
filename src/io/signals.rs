//! Signals that arrive, as [`Signal`]s. Registering is eager and can fail; waiting is separate.
//!
//! Until the application has started there are handlers and no mask: exec resets handlers, so
//! nothing of meshim is left in the application. A signal that was ignored when meshim started
//! (`nohup`) stays ignored, for meshim and for the application. Afterwards all signals are blocked
//! and read from a signalfd: that tells who sent each one, hears those that were ignored at the
//! start, and keeps every single real-time signal, as the kernel queues them.

use std::fs::File;
use std::future::pending;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::getpid;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::core::signal::Signal;

/// The signals that end the wait.
const STOP: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Stop signals from the moment this exists.
pub struct StopSignals(SignalDelivery<UnixStream, SignalOnly>);

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
    /// Catches TERM, INT, QUIT and HUP from now on, also as PID 1.
    ///
    /// # Errors
    /// The kernel refuses the handlers or the socket pair behind them.
    pub fn register() -> std::io::Result<Self> {
        let ignored = ignored();
        let numbers = STOP
            .into_iter()
            .map(Signal::number)
            .filter(|number| ignored & (1 << (number - 1)) == 0);
        let (arrivals, notify) = UnixStream::pair()?;
        let numbers = numbers.map(i32::from);
        Ok(Self(SignalDelivery::with_pipe(arrivals, notify, SignalOnly, numbers)?))
    }

    /// A stop signal that has arrived by now, without waiting.
    #[must_use]
    pub fn arrived(&mut self) -> Option<Signal> {
        self.0.pending().find_map(Signal::from_number)
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
            let arrivals = self.0.get_read().as_fd();
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
            let Ok(watched) = self.watched() else { return pending().await };
            let _ = watched.readable().await;
        }
    }

    fn watched(&self) -> std::io::Result<tokio::net::UnixStream> {
        let copy = self.0.get_read().try_clone()?;
        copy.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(copy)
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
    /// Catches them all, and SIGCHLD: ignored, it would have the kernel throw exit statuses away
    /// (`wait(2)`).
    ///
    /// # Errors
    /// The kernel refuses handlers.
    pub fn register() -> std::io::Result<Self> {
        let ignored = ignored();
        let is_wanted = |signal: &Signal| {
            signal.can_be_forwarded() && ignored & (1 << (signal.number() - 1)) == 0
        };
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
        #[expect(
            deprecated,
            reason = "its successor is unsafe and demands what SignalFd does: to own its descriptor"
        )]
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
    // Room for all of it, or it is read in seven pieces.
    let mut status = Vec::with_capacity(4096);
    let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_end(&mut status));
    let mut lines = status.split(|byte| *byte == b'\n');
    let mask = read.ok().and_then(|_| lines.find_map(|line| line.strip_prefix(b"SigIgn:")));
    let mask = mask.and_then(|mask| str::from_utf8(mask).ok());
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
