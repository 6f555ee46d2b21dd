//! Where connections are redirected on their way, the kernel's list of listening sockets is not the
//! last word.

use std::process::Command;

use super::pod::{Families, in_a_pod};
use crate::support::envoy;
use crate::support::meshim::Meshim;
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

#[test]
fn a_proxy_that_only_a_redirect_leads_to_is_found_although_nobody_listens_there() {
    envoy::binary();
    in_a_pod(Families::V4, |_| {
        let mut proxy = StandIn::late();
        proxy.says("/ready", Reply::live());
        let rule = "-t nat -I OUTPUT -d 127.0.0.1 -p tcp --dport 18081 -j REDIRECT --to-ports";
        let port = proxy.port().to_string();
        Process::spawn(Command::new("iptables").args(rule.split(' ')).arg(&port))
            .wait()
            .expect_code(0);
        let run = Meshim::starts(["echo", "started"])
            .with(["--admin-url=http://127.0.0.1:18081", "--log=debug"]);
        let run = run.spawn();
        run.wait_for_stderr("connection refused");
        proxy.open();
        assert_eq!(run.wait().expect_code(0).stdout, "started\n");
    });
}
