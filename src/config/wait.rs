//! Which proxy to wait for, and for how long.

use std::time::Duration;

use super::reader::Reader;
use crate::cli::{ProxyArgs, WaitArgs};
use crate::core::duration;
use crate::core::endpoint::{BadEndpoint, Endpoint};
use crate::core::mesh::Mesh;
use crate::core::proxy::{Given, Proxy};
use crate::core::waiting::pacing::Limits;

/// Settings of waiting.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Which proxy; `None` is learnt from what listens in the pod.
    pub proxy: Option<Proxy>,
    /// How long.
    pub limits: Limits,
}

impl Reader<'_> {
    pub(super) fn wait(&mut self, args: &WaitArgs) -> Option<Wait> {
        let timeout = self.read("timeout", &args.timeout, duration::parse);
        let absent_after =
            self.optional("absent_after", args.absent_after.as_ref(), duration::parse);
        let request_timeout = self.look_time("request_timeout", &args.proxy.request_timeout);
        let given = self.proxy(&args.proxy);
        let limits = Limits {
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            absent_after: absent_after?,
            request_timeout: request_timeout?,
        };
        if let (Some(absent), Some(timeout)) = (limits.absent_after, limits.timeout)
            && absent >= timeout
        {
            let problem = format!(
                "{} is not below --timeout {}, so it could never happen",
                duration::Spoken(absent),
                duration::Spoken(timeout)
            );
            self.problem("absent_after", problem);
        }
        timeout?;
        Some(Wait { proxy: Proxy::given(&given?), limits })
    }

    /// How long one look may take.
    pub(super) fn look_time(&mut self, id: &str, text: &str) -> Option<Duration> {
        self.read(id, text, |text| match duration::parse(text) {
            Ok(Duration::ZERO) => Err("a look needs some time; write 1s".to_owned()),
            other => other.map_err(|error| error.to_string()),
        })
    }

    pub(super) fn proxy(&mut self, args: &ProxyArgs) -> Option<Given> {
        let mesh = self.read("mesh", &args.mesh, parse_mesh);
        let remote = self.flag("allow_remote", &args.allow_remote);
        let admin =
            self.optional("admin_url", args.admin_url.as_ref(), |text| parse_admin(text, remote));
        let ready =
            self.optional("ready_url", args.ready_url.as_ref(), |text| parse_ready(text, remote));
        let given = Given { mesh: mesh?, admin: admin?, ready: ready? };
        match given.mesh {
            Some(Mesh::None) if given.ready.is_some() => {
                self.problem(
                    "ready_url",
                    "contradicts --mesh none, which waits for nothing; drop one of them",
                );
            }
            Some(mesh @ (Mesh::None | Mesh::Linkerd)) if given.admin.is_some() => {
                self.problem(
                    "admin_url",
                    format!("contradicts --mesh {mesh}, which has no Envoy; drop one of them"),
                );
            }
            _ => {}
        }
        Some(given)
    }
}

/// `auto` is `None`.
fn parse_mesh(text: &str) -> Result<Option<Mesh>, String> {
    match Mesh::named(text) {
        Some(mesh) => Ok(Some(mesh)),
        None if text == "auto" => Ok(None),
        None => Err(format!(
            "`{text}` is no mesh that meshim knows; write auto, istio, linkerd, consul, kuma, \
             appmesh, osm, envoy or none"
        )),
    }
}

/// An endpoint in this pod, or anywhere where that is allowed: meshim can end proxies, so neither a
/// typing error nor an injected variable may make it reach another pod.
pub(super) fn parse_url(text: &str, remote: Option<bool>) -> Result<Endpoint, String> {
    let endpoint: Endpoint = text.parse().map_err(|error: BadEndpoint| error.to_string())?;
    if endpoint.address.is_local() || remote != Some(false) {
        Ok(endpoint)
    } else {
        Err(format!(
            "`{text}` leads out of this pod; write 127.0.0.1, [::1] or localhost, or add \
             --allow-remote if it is meant"
        ))
    }
}

fn parse_admin(text: &str, remote: Option<bool>) -> Result<Endpoint, String> {
    let endpoint = parse_url(text, remote)?;
    if endpoint.path == "/" {
        Ok(endpoint)
    } else {
        Err(format!("`{text}` has a path; write the address alone, as {}", endpoint.address))
    }
}

/// A Unix socket without a path of the request means Envoy's `/ready` behind it.
fn parse_ready(text: &str, remote: Option<bool>) -> Result<Endpoint, String> {
    let endpoint = parse_url(text, remote)?;
    let bare_socket = text.starts_with("unix:") && endpoint.path == "/";
    Ok(if bare_socket { endpoint.at("/ready") } else { endpoint })
}
