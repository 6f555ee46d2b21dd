//! A value that threads change and a test waits on: how every wait for a fact here is made, and
//! bounded.

#![expect(
    clippy::disallowed_methods,
    reason = "a file or another process's state has to be asked again and again"
)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a test waits for a fact before it fails. Long: the machine may be busy, and a green
/// test never waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A value that several threads see; whoever waits for it wakes up at each change.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Arc<(Mutex<T>, Condvar)>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new((Mutex::new(value), Condvar::new())))
    }

    /// A thread of a test that has failed must not hide the failure behind a second one.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.0.1.notify_all();
        result
    }

    /// Waits until `fact` has something to say; `None` when it has not by the deadline.
    pub(crate) fn wait_for<R>(
        &self,
        deadline: Duration,
        mut fact: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let until = Instant::now() + deadline;
        let mut value = self.lock();
        loop {
            if let Some(found) = fact(&value) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            value = self.0.1.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Asks again and again for a fact that nobody announces; `None` when there is none by the
/// deadline.
pub(crate) fn poll<R>(mut fact: impl FnMut() -> Option<R>) -> Option<R> {
    let until = Instant::now() + DEADLINE;
    loop {
        match fact() {
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            answer => return answer,
        }
    }
}
