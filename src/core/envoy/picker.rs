//! Picks the wanted parts out of a JSON object that arrives in pieces, and passes over the rest.
//!
//! Owns the scanning: which bytes belong to which path. What a part means is its page's; must never
//! hold more than one part, or wait for bytes.
//!
//! Why not `serde_json::from_reader`: it pulls bytes and would block a supervisor's only thread
//! while a proxy answers slowly. Here the bytes are pushed, as they come out of an async read, and
//! each part that is picked is small enough to be read by serde in one piece.

use crate::core::envoy::unread::Unread;

/// The way to a part: the names of members, and [`EACH`] for every element of an array.
pub type Path = &'static [&'static str];

/// Stands in a [`Path`] for every element of an array.
pub const EACH: &str = "*";

/// How deep JSON may be nested: serde's own limit, and above Envoy's, which is 100 (protobuf:
/// `json_util`).
const MOST_LEVELS: usize = 127;

/// As much of a member's name as is looked at; the names that are wanted are shorter.
const MOST_NAME: usize = 128;

/// Finds the parts at some paths, in the order in which they come.
#[derive(Debug)]
pub struct Picker {
    wanted: &'static [Path],
    most: usize,
    /// The objects and arrays that are open, the outermost first.
    levels: Vec<OpenValue>,
    next: NextToken,
    within: Within,
    /// The name of the member that is being read.
    name: Vec<u8>,
    part: Option<Part>,
    seen: usize,
}

/// An object or an array that is open.
#[derive(Debug)]
struct OpenValue {
    is_object: bool,
    /// Which of the wanted paths lead into it, one bit each.
    leads: u32,
}

/// A part whose end has not come yet.
#[derive(Debug)]
struct Part {
    path: Path,
    bytes: Vec<u8>,
    is_too_long: bool,
    /// How many levels were open where it began.
    level: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextToken {
    Value,
    ElementOrEnd,
    NameOrEnd,
    Name,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// What the next byte continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Structure,
    /// A string; as a name, it is kept.
    String {
        is_name: bool,
        is_escaped: bool,
    },
    /// A number, or `true`, `false`, `null`.
    Scalar,
}

impl Picker {
    /// One for these paths, at most 32 of which none leads into another. A part of more than `most`
    /// bytes is told without its bytes.
    #[must_use]
    pub const fn new(wanted: &'static [Path], most: usize) -> Self {
        Self {
            wanted,
            most,
            levels: Vec::new(),
            next: NextToken::Value,
            within: Within::Structure,
            name: Vec::new(),
            part: None,
            seen: 0,
        }
    }

