//! The way of a run, read from its log by a machine.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::support::meshim::Meshim;
use super::support::reply::Reply;
use super::support::standin::StandIn;

/// Each line as an object; all have what docs/logs.md promises.
fn events(stderr: &str) -> Vec<Value> {
    let objects = stderr.lines().map(|line| {
        let object: Value = serde_json::from_str(line).expect(line);
        let time = object["time"].as_str().expect("every line has its time");
        let form: String =
            time.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000Z", "{line}");
        assert!(object["level"].is_string() && object["msg"].is_string(), "{line}");
        assert!(object["level"] == "debug" || object["event"].is_string(), "{line}");
        object
    });
    objects.collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["event"].as_str()).collect()
}

#[test]
fn the_way_of_a_run_can_be_read_from_its_events() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let script = ["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done"];
    let options = ["--admin-url", &proxy.url(), "--supervise", "--log-format=json"];
    let run = Meshim::starts(script).with(options).spawn();
    proxy.wait_for_requests("/ready", 3);
    proxy.says("/ready", Reply::live());
    run.wait_for_stdout("up");
    run.signal(Signal::SIGTERM);
    let ended = run.wait().expect_code(3);
    let events = events(&ended.stderr);
    let expected = ["waiting", "ready", "started", "stop_signal", "forwarded", "ended"];
    let seen: Vec<&str> =
        names(&events).into_iter().filter(|name| expected.contains(name)).collect();
    assert_eq!(seen, expected, "{ended:#?}");
    let of = |name: &str| events.iter().find(|event| event["event"] == name).expect(name);
    assert_eq!(
        (&of("waiting")["timeout_ms"], &of("waiting")["mesh"]),
        (&120_000.into(), &"envoy".into())
    );
    assert!(of("ready")["waited_ms"].is_u64() && of("ready")["looks"].as_u64() >= Some(4));
    assert!(of("started")["pid"].is_u64());
    assert_eq!(
        (&of("stop_signal")["signal"], &of("forwarded")["signal"]),
        (&15.into(), &15.into())
    );
    assert_eq!(of("ended")["exit_code"], 3);
}

#[test]
fn the_last_line_before_exec_says_that_the_application_starts() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    let options = ["--admin-url", &proxy.url(), "--log-format=json"];
    let run = Meshim::starts(["sh", "-c", "echo $$"]).with(options).spawn();
    let pid = run.pid();
    let ended = run.wait().expect_code(0);
    let events = events(&ended.stderr);
    assert_eq!(names(&events), ["waiting", "ready", "started"], "{ended:#?}");
    assert_eq!(events[2]["pid"], pid.as_raw());
    assert_eq!(ended.stdout.trim(), pid.to_string());
}

#[test]
fn a_timeout_is_an_event_with_its_code() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let options = ["--admin-url", &proxy.url(), "--timeout=30ms", "--log-format=json"];
    let ended = Meshim::starts(["true"]).with(options).run().expect_code(124);
    let all = events(&ended.stderr);
    assert_eq!(names(&all), ["waiting", "timed_out"], "{ended:#?}");
    assert_eq!(all[1]["exit_code"], 124);
    let ended = Meshim::does("wait").with(options).run().expect_code(1);
    assert_eq!(names(&events(&ended.stderr)), ["waiting", "timed_out"], "{ended:#?}");
}

#[test]
fn debug_tells_changes_and_not_each_look() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let run = Meshim::starts(["true"]).with(["--admin-url", &proxy.url(), "--log=debug"]).spawn();
    proxy.wait_for_requests("/ready", 100);
    proxy.says("/ready", Reply::live());
    let ended = run.wait().expect_code(0);
    let about = |what: &str| {
        let lines = ended.stderr.lines().filter(|line| line.starts_with("meshim: debug: "));
        lines.filter(|line| line.contains(what)).count()
    };
    assert_eq!((about("INITIALIZING"), about("looked")), (1, 2), "{ended:#?}");
}
