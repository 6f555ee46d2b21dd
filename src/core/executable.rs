//! What the first bytes of a file say about what would run it, as the kernel reads them.
//!
//! Owns the forms: `#!` lines (`fs/binfmt_script.c`) and ELF headers (`elf(5)`); must never open a
//! file.

use std::fmt;

/// How much of a file is to be read: the kernel's own bound for a `#!` line is 256 bytes, and
/// linkers put the program headers right behind the ELF header.
pub const HEAD: usize = 4096;

/// The machine that this program is built for, as ELF numbers them.
pub const OWN: Machine = Machine(if cfg!(target_arch = "x86_64") {
    X86_64
} else if cfg!(target_arch = "aarch64") {
    AARCH64
} else {
    UNKNOWN
});

const UNKNOWN: u16 = 0;
const I386: u16 = 3;
const ARM: u16 = 40;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// A processor's architecture by its number in ELF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine(u16);

impl Machine {
    /// Does a kernel for `self` run programs for `other`? A 64-bit one may run those of the same
    /// family with 32 bits.
    fn may_run(self, other: Self) -> bool {
        self == other || matches!((self.0, other.0), (UNKNOWN, _) | (X86_64, I386) | (AARCH64, ARM))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            I386 => f.write_str("i386"),
            ARM => f.write_str("32-bit arm"),
            X86_64 => f.write_str("x86_64 (amd64)"),
            AARCH64 => f.write_str("aarch64 (arm64)"),
            number => write!(f, "another machine ({number})"),
        }
    }
}

/// What a file is to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executable {
    /// It runs it, with the help of this program where there is one.
    Native(Option<Vec<u8>>),
    /// It does not, unless it was taught to (`binfmt_misc`).
    Foreign(Foreign),
}

/// Why the kernel itself does not run a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A program for one machine on another one.
    Machine(Machine, Machine),
    /// A program for macOS.
    Macos,
    /// A program for Windows.
    Windows,
    /// Nothing is in it.
    Empty,
    /// A script behind the three bytes by which some editors mark UTF-8.
    Marked,
    /// No program, and no script that says what runs it.
    Unknown,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(its, own) => {
                write!(f, "it is built for {its}, and this is {own}; use the image for {own}")
            }
            Self::Macos => f.write_str("it is built for macOS; build it with GOOS=linux"),
            Self::Windows => f.write_str("it is built for Windows; build it for Linux"),
            Self::Empty => f.write_str("it is empty"),
            Self::Marked => f.write_str(
                "a byte order mark stands before its #!; save the script as UTF-8 without one",
            ),
            Self::Unknown => f.write_str(
                "it is no program for Linux (ELF), and does not begin with #!; begin a script \
                 with #!/bin/sh or the like, or name the shell: sh SCRIPT",
            ),
        }
    }
}

impl Executable {
    /// What begins with `head`, on a kernel for the machine `own`.
    #[must_use]
    pub fn of(head: &[u8], own: Machine) -> Self {
        if let Some(line) = head.strip_prefix(b"#!") {
            return Self::Native(interpreter(line));
        }
        let foreign = match head {
            [0x7f, b'E', b'L', b'F', ..] => match machine(head) {
                Some(its) if !own.may_run(its) => Foreign::Machine(its, own),
                _ => return Self::Native(elf_interpreter(head)),
            },
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => Foreign::Macos,
            [b'M', b'Z', ..] => Foreign::Windows,
            [0xef, 0xbb, 0xbf, b'#', b'!', ..] => Foreign::Marked,
            [] => Foreign::Empty,
            _ => Foreign::Unknown,
        };
        Self::Foreign(foreign)
    }
}

/// The program behind `#!`. A carriage return is part of its name.
fn interpreter(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| b" \t".contains(byte));
    words.find(|word| !word.is_empty()).map(<[u8]>::to_vec)
}

