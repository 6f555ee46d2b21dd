//! What the system's errors mean, as a [`Fault`]: one rule for both transports.
//!
//! Owns how connecting can fail; must never connect.

use std::io::{Error, ErrorKind};

use nix::libc;

use crate::core::answer::Fault;

/// Why a connection did not come about.
#[must_use]
pub fn of_connecting(error: &Error) -> Fault {
    match error.kind() {
        // A pod without IPv6 has no ::1: nobody listens there either.
        ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable => Fault::Refused,
        ErrorKind::NotFound => Fault::NoSocket,
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Fault::Refused,
        // Where a Unix socket's backlog is full, its server has not come to accept anybody for a
        // while.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Fault::Silent,
        _ if matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
        ) =>
        {
            Fault::Exhausted(error.to_string())
        }
        _ => Fault::Unreachable(error.to_string()),
    }
}

/// Which fault of an endpoint with several addresses (`localhost`) is told, after `earlier` ones at
/// some and `next` at another: the first that is more than "nobody listens there".
#[must_use]
pub fn of_several(earlier: Option<Fault>, next: Fault) -> Fault {
    match earlier {
        None | Some(Fault::Refused) => next,
        Some(earlier) => earlier,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_told_from_somebody_who_cannot_be_reached() {
        let of = |number| of_connecting(&Error::from_raw_os_error(number));
        assert_eq!(of(libc::ENOENT), Fault::NoSocket);
        for nobody in [libc::ECONNREFUSED, libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT] {
            assert_eq!(of(nobody), Fault::Refused, "{nobody}");
        }
        for silent in [libc::ETIMEDOUT, libc::EAGAIN] {
            assert_eq!(of(silent), Fault::Silent, "{silent}");
        }
        for passing in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS] {
            assert!(matches!(of(passing), Fault::Exhausted(_)), "{passing}");
        }
        for unreachable in [libc::EACCES, libc::EPERM, libc::ENETUNREACH] {
            assert!(matches!(of(unreachable), Fault::Unreachable(_)), "{unreachable}");
        }
    }

    #[test]
    fn of_several_addresses_the_first_fault_that_says_more_is_told() {
        let denied = || Fault::Unreachable("denied".to_owned());
        assert_eq!(of_several(None, Fault::Refused), Fault::Refused);
        assert_eq!(of_several(Some(Fault::Refused), denied()), denied());
        assert_eq!(of_several(Some(denied()), Fault::Refused), denied());
        assert_eq!(of_several(Some(denied()), Fault::Silent), denied());
    }
}
