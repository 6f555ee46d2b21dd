//! A pod's network namespace, with Istio's rules, and a second namespace for its client, joined by
//! a veth pair.
//!
//! Like `support::namespace::inside`, [`in_a_pod`] runs the same test again in another process of
//! this binary; but here every user id exists, since the rules are about ids.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; a test reaps what it started, and has threads"
)]

use std::any::type_name_of_val;
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

use crate::support::process::Process;
use crate::support::shared::DEADLINE;

/// Set in the process that runs a test's body inside.
const INSIDE: &str = "MESHIM_TEST_IN_A_POD";

const REMEDY: &str = "this test needs iptables and iproute2 (apt-get install iptables iproute2), \
                      and root or user \
                      namespaces with more than one id (an entry in /etc/subuid and newuidmap)";

/// Which families the pod has addresses of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    V4,
    V6,
    Dual,
}

/// The pod that this process is in.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) families: Families,
    /// The client's network namespace.
    client: File,
}

pub(crate) const POD_V4: &str = "10.0.0.5";
pub(crate) const POD_V6: &str = "fd00::5";
pub(crate) const CLIENT_V4: &str = "10.0.0.1";

/// Runs `body` as PID 1 of namespaces of its own, where the network is `families` and Istio's rules
/// are loaded. Call it from a `#[test]`, with a closure written right there. Needs Envoy fetched
/// before.
pub(crate) fn in_a_pod(families: Families, body: impl FnOnce(Pod)) {
    if std::env::var_os(INSIDE).is_some() {
        body(Pod::new(families));
        return;
    }
    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    let own = std::env::current_exe().expect("/proc is there");
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["-U", "--map-root-user", "--map-auto"]);
    }
    command.args(["-pfnm", "--kill-child", "--mount-proc"]).arg(own);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let ended = Process::spawn(&mut command).wait_within(DEADLINE * 4);
    let passed = ended.code == Some(0) && ended.stdout.contains("1 passed");
    assert!(
        passed,
        "{name} failed in a pod of its own ({REMEDY}):\n{}\n{}",
        ended.stdout, ended.stderr
    );
}

impl Families {
    pub(crate) fn v4(self) -> bool {
        self != Self::V6
    }

    pub(crate) fn v6(self) -> bool {
        self != Self::V4
    }
}

impl Pod {
    fn new(families: Families) -> Self {
        let client = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("no second namespace: {error}; {REMEDY}"));
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").expect("/proc is there")
        });
        let pod = Self { families, client: client.join().expect("the second namespace is made") };
        ip("link set lo up");
        let peer = format!("/proc/{}/fd/{}", std::process::id(), pod.client.as_raw_fd());
        ip(&format!("link add eth0 type veth peer name eth0 netns {peer}"));
        pod.address(POD_V4, POD_V6);
        pod.as_client(|| pod.address(CLIENT_V4, "fd00::1"));
        if families.v4() {
            restore("iptables-restore", &rules("127.0.0.1/32", "127.0.0.6/32"));
        }
        if families.v6() {
            // Envoy's own connections to the application come from there (istio-iptables:
            // `run.go`).
            ip("addr add ::6/128 dev lo nodad");
            restore("ip6tables-restore", &rules("::1/128", "::6/128"));
        }
        pod
    }

    fn address(&self, v4: &str, v6: &str) {
        if self.families.v4() {
            ip(&format!("addr add {v4}/24 dev eth0"));
        }
        if self.families.v6() {
            ip(&format!("addr add {v6}/64 dev eth0 nodad"));
        }
        ip("link set eth0 up");
    }

    /// The addresses that clients may use.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let both = [(self.families.v4(), POD_V4), (self.families.v6(), POD_V6)];
        both.into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, ip)| ip.parse().expect("an address"))
            .collect()
    }

    /// Runs `work` in the client's namespace: sockets that it opens, and programs that it starts,
    /// are there.
    pub(crate) fn as_client<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.client, CloneFlags::CLONE_NEWNET).expect("we are root in here");
                work()
            });
            thread.join().expect("the client does not panic")
        })
    }
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split(' ')).output();
    let output = output.unwrap_or_else(|error| panic!("ip: {error}; {REMEDY}"));
    assert!(
        output.status.success(),
        "ip {args}: {}; {REMEDY}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn restore(program: &str, rules: &str) {
    let spawned = Command::new(program).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{program}: {error}; {REMEDY}"));
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(rules.as_bytes())
        .expect("it reads its rules");
    let output = child.wait_with_output().expect("it is our child");
    assert!(
        output.status.success(),
        "{program}: {}; {REMEDY}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What istio-iptables loads for REDIRECT with its defaults (istio:
/// `tools/istio-iptables/pkg/capture/run.go`).
fn rules(loopback: &str, envoys_own: &str) -> String {
    let owner = |kind: &str| {
        format!(
            "-A ISTIO_OUTPUT -o lo ! -d {loopback} -p tcp ! --dport 15008 -m owner --{kind}-owner \
             1337 -j ISTIO_IN_REDIRECT\n\
             -A ISTIO_OUTPUT -o lo -m owner ! --{kind}-owner 1337 -j RETURN\n\
             -A ISTIO_OUTPUT -m owner --{kind}-owner 1337 -j RETURN\n"
        )
    };
    let uncaptured: String = [15008, 15090, 15021, 15020]
        .map(|port| format!("-A ISTIO_INBOUND -p tcp --dport {port} -j RETURN\n"))
        .concat();
    format!(
        "*nat\n:ISTIO_INBOUND -\n:ISTIO_REDIRECT -\n:ISTIO_IN_REDIRECT -\n:ISTIO_OUTPUT -\n\
         -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001\n\
         -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006\n\
         -A PREROUTING -p tcp -j ISTIO_INBOUND\n\
         {uncaptured}\
         -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT\n\
         -A OUTPUT -j ISTIO_OUTPUT\n\
         -A ISTIO_OUTPUT -o lo -s {envoys_own} -j RETURN\n\
         {}{}\
         -A ISTIO_OUTPUT -d {loopback} -j RETURN\n\
         -A ISTIO_OUTPUT -j ISTIO_REDIRECT\n\
         COMMIT\n",
        owner("uid"),
        owner("gid"),
    )
}