/// `e_machine`, in the byte order that the header names.
fn machine(head: &[u8]) -> Option<Machine> {
    let bytes = head.get(18..20)?.try_into().ok()?;
    let is_big_endian = head.get(5) == Some(&2);
    Some(Machine(if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
}

/// The dynamic loader, `PT_INTERP`, of a 64-bit little-endian ELF file, as both of our
/// architectures have it.
fn elf_interpreter(head: &[u8]) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let usize_at = |at, length| usize::try_from(number(at, length)?).ok();
    if head.get(4..6) != Some(&[2, 1]) {
        return None;
    }
    let (table, size, count) = (usize_at(32, 8)?, usize_at(54, 2)?, usize_at(56, 2)?);
    let program_header = (0..count).map(|index| table.saturating_add(index * size));
    let interp = program_header.into_iter().find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (offset, length) = (usize_at(interp + 8, 8)?, usize_at(interp + 32, 8)?);
    let path = head.get(offset..offset.checked_add(length)?)?;
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    (!path.is_empty()).then(|| path.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEL: Machine = Machine(X86_64);

    fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = [b"\x7fELF".as_slice(), &[class, order], &[0; 58]].concat();
        head[18..20].copy_from_slice(&machine);
        head
    }

    #[test]
    fn the_interpreter_of_a_script_is_what_follows_the_two_characters() {
        let table: [(&[u8], Option<&str>); 5] = [
            (b"#!/bin/sh\necho", Some("/bin/sh")),
            (b"#! /usr/bin/env bash -e\n", Some("/usr/bin/env")),
            (b"#!/bin/sh", Some("/bin/sh")),
            (b"#!/bin/sh\r\n", Some("/bin/sh\r")),
            (b"#!\n", None),
        ];
        for (head, expected) in table {
            let expected = Executable::Native(expected.map(|name| name.as_bytes().to_vec()));
            assert_eq!(Executable::of(head, OWN), expected, "{head:?}");
        }
    }

    #[test]
    fn a_program_for_another_machine_is_named_with_both() {
        let of = |class, order, machine| Executable::of(&elf(class, order, machine), INTEL);
        for native in [of(2, 1, [62, 0]), of(1, 1, [3, 0]), of(1, 1, [62, 0])] {
            assert_eq!(native, Executable::Native(None));
        }
        let table = [
            (of(2, 1, [183, 0]), "built for aarch64 (arm64), and this is x86_64 (amd64); use the"),
            (of(1, 1, [40, 0]), "built for 32-bit arm,"),
            (of(2, 2, [0, 22]), "built for another machine (22),"),
            (of(2, 1, [243, 0]), "built for another machine (243),"),
        ];
        for (found, part) in table {
            let Executable::Foreign(foreign) = found else { panic!("{part}") };
            assert!(foreign.to_string().contains(part), "{foreign}");
        }
        let on_arm = |machine| Executable::of(&elf(2, 1, machine), Machine(AARCH64));
        assert_eq!(on_arm([183, 0]), Executable::Native(None));
        assert!(matches!(on_arm([62, 0]), Executable::Foreign(_)));
    }

    #[test]
    fn what_no_kernel_runs_is_told_by_what_it_is() {
        let table: [(&[u8], Foreign); 7] = [
            (b"", Foreign::Empty),
            (b"echo started\n", Foreign::Unknown),
            (b"#", Foreign::Unknown),
            (b"\xef\xbb\xbf#!/bin/sh\n", Foreign::Marked),
            (b"MZ\x90\0", Foreign::Windows),
            (b"\xcf\xfa\xed\xfe\x07\0\0\x01", Foreign::Macos),
            (b"\x7fEL", Foreign::Unknown),
        ];
        for (head, expected) in table {
            assert_eq!(Executable::of(head, OWN), Executable::Foreign(expected), "{head:?}");
        }
    }

    #[test]
    fn garbage_behind_the_first_bytes_names_no_loader() {
        let garbage = [b"\x7fELF\x02\x01".as_slice(), &[0xff; 200]].concat();
        let mut garbage = garbage;
        garbage[18..20].copy_from_slice(&[62, 0]);
        for length in [4, 5, 6, 18, 19, 20, 60, 64, 206] {
            assert_eq!(Executable::of(&garbage[..length], INTEL), Executable::Native(None));
        }
    }
}
