//! Which proxy to wait for, and for how long: settings of `meshim wait`, and a part of the default
//! job's.
//!
//! Owns the bounds of a wait and what `MESHIM_INJECTED` means; must never look at the pod.

use std::time::Duration;

use super::probe::{ProbeTarget, parse_target};
use super::proxy::Remote;
use super::reader::{Reader, Wrong};
use crate::cli::WaitArgs;
use crate::core::duration::{self, Spoken};
use crate::core::endpoint::Endpoint;
use crate::core::profile::{Expect, Ready};
use crate::core::proxy::Given;
use crate::core::waiting::pacing::WaitLimits;
use crate::core::waiting::wait::WaitPlan;

/// How long to wait in all: most proxies are ready within ten seconds, and a kubelet that pulls
/// images or a control plane that restarts takes a minute.
const TIMEOUT: Duration = Duration::from_mins(2);

impl Reader<'_> {
    pub(super) fn wait(&mut self, args: &WaitArgs) -> Result<WaitPlan, Wrong> {
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
    ) -> Result<WaitPlan, Wrong> {
        let timeout = self.optional("timeout", args.timeout.as_ref(), duration::parse);
        let absent_after =
            self.optional("absent_after", args.absent_after.as_ref(), duration::parse);
        let request_timeout = self.request_timeout(&args.proxy);
        let injected = self.injected();
        let others = self.list("wait_for", &args.wait_for, |text| parse_other(text, remote));
        if let (Ok(Some(absent)), Ok(Some(timeout))) = (absent_after, timeout)
            && absent >= timeout
            && !timeout.is_zero()
        {
            let (absent, timeout) = (Spoken(absent), Spoken(timeout));
            let problem =
                format!("{absent} is not below --timeout {timeout}, so it could never happen");
            self.problem("absent_after", problem);
        }
        let (timeout, absent_after) = (timeout?, absent_after?);
        // A default yields: a long --absent-after has its time, and a proxy that has shown up then
        // has the usual time behind it.
        let usual = absent_after.filter(|absent| *absent >= TIMEOUT).unwrap_or_default() + TIMEOUT;
        let limits = WaitLimits {
            timeout: Some(timeout.unwrap_or(usual)).filter(|timeout| !timeout.is_zero()),
            absent_after,
            request_timeout: request_timeout?,
        };
        remote?;
        let given = given.map_err(|wrong| *wrong)?.clone();
        Ok(WaitPlan { injected: injected?, given, others: others?, limits })
    }

    /// `MESHIM_INJECTED`: the value of an annotation that the injector of a mesh writes, by the
    /// downward API. Empty means that there is none; no person writes this variable.
    pub(super) fn injected(&mut self) -> Result<Option<bool>, Wrong> {
        let value = self.own_variable("INJECTED");
        match value.as_deref().map(str::trim_ascii) {
            None => Ok(None),
            Some("") => Ok(Some(false)),
            Some(word @ ("false" | "0")) => Err(self.problem_of_variable(
                "INJECTED",
                format!(
                    "`{word}` is no annotation's value: the downward API fills this variable in \
                     (metadata.annotations['sidecar.istio.io/status']); by hand write \
                     MESHIM_MESH=none"
                ),
            )),
            Some(_) => Ok(Some(true)),
        }
    }
}

/// `http://` is ready with a status of 200 to 399, `tcp://` where a connection is taken: as the
/// kubelet's own probes, and `meshim probe`.
fn parse_other(text: &str, remote: Remote) -> Result<Ready<Endpoint>, String> {
    Ok(match parse_target(text, remote)? {
        ProbeTarget::Http(url) => Ready { url, expect: Expect::Healthy },
        ProbeTarget::Tcp(address) => {
            Ready { url: Endpoint { address, path: "/".to_owned() }, expect: Expect::Accepts }
        }
    })
}