    /// Takes in the next bytes. `each` gets every part that is complete: its path, and its JSON, or
    /// `None` where that is longer than wanted.
    ///
    /// # Errors
    /// The bytes are no JSON object.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Path, Option<&[u8]>),
    ) -> Result<(), Unread> {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            let run = self.plain_text(rest);
            if run > 0 {
                rest = self.take_text(rest, run);
                continue;
            }
            self.byte(*byte, each).ok_or_else(|| self.garbage("is not Envoy's JSON from"))?;
            self.seen += 1;
            rest = behind;
        }
        Ok(())
    }

    /// Nothing more will come.
    ///
    /// # Errors
    /// The object is not complete.
    pub fn finish(&self) -> Result<(), Unread> {
        if self.next == NextToken::Nothing {
            Ok(())
        } else {
            Err(self.garbage("is JSON that ends at"))
        }
    }

    fn garbage(&self, what: &str) -> Unread {
        Unread::Garbage(format!("the body {what} byte {}", self.seen))
    }

    /// How many of the next bytes only go on with a string: most of a page is that.
    fn plain_text(&self, bytes: &[u8]) -> usize {
        let Within::String { is_escaped: false, .. } = self.within else { return 0 };
        bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len())
    }

    /// Takes in that many bytes of a string at once; what is behind them.
    fn take_text<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let (text, behind) = bytes.split_at(count);
        if let Within::String { is_name: true, .. } = self.within {
            let room = (MOST_NAME + 1).saturating_sub(self.name.len());
            self.name.extend_from_slice(&text[..room.min(count)]);
        }
        if let Some(part) = &mut self.part {
            let room = self.most - part.bytes.len();
            part.bytes.extend_from_slice(&text[..room.min(count)]);
            part.is_too_long |= count > room;
        }
        self.seen += count;
        behind
    }

    /// `None` where no JSON goes on like that.
    fn byte(&mut self, byte: u8, each: &mut dyn FnMut(Path, Option<&[u8]>)) -> Option<()> {
        match self.within {
            Within::String { is_name, is_escaped } => {
                self.keep(byte);
                if is_name && byte != b'"' && self.name.len() <= MOST_NAME {
                    self.name.push(byte);
                }
                let is_escaped = match byte {
                    _ if is_escaped => false,
                    b'"' => {
                        self.within = Within::Structure;
                        if is_name {
                            self.next = NextToken::Colon;
                        } else {
                            self.end_value(each);
                        }
                        return Some(());
                    }
                    byte => byte == b'\\',
                };
                self.within = Within::String { is_name, is_escaped };
                Some(())
            }
            Within::Scalar if is_of_scalar(byte) => {
                self.keep(byte);
                Some(())
            }
            Within::Scalar => {
                self.within = Within::Structure;
                self.end_value(each);
                self.structure(byte, each)
            }
            Within::Structure => self.structure(byte, each),
        }
    }

    fn structure(&mut self, byte: u8, each: &mut dyn FnMut(Path, Option<&[u8]>)) -> Option<()> {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Some(());
        }
        match (self.next, byte) {
            (
                NextToken::NameOrEnd | NextToken::ElementOrEnd | NextToken::CommaOrEnd,
                b'}' | b']',
            ) => self.close(byte, each),
            (NextToken::NameOrEnd | NextToken::Name, b'"') => {
                self.keep(byte);
                self.name.clear();
                self.within = Within::String { is_name: true, is_escaped: false };
                Some(())
            }
            (NextToken::Colon, b':') => {
                self.keep(byte);
                self.next = NextToken::Value;
                Some(())
            }
            (NextToken::CommaOrEnd, b',') => {
                self.keep(byte);
                let is_object = self.levels.last()?.is_object;
                self.next = if is_object { NextToken::Name } else { NextToken::Value };
                Some(())
            }
            (NextToken::Value | NextToken::ElementOrEnd, _) => self.value(byte),
            _ => None,
        }
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8) -> Option<()> {
        // A page is an object.
        if self.levels.is_empty() && byte != b'{' {
            return None;
        }
        let leads = self.leads();
        if self.part.is_none() {
            let level = self.levels.len();
            let path = self.among(leads).find(|path| path.len() == level).copied();
            self.part =
                path.map(|path| Part { path, bytes: Vec::new(), is_too_long: false, level });
        }
        self.keep(byte);
        match byte {
            b'{' | b'[' if self.levels.len() < MOST_LEVELS => {
                let is_object = byte == b'{';
                // Inside a part there is nothing to look for.
                let leads = if self.part.is_some() { 0 } else { leads };
                self.levels.push(OpenValue { is_object, leads });
                self.next = if is_object { NextToken::NameOrEnd } else { NextToken::ElementOrEnd };
            }
            b'"' => self.within = Within::String { is_name: false, is_escaped: false },
            byte if is_of_scalar(byte) => self.within = Within::Scalar,
            _ => return None,
        }
        Some(())
    }

    /// Which paths lead to the value that begins here.
    fn leads(&self) -> u32 {
        let Some(level) = self.levels.last() else { return u32::MAX };
        let at = self.levels.len() - 1;
        let is_next = |step: &str| {
            if level.is_object { step.as_bytes() == self.name } else { step == EACH }
        };
        let mut leads = 0;
        for (index, path) in self.wanted.iter().enumerate() {
            let bit = 1_u32 << index;
            if level.leads & bit != 0 && path.get(at).is_some_and(|step| is_next(step)) {
                leads |= bit;
            }
        }
        leads
    }

    fn among(&self, leads: u32) -> impl Iterator<Item = &Path> {
        let each = self.wanted.iter().enumerate();
        each.filter(move |(index, _)| leads & (1_u32 << index) != 0).map(|(_, path)| path)
    }

    fn close(&mut self, byte: u8, each: &mut dyn FnMut(Path, Option<&[u8]>)) -> Option<()> {
        let closed = self.levels.pop()?;
        if closed.is_object != (byte == b'}') {
            return None;
        }
        self.keep(byte);
        self.end_value(each);
        Some(())
    }

    /// A value has ended; if it is the part, it is told.
    fn end_value(&mut self, each: &mut dyn FnMut(Path, Option<&[u8]>)) {
        self.next = if self.levels.is_empty() { NextToken::Nothing } else { NextToken::CommaOrEnd };
        if let Some(part) = self.part.take_if(|part| part.level == self.levels.len()) {
            each(part.path, (!part.is_too_long).then_some(&part.bytes));
        }
    }

    fn keep(&mut self, byte: u8) {
        let Some(part) = &mut self.part else { return };
        if part.bytes.len() < self.most {
            part.bytes.push(byte);
        } else {
            part.is_too_long = true;
        }
    }
}

const fn is_of_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests;
