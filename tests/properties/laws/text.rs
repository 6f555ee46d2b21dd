//! What people type: it is read as it is printed, or refused with one line that names it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use meshim::config::{Input, Job, load};
use meshim::core::duration::{self, LONGEST, Spoken};
use meshim::core::endpoint::{Address, Endpoint, Host};
use meshim::core::findings::doctor::when;
use meshim::core::signal::Signal;
use meshim::core::stopping::signal_map::{Mapping, SignalMap};
use meshim::core::text::one_line;
use meshim::core::timestamp::rfc3339;

use super::is_one_line;

/// A duration is at most thirty days, or refused by name.
pub(crate) fn is_a_duration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match duration::parse(&text) {
        Ok(duration) => {
            assert!(duration <= LONGEST);
            assert!(duration::parse(&Spoken(duration).to_string()).is_ok());
        }
        Err(error) => assert!(error.to_string().contains(&*text)),
    }
}

/// A moment as certificates have it.
pub(crate) fn is_a_moment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(since_1970) = when::parse(&text) {
        assert!(is_one_line(&when::spoken(since_1970)));
        assert!(is_one_line(&rfc3339(since_1970)));
    }
}

/// A URL means the same when it is read back, and leads where it says.
pub(crate) fn is_a_url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let endpoint = match text.parse::<Endpoint>() {
        Ok(endpoint) => endpoint,
        Err(error) => {
            assert!(error.to_string().contains(&*text));
            return;
        }
    };
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

/// Mappings of signals, one a line: each concerns a signal that arrives, and each signal once.
pub(crate) fn are_mappings(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let mappings = lines.filter_map(|line| str::from_utf8(line).ok()?.parse().ok());
    let mappings: Vec<Mapping> = mappings.collect();
    let Ok(map) = SignalMap::of(&mappings) else { return };
    let all = (1..=64).filter_map(Signal::from_number);
    let changed = all.filter(|signal| map.delivered(*signal) != Some(*signal));
    let changed: Vec<Signal> = changed.collect();
    assert!(changed.iter().all(|signal| signal.can_be_forwarded()));
    assert!(changed.len() <= mappings.len());
}

/// A message is one line without control characters.
pub(crate) fn is_a_message(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = one_line(&text);
    assert!(is_one_line(&line));
    assert_eq!(one_line(&line), line.as_ref());
}

/// Settings of any kind are read, or refused in one line. Each entry ends with a NUL, as `/proc`
/// has command lines and environments: `MESHIM_NAME=value` is a variable, everything else an
/// argument.
pub(crate) fn are_settings(bytes: &[u8]) {
    let mut input = Input { args: vec!["meshim".into()], variables: Vec::new() };
    for entry in bytes.split(|byte| *byte == 0) {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        match entry.iter().position(|byte| *byte == b'=') {
            Some(at) if entry.starts_with(b"MESHIM_") => {
                input.variables.push((text(&entry[..at]), text(&entry[at + 1..])));
            }
            _ => input.args.push(text(entry)),
        }
    }
    match load(&input).job {
        Err(failure) => {
            assert!(is_one_line(&failure.sentence), "{failure:?}");
            assert!(!failure.sentence.is_empty() && failure.exit.code() == 125);
        }
        Ok(Job::Print(text)) => assert!(!text.is_empty()),
        Ok(_) => {}
    }
}
