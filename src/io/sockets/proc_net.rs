//! The pod's TCP sockets as text: `/proc/net/tcp` and `tcp6`.
//!
//! Owns reading the files; a line is `core::sockets::proc_line`'s. Must never judge what it sees.
//! `sock_diag` tells the same faster, and more, where there is one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};

use crate::core::sockets::connection::{Connection, TcpState};
use crate::core::sockets::listener::Listener;
use crate::core::sockets::proc_line::{self, Line};

/// How many lines of a file are read: what a pod has, with room.
const MOST_LINES: usize = 200_000;

/// Every listening TCP socket of the pod.
///
/// # Errors
/// `/proc/net/tcp` cannot be read. A missing `tcp6` is none: the kernel may have no IPv6.
pub fn listening() -> std::io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    each_line(&mut |line| match line {
        Line::Listener(listener) => {
            listeners.push(listener);
            Reading::GoesOn
        }
        // The kernel lists listening sockets first: what follows the last one are connections,
        // maybe thousands.
        Line::Connection(_) => Reading::Done,
        Line::Other => Reading::GoesOn,
    })?;
    Ok(listeners)
}

/// Every connection of the pod, one by one, without what has moved on it; as `sock_diag` does,
/// those in `TIME_WAIT` are left out.
///
/// # Errors
/// As [`listening`].
pub fn connections(mut each: impl FnMut(Connection)) -> std::io::Result<()> {
    each_line(&mut |line| {
        match line {
            Line::Connection(connection) if TcpState::CONNECTED.contains(&connection.state) => {
                each(connection);
            }
            _ => {}
        }
        Reading::GoesOn
    })
}

/// Is the rest of a file worth reading?
enum Reading {
    GoesOn,
    Done,
}

fn each_line(each: &mut impl FnMut(Line) -> Reading) -> std::io::Result<()> {
    each_line_of("/proc/net/tcp", each)?;
    match each_line_of("/proc/net/tcp6", each) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

fn each_line_of(path: &str, each: &mut impl FnMut(Line) -> Reading) -> std::io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = String::new();
    for _ in 0..MOST_LINES {
        line.clear();
        let at_end = file.read_line(&mut line)? == 0;
        if at_end || matches!(each(proc_line::parse(&line)), Reading::Done) {
            return Ok(());
        }
    }
    Err(std::io::Error::other(format!("{path} has more than {MOST_LINES} lines")))
}
