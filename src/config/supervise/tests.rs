use super::super::Job;
use super::super::tests::{loaded, refused, run, run_with};
use super::*;

fn supervised(args: &[&str]) -> Option<SuperviseSettings> {
    run(args).supervise
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn the_command_is_execd_unless_something_needs_its_parent() {
    assert!(supervised(&[]).is_none());
    assert!(supervised(&["--quit=never"]).is_none());
    for args in [&["--supervise"][..], &["--drain"], &["--quit=always"], &["--quit", "on-success"]]
    {
        assert!(supervised(args).is_some(), "{args:?}");
    }
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = supervised(&["--drain"]).unwrap();
    assert_eq!(
        settings.drain,
        Some(Times { min: seconds(5), max: seconds(15), quiet: seconds(2), grace: None })
    );
    assert_eq!((settings.grace, settings.quit), (None, QuitWhen::Never));
    assert!(!settings.signal_group);
    assert_eq!(settings.map, SignalMap::default());
    assert!(
        settings.ok_exit.is_empty()
            && settings.quit_urls.is_empty()
            && settings.parent_death.is_none()
    );
    assert!(supervised(&["--supervise"]).unwrap().drain.is_none());
}

#[test]
fn repeatable_options_are_repeated_or_separated_by_commas() {
    for args in [&["--ok-exit=143", "--ok-exit=1"][..], &["--ok-exit=143,1"]] {
        assert_eq!(supervised(&[args, &["--supervise"]].concat()).unwrap().ok_exit, [143, 1]);
    }
    let urls = "--quit-url=http://127.0.0.1:1/a,unix:/b.sock:/c";
    assert_eq!(supervised(&["--quit=always", urls]).unwrap().quit_urls.len(), 2);
    let settings =
        supervised(&["--supervise", "--map-signal=TERM:QUIT,HUP:0", "--parent-death-signal=KILL"])
            .unwrap();
    assert_eq!(settings.map.delivered(Signal::TERM), Some(Signal::QUIT));
    assert_eq!(settings.parent_death, Some(Signal::KILL));
}

#[test]
fn variables_are_read_as_options_are_and_yield_to_them() {
    let variables = [("MESHIM_OK_EXIT", "143, 1,"), ("MESHIM_SUPERVISE", "true")];
    assert_eq!(run_with(&[], &variables).supervise.unwrap().ok_exit, [143, 1]);
    let typed = run_with(&["--ok-exit=7"], &variables).supervise.unwrap();
    assert_eq!(typed.ok_exit, [7], "typed values replace the variable's");
}

#[test]
fn the_switch_off_of_the_mesh_switches_the_asking_off() {
    let settings = supervised(&["--quit=always", "--mesh=none"]).unwrap();
    assert_eq!(settings.quit, QuitWhen::Always);
}

#[test]
fn the_pods_grace_period_is_read_as_the_pod_writes_it() {
    let read = |value| {
        run_with(&["--supervise"], &[("MESHIM_POD_GRACE", value)]).supervise.unwrap().pod_grace
    };
    assert_eq!((read("30"), read("45s"), read("")), (Some(seconds(30)), Some(seconds(45)), None));
    let error = refused(&["--supervise", "--", "app"], &[("MESHIM_POD_GRACE", "long")]);
    assert!(error.starts_with("MESHIM_POD_GRACE: `long` is no time; write"), "{error}");
}

/// `meshim drain` and `meshim quit` in the same container read these variables, too.
#[test]
fn what_a_hook_of_the_same_container_reads_may_be_in_a_variable() {
    for (name, value) in [
        ("MESHIM_DRAIN_MIN", "1s"),
        ("MESHIM_DRAIN_MAX", "1s"),
        ("MESHIM_DRAIN_QUIET", "1s"),
        ("MESHIM_QUIT_URL", "http://127.0.0.1:1/"),
    ] {
        assert!(run_with(&[], &[(name, value)]).supervise.is_none(), "{name}");
        // The hook has returned when the grace period begins.
        run_with(&["--supervise", "--grace=500ms"], &[(name, value)]);
    }
    let error = refused(&["--", "app"], &[("MESHIM_GRACE", "5s")]);
    assert!(error.starts_with("MESHIM_GRACE (the variable of --grace): has no effect"), "{error}");
}

#[test]
fn contradictions_are_refused_with_the_remedy() {
    let table: [(&[&str], &str); 15] = [
        (&["--grace=5s"], "--grace: has no effect on an application that meshim becomes"),
        (&["--drain-min=1s"], "--drain-min: has no effect without --drain"),
        (&["--drain-max=1s", "--supervise"], "--drain-max: has no effect without --drain"),
        (&["--drain-quiet=1s", "--quit=always"], "--drain-quiet: has no effect without"),
        (&["--drain=false", "--drain-min=1s"], "--drain-min: has no effect without --drain"),
        (&["--quit-url=http://127.0.0.1:1/"], "--quit-url: has no effect without --quit"),
        (&["--quit=always", "--quit-url=http://10.0.0.1/"], "leads out of this pod"),
        (
            &["--quit=sometimes"],
            "--quit: `sometimes` is not one of never, always, on-success, on-stop",
        ),
        (
            &["--map-signal=TERM:QUIT"],
            "--map-signal: has no effect on an application that meshim becomes",
        ),
        (&["--ok-exit=143"], "add --supervise"),
        (&["--parent-death-signal=TERM"], "add --supervise"),
        (&["--signal-group"], "add --supervise"),
        (&["--supervise", "--ok-exit=256"], "`256` is no exit code"),
        (&["--supervise", "--map-signal=TERM:QUIT,15:0"], "SIGTERM is mapped twice"),
        (&["--supervise", "--parent-death-signal=RTMIN"], "is a real-time signal"),
    ];
    for (args, part) in table {
        let error = refused(&[args, &["--", "app"]].concat(), &[]);
        assert!(error.contains(part), "{args:?}: {error}");
    }
    let wrong = ["--drain", "--grace=x", "--drain-min=1", "--ok-exit=a", "--", "app"];
    let error = refused(&wrong, &[]);
    assert!(error.contains("3 settings are wrong"), "{error}");
}

#[test]
fn the_subcommands_read_their_part() {
    let Ok(Job::Drain(drain)) =
        loaded(&["drain", "--drain-min=1s", "--admin-url=http://127.0.0.1:1"], &[])
    else {
        panic!()
    };
    assert_eq!((drain.times.min, drain.times.max), (seconds(1), seconds(15)));
    assert!(drain.given.has_urls());
    let Ok(Job::Quit(quit)) = loaded(&["quit", "--quit-url=http://127.0.0.1:1/q"], &[]) else {
        panic!()
    };
    assert_eq!((quit.urls.len(), quit.given.has_urls()), (1, false));
    assert!(loaded(&["drain", "--", "app"], &[]).is_err());
}
