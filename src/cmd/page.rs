//! One page of Envoy's admin API, read while signals are heard.
//!
//! Owns that a stop signal comes first; must never say what a page means.

use std::time::Instant;

use super::runtime::until_stopped;
use crate::core::endpoint::Endpoint;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;
use crate::core::signal::Signal;
use crate::io::admin::Admin;
use crate::io::signals::StopSignals;

/// Reads a page that is too long for a look.
///
/// # Errors
/// A stop signal; within, why the page could not be read.
pub(super) fn read<P: Page>(
    admin: &Endpoint,
    until: Instant,
    stop: &mut StopSignals,
) -> Result<Result<P::Content, Unread>, Signal> {
    let mut admin = Admin::new(admin);
    let read = until_stopped(stop, admin.read::<P>(until.into()));
    read.unwrap_or_else(|failure| Ok(Err(Unread::Unreachable(failure.sentence))))
}
