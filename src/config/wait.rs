//! Which proxy to wait for, and for how long: settings of `meshim wait`, and a part of the default
//! job's.

use std::time::Duration;

use super::proxy::Remote;
use super::reader::{Reader, Wrong};
use crate::cli::WaitArgs;
use crate::core::duration::{self, Spoken};
use crate::core::proxy::{Given, Proxy};
use crate::core::waiting::pacing::Limits;

/// How long to wait in all: most proxies are ready within ten seconds, and a kubelet that pulls
/// images or a control plane that restarts takes a minute.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Settings of waiting.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Which proxy; `None` is learnt from what listens in the pod.
    pub proxy: Option<Proxy>,
    /// How long.
    pub limits: Limits,
}

impl Reader<'_> {
    pub(super) fn wait(&mut self, args: &WaitArgs) -> Result<Wait, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        self.wait_for(args, given.as_ref(), remote)
    }

    /// The same where the proxy has been read.
    pub(super) fn wait_for(
        &mut self,
        args: &WaitArgs,
        given: Result<&Given, &Wrong>,
        remote: Remote,
    ) -> Result<Wait, Wrong> {
        let timeout = self.read("timeout", args.timeout.as_ref(), TIMEOUT, duration::parse);
        let absent_after =
            self.optional("absent_after", args.absent_after.as_ref(), duration::parse);
        let request_timeout = self.request_timeout(&args.proxy);
        if let (Ok(Some(absent)), Ok(timeout)) = (absent_after, timeout)
            && absent >= timeout
            && !timeout.is_zero()
        {
            let (absent, timeout) = (Spoken(absent), Spoken(timeout));
            let problem =
                format!("{absent} is not below --timeout {timeout}, so it could never happen");
            self.problem("absent_after", problem);
        }
        let limits = Limits {
            timeout: Some(timeout?).filter(|timeout| !timeout.is_zero()),
            absent_after: absent_after?,
            request_timeout: request_timeout?,
        };
        remote?;
        Ok(Wait { proxy: Proxy::given(given.map_err(|wrong| *wrong)?), limits })
    }
}
