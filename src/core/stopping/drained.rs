//! How draining ended, in words.
//!
//! Owns the sentences, which name the weaker source where it decided, with what it cannot see. Must
//! never judge.

use std::time::Duration;

use crate::core::duration::Spoken;
use crate::core::stopping::drain::{DrainEnd, Left, Witnesses};

/// The sentence for `reason`; `quiet` is `--drain-quiet`.
#[must_use]
pub fn sentence(reason: &DrainEnd, quiet: Duration) -> String {
    match reason {
        DrainEnd::Idle(witnesses) => idle(witnesses, quiet),
        DrainEnd::OutOfTime(left) => out_of_time(*left),
    }
}

fn idle(witnesses: &Witnesses, quiet: Duration) -> String {
    let gone = if witnesses.proxy_is_gone { "the proxy is gone, and " } else { "" };
    match (witnesses.counters, witnesses.kernel) {
        (Some(_), Some(_)) => "drained: no request is in flight".to_owned(),
        (Some(_), None) => "drained: no request is in flight, by the proxy's counters alone; \
                            requests that do not come through it cannot be seen"
            .to_owned(),
        (None, Some(sample)) if sample.open == 0 => {
            format!("drained: {gone}no connection to the application is open")
        }
        (None, _) => format!(
            "drained: {gone}no connection to the application is at work, by the kernel alone, \
             which cannot see a request on a stream that is quiet for longer than {} \
             (--drain-quiet)",
            Spoken(quiet)
        ),
    }
}

fn out_of_time(left: Left) -> String {
    let counted = [
        (left.requests, "request", "requests", " in the proxy"),
        (left.connections.filter(|count| *count > 0), "TCP connection", "TCP connections", ""),
        (left.at_work, "connection", "connections", " of the application at work"),
    ];
    let counted = counted.into_iter().filter_map(|(count, one, many, what)| {
        count.map(|count| format!("{count} {}{what}", if count == 1 { one } else { many }))
    });
    let counted: Vec<String> = counted.collect();
    let Left { requests, connections, at_work } = left;
    if counted.is_empty() {
        "draining is over; what is in flight could not be seen".to_owned()
    } else if [requests, connections, at_work].iter().all(|count| count.unwrap_or(0) == 0) {
        "draining is out of time (--drain-max): nothing is in flight at this moment, but \
         something was just before"
            .to_owned()
    } else {
        format!("draining is out of time (--drain-max), with {}", counted.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::stopping::drain::CounterSource;
    use crate::core::stopping::idle::ConnectionSample;

    fn said(reason: &DrainEnd) -> String {
        sentence(reason, Duration::from_secs(2))
    }

    #[test]
    fn the_weaker_source_is_named_where_it_decided() {
        let open = |open| Some(ConnectionSample { open, ..ConnectionSample::default() });
        let stats = Some(CounterSource::Stats);
        let idle = |counters, kernel, proxy_is_gone| {
            said(&DrainEnd::Idle(Witnesses { counters, kernel, proxy_is_gone }))
        };
        assert_eq!(idle(stats, open(3), false), "drained: no request is in flight");
        assert!(idle(stats, None, false).contains("by the proxy's counters alone"));
        let quiet = idle(None, open(3), false);
        assert!(
            quiet.contains("by the kernel alone") && quiet.contains("longer than 2s"),
            "{quiet}"
        );
        let none = idle(None, open(0), true);
        assert_eq!(
            none,
            "drained: the proxy is gone, and no connection to the application is open"
        );
    }

    #[test]
    fn what_is_left_is_counted() {
        let left = Left { requests: Some(1), connections: Some(2), at_work: Some(0) };
        let sentence = said(&DrainEnd::OutOfTime(left));
        for part in ["1 request in the proxy", "2 TCP connections", "0 connections of the app"] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        assert!(said(&DrainEnd::OutOfTime(Left::default())).contains("could not be seen"));
        let between = Left { requests: Some(0), connections: Some(0), at_work: None };
        assert!(said(&DrainEnd::OutOfTime(between)).contains("something was just before"));
    }
}
