#!/usr/bin/env bash
# What the binary is built from: licences, sources and duplicates must hold (deny.toml), and known
# advisories where their database can be had. Uses cargo-deny at the version below, and builds it
# into target/tools where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
PATH=$PWD/target/tools/bin:$PATH
if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $version" ]; then
    cargo install --quiet --locked --no-default-features --root target/tools \
        "cargo-deny@$version" || {
        echo ".ci/dependencies.sh: cargo-deny $version could not be had, so nothing was checked" >&2
        exit 1
    }
fi
cargo fetch --locked --quiet    # of every platform: cargo-deny reads all of Cargo.lock
cargo deny --offline check bans licenses sources
# The database lives on another host than the crates: an advisory in it fails, its absence is told
# in the last line.
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny check advisories
else
    echo "the advisory database cannot be reached from here" |
        tee -a "${MESHIM_CI_NOT_CHECKED:-/dev/null}"
fi
