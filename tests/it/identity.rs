//! The identity check: who runs with the proxy's own user or group is told so before the wait.

use crate::support::meshim::Meshim;
use crate::support::namespace::must_be_permitted;
use crate::support::standin::StandIn;

/// meshim as this user and group, seen from a user namespace of its own: no privilege is needed for
/// that.
fn starting_as(user: u32, group: u32, proxy: &StandIn) -> Meshim {
    must_be_permitted();
    let ready = format!("{}/healthz/ready", proxy.url());
    Meshim::starts(["id"])
        .behind(["unshare", "-U", &format!("--map-user={user}"), &format!("--map-group={group}")])
        .with(["--mesh=istio", "--admin-url", &proxy.url(), "--ready-url", &ready])
}

fn ready_istio() -> StandIn {
    use crate::support::reply::Reply;
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live()).says("/healthz/ready", Reply::plain(200, ""));
    proxy
}

#[test]
fn the_proxys_user_is_refused_before_the_wait() {
    let proxy = ready_istio();
    let ended = starting_as(1337, 5, &proxy).run().expect_code(125);
    assert_eq!((proxy.connections(), ended.stdout.as_str()), (0, ""));
    ended.expect_stderr(&[
        "user id 1337",
        "bypasses the mesh",
        "set runAsUser",
        "--check warn starts all the same",
    ]);
}

#[test]
fn the_proxys_group_is_refused_before_the_wait() {
    let proxy = ready_istio();
    let ended = starting_as(5, 1337, &proxy).run().expect_code(125);
    assert_eq!((proxy.connections(), ended.stdout.as_str()), (0, ""));
    ended.expect_stderr(&["group id 1337", "bypasses the mesh", "set runAsGroup"]);
}

#[test]
fn another_user_and_group_are_welcome() {
    let ended = starting_as(5, 7, &ready_istio()).run().expect_code(0);
    assert!(ended.stdout.contains("uid=5") && !ended.stderr.contains("bypasses"), "{ended:#?}");
}

#[test]
fn check_warn_starts_with_a_warning_and_check_off_without() {
    let ended = starting_as(1337, 1337, &ready_istio()).with(["--check=warn"]).run().expect_code(0);
    assert!(ended.stdout.contains("uid=1337"), "{ended:#?}");
    ended.expect_stderr(&["warning: this process runs with user id 1337", "with group id 1337"]);
    let ended = starting_as(1337, 1337, &ready_istio()).with(["--check=off"]).run().expect_code(0);
    assert!(!ended.stderr.contains("1337"), "{ended:#?}");
}
