//! The heads of files that are to be started, damaged, and as they are written.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};

use meshim::core::executable::{Executable, OWN};

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, executable};

const HEADS: [&str; 6] = [
    "#!/bin/sh\necho",
    "#! \t/usr/bin/env bash -e\r\n",
    "\u{feff}#!/bin/sh\n",
    "MZ\0\0",
    "echo started\n",
    "",
];

#[test]
fn a_script_or_what_is_none_is_told_apart() {
    Cases(1_500).try_all(damaged(&HEADS), |head| executable::is_told(&head));
}

#[test]
fn what_a_script_names_is_what_would_run_it() {
    let line = ("[ \t]{0,3}", "[!-~]{1,40}", "([ \t][ -~]{0,20})?", any::<bool>());
    Cases(1_000).try_all(line, |(blanks, name, argument, is_cut)| {
        let end = if is_cut { "" } else { "\necho\n" };
        let head = format!("#!{blanks}{name}{argument}{end}");
        let expected = Executable::Native(Some(name.into_bytes()));
        assert_eq!(Executable::of(head.as_bytes(), OWN), expected, "{head:?}");
    });
}

/// A program for this machine, whose header `at` of several names this loader.
fn program(headers: usize, at: usize, loader: &[u8]) -> Vec<u8> {
    const HEADER: usize = 56;
    let mut head = vec![0; 64 + HEADER * headers];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18..20]
        .copy_from_slice(&(if cfg!(target_arch = "x86_64") { 62_u16 } else { 183 }).to_le_bytes());
    let (end, header) = (head.len(), 64 + HEADER * at);
    for (at, number) in [(32, 64), (header + 8, end), (header + 32, loader.len() + 1)] {
        head[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    for (at, number) in [(54, HEADER), (56, headers), (header, 3)] {
        head[at] = u8::try_from(number).expect("they are small");
    }
    [&head, loader, b"\0"].concat()
}

/// A program, its loader, and the loader's number among the headers.
fn programs() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let loader = vec(b'!'..=b'~', 1..40);
    (1..20_usize, loader).prop_flat_map(|(headers, loader)| {
        (0..headers, Just(loader))
            .prop_map(move |(at, loader)| (program(headers, at, &loader), loader))
    })
}

#[test]
fn the_loader_of_a_program_is_found_and_a_damaged_program_is_told_all_the_same() {
    Cases(500).try_all((programs(), vec((any::<u16>(), any::<u8>()), 0..6)), |(made, damage)| {
        let (mut head, loader) = made;
        assert_eq!(Executable::of(&head, OWN), Executable::Native(Some(loader)));
        for (at, byte) in damage {
            let at = usize::from(at) % head.len();
            head[at] = byte;
            executable::is_told(&head[..at]);
        }
        executable::is_told(&head);
    });
}
