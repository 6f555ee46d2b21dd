//! Where a request goes: a URL is text only in `cli`; [`Endpoint`]'s `FromStr` makes it a value.
//!
//! Owns the syntax and the question "is it in this pod"; must never resolve a name or open a
//! socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// `sun_path` in bytes, without the zero at its end (`unix(7)`).
const LONGEST_SOCKET_PATH: usize = 107;

/// One HTTP resource: `http://127.0.0.1:15000/ready`, or `unix:/run/admin.sock:/ready` behind a
/// Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Who is asked.
    pub address: Address,
    /// Path and query as they go on the wire; starts with `/`, visible ASCII only.
    pub path: String,
}

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// On which host.
        host: Host,
        /// 1-65535.
        port: u16,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// The host of a URL. Names other than `localhost` are refused: a resolver would be a twentieth of
/// the binary, a second thread, and a way for others to say where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `localhost`: 127.0.0.1 and `::1`, tried in that order, without DNS.
    Localhost,
    /// A literal address.
    Ip(IpAddr),
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Neither `http://` nor `unix:`.
    #[error(
        "`{0}` is no URL that meshim speaks; write http://127.0.0.1:PORT or unix:/path/admin.sock"
    )]
    Scheme(String),
    /// TLS inside a pod is left to the mesh.
    #[error("`{0}` asks for TLS, which meshim does not speak; name a port that is plain http://")]
    Tls(String),
    /// Empty, malformed, or a name: meshim asks no DNS, whose answers come from outside the pod.
    #[error(
        "`{0}` has no usable host, and meshim resolves no names; write 127.0.0.1, [::1], \
         localhost or an IP address"
    )]
    Host(String),
    /// Not 1-65535.
    #[error("`{0}` has no usable port; write a number from 1 to 65535")]
    Port(String),
    /// Spaces, control characters, non-ASCII or a fragment in the path.
    #[error("`{0}` has a character in its path that no request line can carry; percent-encode it")]
    Path(String),
    /// Longer than a Unix socket's address has room for.
    #[error(
        "`{0}` has a path of more than 107 bytes, which no Unix socket can have; use a shorter \
         one, or a link to it"
    )]
    LongSocket(String),
    /// Empty or relative socket path.
    #[error("`{0}` names no absolute socket path; write unix:/path/admin.sock")]
    Socket(String),
}

impl Endpoint {
    /// The same address, another path. `path` starts with `/` and is ours, not the user's.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { address: self.address.clone(), path: path.to_owned() }
    }

    /// The path without its query.
    #[must_use]
    pub fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Address {
    /// Is it certain that only this pod can answer?
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp { host: Host::Localhost, .. } => true,
            Self::Tcp { host: Host::Ip(ip), .. } => ip.to_canonical().is_loopback(),
        }
    }

    /// Is it what a server listens on to be reached at every address, and no address itself?
    #[must_use]
    pub const fn is_wildcard(&self) -> bool {
        matches!(self, Self::Tcp { host: Host::Ip(ip), .. } if ip.is_unspecified())
    }

    /// The TCP port; `None` for a Unix socket.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }

    /// The TCP addresses to try, in order; empty for a Unix socket.
    #[must_use]
    pub fn socket_addresses(&self) -> Vec<SocketAddr> {
        match self {
            Self::Tcp { host: Host::Localhost, port } => {
                vec![(Ipv4Addr::LOCALHOST, *port).into(), (Ipv6Addr::LOCALHOST, *port).into()]
            }
            Self::Tcp { host: Host::Ip(ip), port } => vec![(*ip, *port).into()],
            Self::Unix(_) => Vec::new(),
        }
    }

    /// The value of the `Host` header. Envoy answers 400 without one and accepts any.
    #[must_use]
    pub fn host_header(&self) -> String {
        match self {
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return parse_unix(text, rest);
        }
        if text.starts_with("https://") {
            return Err(BadEndpoint::Tls(text.to_owned()));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(BadEndpoint::Scheme(text.to_owned()));
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let address = parse_authority(text, authority)?;
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        checked(text, address, path)
    }
}

/// `unix:/path/admin.sock`, `unix:///path/admin.sock`, and either with `:/path` of the request
/// behind it.
fn parse_unix(text: &str, rest: &str) -> Result<Endpoint, BadEndpoint> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, path) = match rest.split_once(":/") {
        Some((socket, path)) => (socket, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    // `//run/a.sock` is the same place, and would be read back as a path without its slash.
    let name = socket.trim_start_matches('/');
    if name.len() == socket.len() || name.is_empty() {
        return Err(BadEndpoint::Socket(text.to_owned()));
    }
    let socket = &socket[socket.len() - name.len() - 1..];
    if socket.len() > LONGEST_SOCKET_PATH {
        return Err(BadEndpoint::LongSocket(text.to_owned()));
    }
    checked(text, Address::Unix(PathBuf::from(socket)), path)
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`; port 80 where none is given.
fn parse_authority(text: &str, authority: &str) -> Result<Address, BadEndpoint> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port.map(str::parse) {
        None => 80,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(BadEndpoint::Port(text.to_owned())),
    };
    let bad_host = || BadEndpoint::Host(text.to_owned());
    let host = if let Some(v6) = host.strip_prefix('[') {
        let v6: Ipv6Addr =
            v6.strip_suffix(']').and_then(|v6| v6.parse().ok()).ok_or_else(bad_host)?;
        Host::Ip(v6.into())
    } else if host.eq_ignore_ascii_case("localhost") {
        Host::Localhost
    } else if let Ok(v4) = host.parse::<Ipv4Addr>() {
        Host::Ip(v4.into())
    } else {
        return Err(bad_host());
    };
    Ok(Address::Tcp { host, port })
}

fn checked(text: &str, address: Address, path: String) -> Result<Endpoint, BadEndpoint> {
    if path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        Ok(Endpoint { address, path })
    } else {
        Err(BadEndpoint::Path(text.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(_) => write!(f, "{}:{}", self.address, self.path),
            Address::Tcp { .. } => write!(f, "{}{}", self.address, self.path),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests;
