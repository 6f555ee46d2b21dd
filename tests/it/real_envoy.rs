//! Waiting for a real Envoy.

use crate::support::envoy::{Bootstrap, Envoy};
use crate::support::meshim::Meshim;
use crate::support::xds::LateXds;

#[test]
fn an_envoy_whose_control_plane_is_late_is_followed_until_it_is_live() {
    let xds = LateXds::new();
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()));
    let run = Meshim::starts(["echo", "started"]).with(["--admin-url", &envoy.admin_url(), "--log=debug"]).spawn();
    xds.wait_until_asked();
    run.wait_for_stderr("503 PRE_INITIALIZING");
    xds.release_clusters();
    run.wait_for_stderr("503 INITIALIZING");
    assert!(!run.has_ended() && run.stderr().contains("looked"));
    xds.release_listeners();
    let ended = run.wait().expect_code(0).expect_stderr(&["the proxy is ready"]);
    assert_eq!(ended.stdout, "started\n");
}
