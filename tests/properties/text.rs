//! What people type, damaged.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy as _, any};
use proptest::sample::{Index, select};

use meshim::cli::VARIABLES;
use meshim::core::duration::{self, Spoken};

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, text};

const DURATIONS: [&str; 8] = ["999h", "250ms", "1.5s", "1m30s", "2h", "0", "0.000000001h", "720h"];

#[test]
fn a_duration_is_at_most_thirty_days_or_refused_by_name() {
    Cases(1_500).try_all(damaged(&DURATIONS), |bytes| text::is_a_duration(&bytes));
}

const MOMENTS: [&str; 3] =
    ["2026-11-24T15:55:00Z", "9999-12-31T23:59:60.999999999Z", "0000-01-01T00:00:00+23:59"];

#[test]
fn a_moment_is_told_or_not_read() {
    Cases(1_500).try_all(damaged(&MOMENTS), |bytes| text::is_a_moment(&bytes));
}

#[test]
fn a_duration_is_the_sum_of_what_was_typed() {
    let part = (0_u64..100, 0_u64..60, 0_u64..60, 0_u64..1_000);
    Cases(1_000).try_all(part, |(h, m, s, ms)| {
        let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1_000 + ms);
        assert_eq!(duration::parse(&format!("{h}h{m}m{s}s{ms}ms")), Ok(expected));
        assert_eq!(duration::parse(&format!("{h}h{m}m{s}.{ms:03}s")), Ok(expected));
        // Below a minute, what is printed says the same to ten milliseconds.
        let spoken = Duration::from_millis(s * 1_000 + ms);
        let again = duration::parse(&Spoken(spoken).to_string());
        assert!(again.is_ok_and(|again| again.abs_diff(spoken) < Duration::from_millis(10)));
    });
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
    Cases(2_500).try_all(damaged(&URLS), |bytes| text::is_a_url(&bytes));
}

const MAPPINGS: [&str; 5] = ["TERM:QUIT", "SIGUSR1:0", "RTMIN+3:rtmax-1", "15:9", "HUP:TERM"];

#[test]
fn a_mapping_concerns_a_signal_that_arrives_and_each_signal_once() {
    Cases(2_000).try_all(vec(damaged(&MAPPINGS), 0..4), |texts| {
        text::are_mappings(&texts.join(&b'\n'));
    });
}

#[test]
fn a_message_is_one_line_without_control_characters() {
    let texts = damaged(&["a\nb", "\u{1b}[31mred\u{1b}[0m", "\u{202e}abc"]);
    Cases(2_000).try_all(texts, |bytes| text::is_a_message(&bytes));
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
    Cases(600).try_all((vec(variable, 0..5), words), |(variables, words)| {
        let variables = variables.into_iter().map(|(at, value)| {
            let name = VARIABLES[at.index(VARIABLES.len())];
            [format!("MESHIM_{name}=").into_bytes(), value].concat()
        });
        text::are_settings(&words.into_iter().chain(variables).collect::<Vec<_>>().join(&0));
    });
}
