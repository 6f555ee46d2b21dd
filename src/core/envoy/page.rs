//! What a page of Envoy's admin API is: its query, its bounds and its decoder, in one place.
//!
//! Owns the contract between `io/admin`, which asks, and the pages, which read; must never ask.

use std::time::Duration;

use serde::Deserialize;

use crate::core::envoy::unread::Unread;

/// A page that is being read. The bytes are pushed as they arrive, so that no page is ever held as
/// a whole.
pub trait Page {
    /// What it tells.
    type Content;

    /// Its path and query below the admin API's address.
    const QUERY: &'static str;

    /// How many bytes of it are read before it is given up.
    const MOST_BYTES: usize;

    /// How long it may take; the caller may have less time.
    const WITHIN: Duration;

    /// A reader that has not read anything.
    fn begin() -> Self;

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// They are not this page's.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread>;

    /// Has it read all that it wants? Then the rest of the answer is left unread.
    fn has_enough(&self) -> bool {
        false
    }

    /// What the page told, now that all of it has come, or enough.
    ///
    /// # Errors
    /// It is not complete.
    fn end(self) -> Result<Self::Content, Unread>;
}

/// A page without its type, so that what asks is in the binary once, and not once for each page.
pub trait Reading {
    /// [`Page::QUERY`], [`Page::MOST_BYTES`], [`Page::WITHIN`].
    fn terms(&self) -> (&'static str, usize, Duration);

    /// Takes in the next bytes, and says whether they are enough.
    ///
    /// # Errors
    /// They are not this page's.
    fn push(&mut self, bytes: &[u8]) -> Result<bool, Unread>;
}

impl<P: Page> Reading for P {
    fn terms(&self) -> (&'static str, usize, Duration) {
        (P::QUERY, P::MOST_BYTES, P::WITHIN)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<bool, Unread> {
        self.take(bytes)?;
        Ok(self.has_enough())
    }
}

/// What a picked part says; `None` where it is `null`, of another type or too long. One bad part
/// loses that part alone.
#[must_use]
pub fn value<'a, T: Deserialize<'a>>(part: Option<&'a [u8]>) -> Option<T> {
    serde_json::from_slice::<Option<T>>(part?).ok().flatten()
}

/// The content of a page that arrives in one piece.
#[cfg(test)]
pub(crate) fn whole<P: Page>(body: &[u8]) -> Result<P::Content, Unread> {
    let mut page = P::begin();
    page.take(body)?;
    page.end()
}
