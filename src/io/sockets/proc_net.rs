//! The pod's TCP sockets as text: `/proc/net/tcp` and `tcp6`.
//!
//! Owns reading the files; a line is `core::sockets::proc_line`'s. Must never judge what it sees.
//! `sock_diag` tells the same faster, and more, where there is one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::ops::ControlFlow;

use crate::core::sockets::connection::{Connection, TcpState};
use crate::core::sockets::listener::Listener;
use crate::core::sockets::proc_line::{self, ProcLine};

/// How many lines of a file are read: what a pod has, with room.
const MOST_LINES: usize = 200_000;

/// Every listening TCP socket of the pod.
///
/// # Errors
/// `/proc/net/tcp` cannot be read. A missing `tcp6` is none: the kernel may have no IPv6.
pub fn listening() -> std::io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    each_line(&mut |line| match line {
        ProcLine::Listener(listener) => {
            listeners.push(listener);
            ControlFlow::Continue(())
        }
        // The kernel lists listening sockets first: what follows the last one are connections,
        // maybe thousands.
        ProcLine::Connection(_) => ControlFlow::Break(()),
        ProcLine::Other => ControlFlow::Continue(()),
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
            ProcLine::Connection(connection) if TcpState::CONNECTED.contains(&connection.state) => {
                each(connection);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })
}

/// `each` breaks where the rest of its file is not worth reading.
fn each_line(each: &mut impl FnMut(ProcLine) -> ControlFlow<()>) -> std::io::Result<()> {
    each_line_of("/proc/net/tcp", each)?;
    match each_line_of("/proc/net/tcp6", each) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

fn each_line_of(
    path: &str,
    each: &mut impl FnMut(ProcLine) -> ControlFlow<()>,
) -> std::io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = String::new();
    for _ in 0..MOST_LINES {
        line.clear();
        let at_end = file.read_line(&mut line)? == 0;
        if at_end || each(proc_line::parse(&line)).is_break() {
            return Ok(());
        }
    }
    Err(std::io::Error::other(format!("{path} has more than {MOST_LINES} lines")))
}
