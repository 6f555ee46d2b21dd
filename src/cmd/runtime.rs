//! One thread's runtime, for every job that waits for several things at once.
//!
//! Owns how it is built, and that a stop signal ends whatever runs in it; must never be started
//! twice at the same time, or with a second thread.

use std::pin::{Pin, pin};

use tokio::select;

use crate::core::exit::Failure;
use crate::core::signal::Signal;
use crate::io::signals::{KernelRefusal, StopSignals};

/// Runs `future` on this thread, the only one.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut outcome = None;
    drive(pin!(async { outcome = Some(future.await) }))?;
    outcome.expect("a future that has been driven to its end has an outcome")
}

/// The same until a stop signal comes.
///
/// # Errors
/// The kernel refuses the runtime; within, the stop signal.
pub(super) fn until_stopped<T>(
    stop: &mut StopSignals,
    future: impl Future<Output = T>,
) -> Result<Result<T, Signal>, Failure> {
    let mut outcome = None;
    let signal = drive_until_stopped(stop, pin!(async { outcome = Some(future.await) }))?;
    Ok(outcome.ok_or_else(|| signal.expect("what has not come to its end was stopped")))
}

/// Not generic: the machinery of both is in the binary once, and not once for each job.
fn drive_until_stopped(
    stop: &mut StopSignals,
    future: Pin<&mut dyn Future<Output = ()>>,
) -> Result<Option<Signal>, Failure> {
    let mut stopped = None;
    drive(pin!(async {
        select! {
            biased;
            signal = stop.next() => stopped = Some(signal),
            () = future => {}
        }
    }))?;
    Ok(stopped)
}

fn drive(future: Pin<&mut dyn Future<Output = ()>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(KernelRefusal::of("epoll or an event descriptor"))?
        .block_on(future);
    Ok(())
}
