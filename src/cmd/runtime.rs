//! One thread's runtime, for every job that waits for several things at once.
//!
//! Owns how it is built; must never be started twice at the same time, or with a second thread.

use std::pin::{Pin, pin};

use crate::core::exit::Failure;
use crate::io::signals::Refused;

/// Runs `future` on this thread, the only one.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut outcome = None;
    drive(pin!(async { outcome = Some(future.await) }))?;
    outcome.expect("a future that has been driven to its end has an outcome")
}

/// Not generic: the runtime's machinery is in the binary once, and not once for each job.
fn drive(future: Pin<&mut dyn Future<Output = ()>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Refused::of("epoll or an event descriptor"))?
        .block_on(future);
    Ok(())
}
