//! Owns the tables: the rooms of `src` from the bottom to the top, what each may use, and where
//! each crate and each effect belongs.

use super::rules::{House, Place, Room};

const fn room(
    name: &'static str,
    holds: &'static [&'static str],
    uses: &'static [&'static str],
) -> Room {
    Room { name, holds, uses }
}

const fn only(path: &'static str, allowed: &'static [&'static str]) -> Place {
    Place { path, allowed }
}

/// All of core: what the layers above it may use.
macro_rules! core_and {
    ($($room:literal),*) => {
        &[
            "core",
            "core/envoy",
            "core/metrics",
            "core/sockets",
            "core/waiting",
            "core/stopping",
            "core/findings",
            "core/findings/listen",
            "core/findings/check",
            "core/findings/doctor",
            $($room),*
        ]
    };
}

/// This crate. A new file in a known folder needs no line here, a new folder needs one.
pub(crate) const HOUSE: House = House {
    library: "meshim",
    rooms: &[
        // Pure decisions. The files directly in `core` are the vocabulary of all others.
        room("core", &["core/"], &[]),
        room("core/envoy", &["core/envoy/"], &["core"]),
        room("core/metrics", &["core/metrics/"], &["core", "core/envoy"]),
        room("core/sockets", &["core/sockets/"], &["core"]),
        room("core/waiting", &["core/waiting/"], &["core", "core/envoy", "core/sockets"]),
        room("core/stopping", &["core/stopping/"], &["core", "core/envoy", "core/sockets"]),
        room(
            "core/findings",
            &["core/findings/"],
            &["core", "core/envoy", "core/sockets", "core/waiting"],
        ),
        room(
            "core/findings/listen",
            &["core/findings/listen/"],
            &["core", "core/envoy", "core/sockets", "core/findings"],
        ),
        room(
            "core/findings/check",
            &["core/findings/check.rs"],
            &["core", "core/findings", "core/findings/listen"],
        ),
        room(
            "core/findings/doctor",
            &["core/findings/doctor/"],
            &[
                "core",
                "core/envoy",
                "core/metrics",
                "core/sockets",
                "core/findings",
                "core/findings/check",
                "core/findings/listen",
            ],
        ),
        // What may be typed, and what it means.
        room("cli", &["cli/"], &[]),
        room("config", &["config/"], core_and!["cli"]),
        // The world.
        room("io/sockets", &["io/sockets/"], core_and![]),
        room("io", &["io/"], core_and!["io/sockets"]),
        room("io/http", &["io/http/"], core_and!["io", "io/sockets"]),
        room("io/admin", &["io/admin.rs", "io/admin/"], core_and!["io/http"]),
        // The order of things: what the subcommands share, the subcommands, the one that is chosen.
        room(
            "cmd: shared",
            &["cmd/runtime.rs", "cmd/start.rs", "cmd/pod.rs"],
            core_and!["config", "io", "io/admin", "io/http", "io/sockets"],
        ),
        room(
            "cmd",
            &["cmd/", "cmd/doctor/"],
            core_and!["config", "io", "io/admin", "io/http", "io/sockets", "cmd: shared"],
        ),
        room("cmd: main", &["cmd/mod.rs"], core_and!["config", "io", "cmd"]),
        room("main", &["main.rs"], &["cmd: main", "config"]),
        room("lib", &["lib.rs"], &[]),
    ],
    crates: &[
        only("clap", &["cli/", "config/"]),
        only("http_body_util", &["io/http/client.rs"]),
        only("httparse", &["io/http/response.rs"]),
        only("hyper", &["io/http/client.rs"]),
        only("hyper_util", &["io/http/client.rs"]),
        only("nix", &["io/"]),
        only("rlsf", &["main.rs"]),
        only("rustix", &["io/"]),
        only("serde", &["core/"]),
        only("serde_json", &["core/", "io/line.rs"]),
        only("shared_child", &["io/process.rs"]),
        only("signal_hook", &["io/inbox.rs"]),
        only("strsim", &["config/"]),
        only("thiserror", &["core/", "io/"]),
        only("tokio", &["io/", "cmd/"]),
        only("tracing", &["io/", "cmd/"]),
    ],
    effects: &[
        only("std::env", &["main.rs"]),
        only("std::fs", &["io/"]),
        only("std::io", &["io/", "cmd/"]),
        only("std::net::TcpListener", &[]),
        only("std::net::TcpStream", &["io/"]),
        only("std::net::UdpSocket", &["io/"]),
        only("std::os", &["io/"]),
        only("std::process", &["io/process.rs", "main.rs"]),
        only("std::thread", &[]),
        only("std::time::Instant", &["io/", "cmd/"]),
        only("std::time::SystemTime", &["io/"]),
        // Handlers of signals may run before anything else.
        only("std::sync", &["io/inbox.rs", "io/stderr.rs"]),
    ],
};
