//! The first bytes of a file that somebody wants to start.

use meshim::core::executable::{Executable, OWN};

use super::is_one_line;

/// They are told apart: what would run them is a part of them, and a reason is one line.
pub(crate) fn is_told(head: &[u8]) {
    match Executable::of(head, OWN) {
        Executable::Native(None) => {
            assert!(head.starts_with(b"#!") || head.starts_with(b"\x7fELF"));
        }
        Executable::Native(Some(path)) => {
            assert!(!path.is_empty());
            assert!(head.windows(path.len()).any(|part| part == path));
            let ends = |byte: &u8| b" \t\n".contains(byte);
            assert!(head.starts_with(b"\x7fELF") || !path.iter().any(ends));
        }
        Executable::Foreign(foreign) => {
            assert!(!head.starts_with(b"#!"));
            assert!(is_one_line(&foreign.to_string()));
        }
    }
}
