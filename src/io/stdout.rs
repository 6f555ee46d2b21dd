//! Stdout, for what meshim prints there itself.
//!
//! Owns that a reader who does not read is waited for until a stop signal comes; must never wait
//! longer than that.

use std::io::stdout;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::unistd::write;

use super::signals::{StopSignals, Woken};
use crate::core::exit::{Exit, Failure};
use crate::core::signal::Signal;

/// A pipe that has room at all has room for this much at once (`pipe(7)`, `PIPE_BUF`).
const FITS_AT_ONCE: usize = 4096;

/// For ever.
const LONG: Duration = Duration::from_hours(24 * 365);

/// Writes all of `text`; the stop signal that came before that was done.
///
/// # Errors
/// Nobody reads there any more, or the disk is full.
pub fn print(text: &str, stop: &mut StopSignals) -> Result<Option<Signal>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write to stdout: {error}"))
    };
    let (stdout, mut left) = (stdout(), text.as_bytes());
    while !left.is_empty() {
        let room = Some((stdout.as_fd(), PollFlags::POLLOUT));
        match stop.wait(room, Instant::now() + LONG).map_err(failed)? {
            Woken::Stopped(signal) => return Ok(Some(signal)),
            Woken::TimeUp => {}
            Woken::Ready => match write(&stdout, &left[..left.len().min(FITS_AT_ONCE)]) {
                Ok(count) => left = &left[count..],
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(failed(error.into())),
            },
        }
    }
    Ok(None)
}
