//! Who has the proxy's user or group goes past the proxy, and meshim does not start it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::application::Application;
use super::pod::{CLIENT_V4, Families, in_a_pod};
use super::sidecar::{Admin, Forwards, Sidecar};
use crate::support::directory::Directory;
use crate::support::envoy;
use crate::support::meshim::Meshim;
use crate::support::process::Ended;

/// Runs `subcommand` as this user and group, from a copy that everybody can reach.
fn run_as(meshim: Meshim, copies: &Directory, uid: u32, gid: u32) -> Ended {
    let copy = copies.join("meshim");
    let script = format!(
        "shift; exec setpriv --reuid {uid} --regid {gid} --clear-groups {} \"$@\"",
        copy.display()
    );
    meshim.env("PATH", "/usr/bin:/bin").behind_shell(&script).run()
}

#[test]
fn the_proxys_user_and_the_proxys_group_bypass_the_mesh_and_are_not_started() {
    envoy::binary();
    in_a_pod(Families::V4, |pod| {
        let sidecar = Sidecar::start(&pod, 8080, Forwards::ToThePod, Admin::Open);
        let copies = Directory::new();
        std::fs::set_permissions(copies.path(), Permissions::from_mode(0o755)).unwrap();
        Meshim::does("install").with([copies.path()]).run().expect_code(0);
        let server = pod.as_client(|| {
            Application::on((CLIENT_V4.parse::<std::net::IpAddr>().unwrap(), 9000).into(), false)
        });

        let reach = |uid, gid| {
            let before = sidecar.outbound_connections();
            let probe = Meshim::does("probe").with([
                "--allow-remote",
                &format!("http://{CLIENT_V4}:9000/"),
                "--timeout=10s",
            ]);
            run_as(probe, &copies, uid, gid).expect_code(0);
            sidecar.outbound_connections() - before
        };
        assert_eq!(reach(1000, 1000), 1, "an application's connection goes through the proxy");
        assert_eq!(reach(1337, 1000), 0, "user 1337 bypasses it");
        assert_eq!(reach(1000, 1337), 0, "group 1337 bypasses it");

        let start = |uid, gid| run_as(Meshim::starts(["echo", "started"]), &copies, uid, gid);
        assert_eq!(start(1000, 1000).expect_code(0).stdout, "started\n");
        for (uid, gid, code) in
            [(1337, 1000, "uid-is-the-proxys"), (1000, 1337, "gid-is-the-proxys")]
        {
            let refused =
                start(uid, gid).expect_code(125).expect_stderr(&[code, "bypasses the mesh"]);
            assert_eq!(refused.stdout, "");
            let check = run_as(Meshim::does("check"), &copies, uid, gid).expect_code(1);
            assert!(
                check.stdout.contains("\nerror: this process runs with")
                    && check.stdout.contains(code),
                "{check:?}"
            );
        }
        drop(server);
    });
}
