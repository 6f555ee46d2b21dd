//! Which proxy is meant, and the URLs that lead to one.
//!
//! Owns the rule that a URL must not lead out of this pod; must never ask a proxy.

use std::ffi::OsString;
use std::time::Duration;

use super::reader::{Reader, Wrong};
use crate::cli::{ProxyArgs, QuitUrlArgs};
use crate::core::duration;
use crate::core::endpoint::{BadEndpoint, Endpoint};
use crate::core::mesh::Mesh;
use crate::core::proxy::Given;

/// How long one look may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// May a URL lead out of this pod? Wrong where `--allow-remote` is: then only that is told.
pub(super) type Remote = Result<bool, Wrong>;

impl Reader<'_> {
    /// `--allow-remote`, once for all URLs.
    pub(super) fn remote(&mut self, typed: Option<&OsString>) -> Remote {
        self.flag("allow_remote", typed)
    }

    /// What the user said about the proxy.
    pub(super) fn proxy(&mut self, args: &ProxyArgs, remote: Remote) -> Result<Given, Wrong> {
        let mesh = self.read("mesh", args.mesh.as_ref(), None, parse_mesh);
        let admin =
            self.optional("admin_url", args.admin_url.as_ref(), |text| parse_admin(text, remote));
        let ready =
            self.optional("ready_url", args.ready_url.as_ref(), |text| parse_ready(text, remote));
        let mut given = Given { mesh: mesh?, admin: admin?, ready: ready? };
        // `MESHIM_MESH=none` switches meshim off in a manifest that stays as it is.
        if given.mesh == Some(Mesh::None) {
            let both_typed = |url: &Option<OsString>| args.mesh.is_some() && url.is_some();
            given.admin.take_if(|_| !both_typed(&args.admin_url));
            given.ready.take_if(|_| !both_typed(&args.ready_url));
        }
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
        Ok(given)
    }

    /// `--request-timeout`.
    pub(super) fn request_timeout(&mut self, args: &ProxyArgs) -> Result<Duration, Wrong> {
        self.look_time("request_timeout", args.request_timeout.as_ref(), REQUEST_TIMEOUT)
    }

    /// How long one look may take.
    pub(super) fn look_time(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
        default: Duration,
    ) -> Result<Duration, Wrong> {
        self.read(id, typed, default, |text| match duration::parse(text) {
            Ok(Duration::ZERO) => Err("a look needs some time; write 1s".to_owned()),
            other => other.map_err(|error| error.to_string()),
        })
    }

    /// `--quit-url`: what to POST to instead of the mesh's own endpoints.
    pub(super) fn quit_urls(
        &mut self,
        args: &QuitUrlArgs,
        remote: Remote,
    ) -> Result<Vec<Endpoint>, Wrong> {
        self.list("quit_url", &args.quit_url, |text| parse_url(text, remote))
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
pub(super) fn parse_url(text: &str, remote: Remote) -> Result<Endpoint, String> {
    let endpoint: Endpoint = text.parse().map_err(|error: BadEndpoint| error.to_string())?;
    if endpoint.address.is_local() || remote != Ok(false) {
        Ok(endpoint)
    } else if endpoint.address.is_wildcard() {
        Err(format!(
            "`{text}` is where a server listens, and no address to ask; write 127.0.0.1 or [::1]"
        ))
    } else {
        Err(format!(
            "`{text}` leads out of this pod; write 127.0.0.1, [::1] or localhost, or add \
             --allow-remote if it is meant"
        ))
    }
}

fn parse_admin(text: &str, remote: Remote) -> Result<Endpoint, String> {
    let endpoint = parse_url(text, remote)?;
    if endpoint.path == "/" {
        Ok(endpoint)
    } else {
        Err(format!("`{text}` has a path; write the address alone, as {}", endpoint.address))
    }
}

/// A Unix socket without a path of the request means Envoy's `/ready` behind it.
fn parse_ready(text: &str, remote: Remote) -> Result<Endpoint, String> {
    let endpoint = parse_url(text, remote)?;
    let bare_socket = text.starts_with("unix:") && endpoint.path == "/";
    Ok(if bare_socket { endpoint.at("/ready") } else { endpoint })
}
