//! Whom to ask to end: settings of `meshim quit`.
//!
//! Owns the type; must never ask anybody.

use super::reader::{Reader, Wrong};
use crate::cli::QuitArgs;
use crate::core::endpoint::Endpoint;
use crate::core::proxy::Given;

/// Settings of `meshim quit`.
#[derive(Debug)]
pub struct QuitSettings {
    /// What the user said about the proxy; the rest is learnt from what listens in the pod.
    pub given: Given,
    /// Whom to ask; empty is the mesh's own.
    pub urls: Vec<Endpoint>,
}

impl Reader<'_> {
    pub(super) fn quit(&mut self, args: &QuitArgs) -> Result<QuitSettings, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        let request_timeout = self.request_timeout(&args.proxy);
        let urls = self.quit_urls(&args.urls, remote);
        remote?;
        request_timeout?;
        Ok(QuitSettings { given: given?, urls: urls? })
    }
}
