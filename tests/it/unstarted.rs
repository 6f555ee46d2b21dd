//! `--quit always` where the application never starts: a typing error in a Job must not leave a pod
//! that never completes.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::sidecar::{QUIT, Sidecar};

fn quits(options: &[&str], command: &str) -> Meshim {
    Meshim::starts([command]).with(["--quit=always"]).with(options.iter().copied())
}

#[test]
fn a_sidecar_that_comes_later_is_waited_for_and_asked_whatever_is_wrong() {
    inside(|| {
        let wrong: [(&[&str], &str, &str, i32); 5] = [
            (&[], "/no/such", "was not found", 127),
            (&["--mesh=istio"], "/etc/passwd", "cannot be executed", 126),
            (&["--listen=here"], "true", "--listen: `here` is no address", 125),
            (&["--mesh=isto"], "true", "`isto` is no mesh", 125),
            (&["--tymeout=3s"], "true", "has no option --tymeout", 125),
        ];
        for (options, command, said, code) in wrong {
            let run = quits(options, command);
            let told = run.directory().join("termination-log");
            std::fs::write(&told, "").expect("the directory is ours");
            let run = run.env("MESHIM_TERMINATION_LOG", &told).spawn();
            // The reason is where people look for it before anything else happens.
            run.wait_for_stderr(said);
            run.wait_for_stderr("waiting for");
            let reason = std::fs::read_to_string(&told).expect("it is there");
            assert!(reason.contains(said), "{reason}");
            let istio = Sidecar::starting();
            istio.envoy.wait_for_requests("/ready", 2);
            assert_eq!(istio.agent.count(QUIT), 0);
            istio.becomes_ready();
            run.wait().expect_code(code).expect_stderr(&["the proxy was asked to end"]);
            assert_eq!(istio.agent.count(QUIT), 1, "{said}");
        }
    });
}

#[test]
fn the_wait_is_bounded_and_a_stop_signal_ends_it() {
    inside(|| {
        let began = Instant::now();
        quits(&["--timeout=300ms"], "/no/such")
            .run()
            .expect_code(127)
            .expect_stderr(&["no proxy", "there is no proxy in this pod"]);
        quits(&["--absent-after=100ms"], "/no/such").run().expect_code(127);
        quits(&["--mesh=none"], "/no/such").run().expect_code(127);
        // Whoever was never seen has not ended.
        let run = quits(&["--mesh=istio"], "true").spawn();
        run.wait_for_stderr("waiting for");
        run.signal(Signal::SIGTERM);
        let ended = run.wait().expect_code(143);
        assert!(!ended.stderr.contains("has ended"), "{}", ended.stderr);
        ended.expect_stderr(&["nobody listens where the istio proxy is expected"]);
        // A wrong timeout is two minutes.
        let run = quits(&["--timeout=soon"], "true").spawn();
        run.wait_for_stderr("waiting for");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(125);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    });
}

#[test]
fn a_retry_beside_a_proxy_that_was_ended_is_told_why_it_waits_in_vain() {
    inside(|| {
        let hint = "restartPolicy: OnFailure";
        for mesh in ["--mesh=auto", "--mesh=istio"] {
            let run = quits(&[mesh, "--timeout=200ms"], "true").run();
            run.expect_code(124).expect_stderr(&[hint, "--quit on-success"]);
        }
        let istio = Sidecar::starting();
        let run = quits(&["--timeout=200ms"], "true").run().expect_code(124);
        assert!(!run.stderr.contains(hint), "{}", run.stderr);
        assert_eq!(istio.agent.count(QUIT), 1, "the Job's pod is to complete all the same");
    });
}

#[test]
fn nobody_else_waits_for_anything() {
    inside(|| {
        let istio = Sidecar::starting();
        for quit in ["never", "on-success", "on-stop"] {
            let option = format!("--quit={quit}");
            Meshim::starts(["/no/such"]).with([&option, "--supervise"]).run().expect_code(127);
            Meshim::starts(["true"]).with([&option, "--timeout=x"]).run().expect_code(125);
        }
        // By hand, in a container whose variables say so.
        let by_hand = |word: &str| Meshim::does(word).env("MESHIM_QUIT", "always").run();
        by_hand("drian").expect_code(125);
        assert_eq!((istio.agent.count(QUIT), istio.envoy.count("/ready")), (0, 0));
    });
}

#[test]
fn an_application_that_cannot_be_forked_is_one_that_never_starts() {
    inside(|| {
        let istio = Sidecar::starting();
        istio.becomes_ready();
        // Executable, and in no format that the kernel knows.
        let run = Meshim::starts(["./empty"]).with(["--quit=always", "--mesh=istio"]);
        let file = run.directory().join("empty");
        std::fs::write(&file, "\u{1}").expect("the directory is ours");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, executable).expect("it is ours");
        run.run().expect_code(126);
        assert_eq!(istio.agent.count(QUIT), 1);
    });
}
