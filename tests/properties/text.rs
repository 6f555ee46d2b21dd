//! What people type: it is read as it is printed, or refused with one line that names it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy as _, any};
use proptest::sample::{Index, select};

use meshim::cli::VARIABLES;

use meshim::config::{Input, Job, load};
use meshim::core::duration::{self, LONGEST, Spoken};
use meshim::core::endpoint::{Address, Endpoint, Host};
use meshim::core::signal::Signal;
use meshim::core::stopping::signal_map::{Mapping, SignalMap};
use meshim::core::text::{is_unsafe, one_line};

use crate::bytes::damaged;
use crate::cases;

const DURATIONS: [&str; 8] = ["999h", "250ms", "1.5s", "1m30s", "2h", "0", "0.000000001h", "720h"];

#[test]
fn a_duration_is_at_most_thirty_days_or_refused_by_name() {
    cases(1_500)
        .run(&damaged(&DURATIONS), |bytes| {
            let text = String::from_utf8_lossy(&bytes);
            match duration::parse(&text) {
                Ok(duration) => assert!(duration <= LONGEST),
                Err(error) => assert!(error.to_string().contains(&*text)),
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_duration_is_the_sum_of_what_was_typed() {
    let part = (0_u64..100, 0_u64..60, 0_u64..60, 0_u64..1_000);
    cases(1_000)
        .run(&part, |(h, m, s, ms)| {
            let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1_000 + ms);
            assert_eq!(duration::parse(&format!("{h}h{m}m{s}s{ms}ms")), Ok(expected));
            assert_eq!(duration::parse(&format!("{h}h{m}m{s}.{ms:03}s")), Ok(expected));
            // Below a minute, what is printed says the same to ten milliseconds.
            let spoken = Duration::from_millis(s * 1_000 + ms);
            let again = duration::parse(&Spoken(spoken).to_string());
            assert!(again.is_ok_and(|again| again.abs_diff(spoken) < Duration::from_millis(10)));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

const URLS: [&str; 7] = [
    "http://127.0.0.1:15000/ready",
    "http://localhost:15021/healthz/ready?x=1",
    "http://[::1]:9901/ready",
    "http://[::ffff:10.0.0.1]:80",
    "unix:/run/admin.sock:/ready",
    "unix:///a:b/c:/d:/e",
    "http://10.0.0.1@127.0.0.1:80/",
];

#[test]
fn a_url_means_the_same_when_it_is_read_back_and_leads_where_it_says() {
    cases(2_500)
        .run(&damaged(&URLS), |bytes| {
            let text = String::from_utf8_lossy(&bytes);
            match text.parse::<Endpoint>() {
                Ok(endpoint) => {
                    let printed = endpoint.to_string();
                    assert_eq!(printed.parse::<Endpoint>().as_ref(), Ok(&endpoint));
                    // A request line and a Host header cannot be broken by them.
                    let line = format!("{}{}", endpoint.path, endpoint.address.host_header());
                    assert!(line.bytes().all(|byte| byte.is_ascii_graphic()));
                    assert!(endpoint.path.starts_with('/'));
                    let leads_out = endpoint
                        .address
                        .socket_addresses()
                        .iter()
                        .any(|address| !address.ip().to_canonical().is_loopback());
                    assert_eq!(endpoint.address.is_local(), !leads_out);
                    if let Address::Tcp { host: Host::Ip(ip), .. } = &endpoint.address {
                        assert!(text.contains(&ip.to_string()) || ip.is_ipv6());
                    }
                }
                Err(error) => assert!(error.to_string().contains(&*text)),
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

const MAPPINGS: [&str; 5] = ["TERM:QUIT", "SIGUSR1:0", "RTMIN+3:rtmax-1", "15:9", "HUP:TERM"];

#[test]
fn a_mapping_concerns_a_signal_that_arrives_and_each_signal_once() {
    cases(2_000)
        .run(&vec(damaged(&MAPPINGS), 0..4), |texts| {
            let mappings =
                texts.iter().filter_map(|bytes| str::from_utf8(bytes).ok()?.parse().ok());
            let mappings: Vec<Mapping> = mappings.collect();
            let Ok(map) = SignalMap::of(&mappings) else { return Ok(()) };
            let all = (1..=64).filter_map(Signal::from_number);
            let changed = all.filter(|signal| map.delivered(*signal) != Some(*signal));
            let changed: Vec<Signal> = changed.collect();
            assert!(changed.iter().all(|signal| signal.can_be_forwarded()));
            assert!(changed.len() <= mappings.len());
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_message_is_one_line_without_control_characters() {
    cases(2_000)
        .run(&damaged(&["a\nb", "\u{1b}[31mred\u{1b}[0m", "\u{202e}abc"]), |bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let line = one_line(&text);
            assert!(!line.contains(is_unsafe));
            assert_eq!(one_line(&line), line.as_ref());
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// What somebody might write into a variable, right or wrong.
const VALUES: [&str; 12] = [
    "1m30s",
    "http://127.0.0.1:15000,http://[::1]:1",
    "TERM:QUIT, USR1:0",
    "0,1,143,256,-1",
    "true",
    "always",
    "istio",
    "127.0.0.1:8080,,[::]:80",
    " \n",
    "enforce",
    "json",
    "TERM",
];

#[test]
fn settings_of_any_kind_are_read_or_refused_in_one_line() {
    let variable = (any::<Index>(), damaged(&VALUES));
    let words = ["wait", "check", "doctor", "drain", "quit", "probe", "install", "--", "app", "-h"];
    let words = vec(
        proptest::prop_oneof![
            2 => select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
            1 => damaged(&["--timeout=5s", "--drain-max=1s", "--map-signal=TERM:0", "-x"]),
        ],
        0..4,
    );
    cases(600)
        .run(&(vec(variable, 0..5), words), |(variables, words)| {
            let variables = variables.into_iter().map(|(at, value)| {
                let name = VARIABLES[at.index(VARIABLES.len())];
                (format!("MESHIM_{name}").into(), OsString::from_vec(value))
            });
            let args = [b"meshim".to_vec()].into_iter().chain(words).map(OsString::from_vec);
            let input = Input { args: args.collect(), variables: variables.collect() };
            let loaded = load(&input);
            match loaded.job {
                Err(failure) => {
                    assert!(!failure.sentence.chars().any(char::is_control), "{failure:?}");
                    assert!(!failure.sentence.is_empty() && failure.exit.code() == 125);
                }
                Ok(Job::Print(text)) => assert!(!text.is_empty()),
                Ok(_) => {}
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
