//! A test in namespaces of its own: a fresh user, PID, mount and network namespace, where it is
//! root, sees its own `/proc`, and has every port for itself (15000, 15021, 4191 …).
//!
//! How: [`inside`] runs the same test again, alone, in another process of this test binary, as PID
//! 1 under `unshare`; there it brings up loopback (one netlink message, no iproute2) and runs the
//! body. So a body is plain Rust: it starts stand-ins, meshim, a real Envoy, and all of them see
//! the same ports. When it is over, or fails, the kernel ends whatever is left in its PID
//! namespace.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; a test reaps what it started"
)]

use std::any::type_name_of_val;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};

use super::process::Process;

/// Set in the process that runs a test's body inside.
const INSIDE: &str = "MESHIM_TEST_INSIDE";

/// Runs `body` in namespaces of its own, for a minute at most. Call it from a `#[test]`, with a
/// closure written right there: its name tells which test to run again. What a body needs from the
/// network (a real Envoy) must be fetched before. What a body prints is seen with `--nocapture`.
pub(crate) fn inside(body: impl FnOnce()) {
    inside_within(super::shared::DEADLINE * 2, body);
}

/// The same for a body that takes its time.
#[expect(clippy::print_stdout, reason = "a test may publish what it counted")]
pub(crate) fn inside_within(deadline: Duration, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        bring_loopback_up();
        body();
        return;
    }
    must_be_permitted();
    // `it::auto::istio_is_found::{{closure}}`
    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    let own = std::env::current_exe().expect("/proc is there");
    let mut command = Command::new("unshare");
    command.args(["-Urpfn", "--kill-child", "--mount-proc"]).arg(own);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let ended = Process::spawn(&mut command).wait_within(deadline);
    let passed = ended.code == Some(0) && ended.stdout.contains("1 passed");
    assert!(passed, "{name} failed in namespaces of its own:\n{}\n{}", ended.stdout, ended.stderr);
    print!("{}", ended.stdout);
}

/// Panics with the remedy where this user may not make namespaces. Asked once.
pub(crate) fn must_be_permitted() {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(|| {
        let tried = Command::new("unshare")
            .args(["-Urpfn", "--kill-child", "--mount-proc", "true"])
            .stdin(Stdio::null())
            .output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        }
    });
    if let Some(why) = refused {
        panic!(
            "this test needs user namespaces, and `unshare -Urpfn --mount-proc true` fails here \
             ({why}): install util-linux, set kernel.apparmor_restrict_unprivileged_userns=0 (or \
             kernel.unprivileged_userns_clone=1), or, in a container, run it with --privileged"
        );
    }
}

const LOOPBACK_INDEX: i32 = 1;

/// Sets the flag `IFF_UP` of `lo`, which is down in a new network namespace (`rtnetlink(7)`).
pub(crate) fn bring_loopback_up() {
    const RTM_NEWLINK: u16 = 16;
    const IFF_UP: u32 = 1;
    // struct ifinfomsg: family, padding, type, index, flags, which flags to change.
    let link =
        [&[0; 4][..], &LOOPBACK_INDEX.to_ne_bytes(), &IFF_UP.to_ne_bytes(), &IFF_UP.to_ne_bytes()];
    tell_the_kernel(RTM_NEWLINK, &link.concat());
}

/// Gives `lo` another address, which this host answers at from then on: as a pod's own, or as
/// redirected connections are answered.
pub(crate) fn give_loopback(address: impl Into<IpAddr>) {
    const RTM_NEWADDR: u16 = 20;
    const IFA_LOCAL: u16 = 2;
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    let (family, octets) = match address.into() {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    let bytes = u8::try_from(octets.len()).expect("4 or 16");
    // struct ifaddrmsg: family, prefix length, flags, scope, index; struct rtattr: length, type.
    let message = [
        &[family, bytes * 8, 0, 0][..],
        &LOOPBACK_INDEX.to_ne_bytes(),
        &u16::from(bytes + 4).to_ne_bytes(),
        &IFA_LOCAL.to_ne_bytes(),
        &octets,
    ];
    tell_the_kernel(RTM_NEWADDR, &message.concat());
}

/// One message of `rtnetlink(7)`, acknowledged.
fn tell_the_kernel(kind: u16, body: &[u8]) {
    const HEADER: usize = 16;
    const NLM_F_REQUEST_AND_ACK: u16 = 1 | 4;
    let length = u32::try_from(HEADER + body.len()).expect("it is short");
    let message = [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &NLM_F_REQUEST_AND_ACK.to_ne_bytes(),
        &1_u32.to_ne_bytes(),
        &0_u32.to_ne_bytes(),
        body,
    ]
    .concat();
    let netlink = socket::socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    );
    let netlink = netlink.expect("every kernel with a network has it");
    let kernel = NetlinkAddr::new(0, 0);
    socket::sendto(netlink.as_raw_fd(), &message, &kernel, MsgFlags::empty())
        .expect("we are root in here");
    // struct nlmsgerr: the header, then an errno, 0 for done.
    let mut answer = [0; 256];
    let length = socket::recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())
        .expect("the kernel acknowledges");
    assert!(
        length >= 20 && answer[16..20] == [0; 4],
        "the kernel refuses message {kind} about lo: {:?}",
        &answer[..length]
    );
}
