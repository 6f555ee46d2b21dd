#!/usr/bin/env bash
# Is this binary what an image from scratch needs? images/check-static.sh BINARY
#
# Static (no interpreter, no shared library), within its size, and at work in an empty root
# directory on a read-only file system, as a user that no passwd file knows. Needs root or user
# namespaces; another architecture's runs under qemu-user.
set -euo pipefail
binary=$(realpath "$1")
fail() { echo "images/check-static.sh: $binary: $*" >&2; exit 1; }

python3 - "$binary" <<'PYTHON' || fail "is not static: it names an interpreter or a shared library"
import struct, sys
elf = open(sys.argv[1], "rb").read()
table, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
kinds = {struct.unpack_from("<I", elf, table + index * size)[0] for index in range(count)}
sys.exit(bool(kinds & {2, 3}))  # PT_DYNAMIC, PT_INTERP
PYTHON

# With every subcommand; docs/cost.md says where it goes.
limit=1085000
size=$(stat -c %s "$binary")
[ "$size" -le $limit ] || fail "takes $size bytes, more than $limit"

machine=$(od -An -tu2 -j18 -N2 "$binary" | tr -d ' ')
case $machine-$(uname -m) in
62-x86_64 | 183-aarch64) emulator= ;;
183-*) emulator=qemu-aarch64-static ;;
*) fail "is for another machine ($machine) and nothing here runs that" ;;
esac

root=$(mktemp -d)
printf 'no program at all\n' >"$root/data"
chmod 755 "$root/data"
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT
cp "$binary" "$root/meshim"
[ -z "$emulator" ] || cp "$(command -v $emulator)" "$root/emulator"
# In a mount namespace of its own, where the root is read-only, as user 12345: a real one where we
# are root to begin with.
as_root='unshare --mount'
become='chroot --userspec=12345:54321 --groups='
if [ "$(id -u)" != 0 ]; then
    as_root='unshare --user --map-user=12345 --map-group=54321 --keep-caps --mount'
    become=chroot
fi
inside() {
    $as_root bash -c "mount --bind \"\$0\" \"\$0\" && mount -o remount,bind,ro \"\$0\" &&
        exec $become \"\$0\" \"\$@\"" "$root" ${emulator:+/emulator} "$@"
}
inside /meshim --version | grep -q '^meshim ' || fail "does not start in an empty root"
# It becomes another program: itself, the only one there is.
[ -n "$emulator" ] || inside /meshim --mesh none -- /meshim --version | grep -q '^meshim ' ||
    fail "cannot exec in an empty root"
code=0
inside /meshim --mesh istio --timeout 50ms -- /meshim --version 2>"$root.err" || code=$?
[ $code = 124 ] || fail "ended with $code instead of 124 without a proxy: $(cat "$root.err")"
code=0
inside /meshim --timeout 50ms -- /nothing 2>"$root.err" || code=$?
[ $code = 127 ] || fail "ended with $code instead of 127 without a command: $(cat "$root.err")"
code=0
[ -n "$emulator" ] || inside /meshim --mesh none -- /data 2>"$root.err" || code=$?
[ -n "$emulator" ] || { [ $code = 126 ] &&
    grep -q 'Exec format error.*does not begin with #!' "$root.err"; } ||
    fail "ended with $code instead of 126 with a file of no known format: $(cat "$root.err")"
rm -f "$root.err"
echo "images/check-static.sh: $1: $size bytes, static, works in an empty read-only root"
