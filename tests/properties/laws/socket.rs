//! What the kernel says about sockets. Its bytes are trusted to be well meant, not to be complete:
//! a kernel of tomorrow, a sandbox or a truncated read must not end a run.

use std::time::Duration;

use meshim::core::sockets::connection::Connection;
use meshim::core::sockets::diag::{connection_of, listener_of, messages};
use meshim::core::sockets::proc_line::{ProcLine, parse};
use meshim::core::stopping::idle::{ConnectionSample, Rule};
use meshim::core::stopping::unsent::Load;
use meshim::core::waiting::detection::{detect, suspect};

/// Lines of `/proc/net/tcp`.
pub(crate) fn are_lines(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mut listeners, mut connections) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match parse(line) {
            ProcLine::Listener(listener) => listeners.push(listener),
            ProcLine::Connection(connection) => connections.push(connection),
            ProcLine::Other => {}
        }
    }
    let _ = (detect(&listeners, &[]), suspect(&listeners, &[]));
    are_counted(&connections);
}

/// Messages of `sock_diag`.
pub(crate) fn are_messages(bytes: &[u8]) {
    let (mut listeners, mut connections) = (Vec::new(), Vec::new());
    let _ = messages(bytes, &mut |body| {
        listeners.extend(listener_of(body));
        connections.extend(connection_of(body));
    });
    let _ = (detect(&listeners, &[]), suspect(&listeners, &[]));
    are_counted(&connections);
}

fn are_counted(connections: &[Connection]) {
    let rule = Rule { quiet: Duration::from_secs(2) };
    let mut sample = ConnectionSample::default();
    for connection in connections {
        sample.add(rule, connection);
    }
    assert!(sample.at_work <= connections.len() as u64);
    assert!(sample.until.is_none_or(|until| until <= rule.quiet * 5 / 2));
    let load = Load::of(connections, &[0], Some(1337));
    assert!(load.unsent <= connections.len() as u64 * u64::from(u32::MAX));
    let _ = load.bytes();
}
