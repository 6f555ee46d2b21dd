//! Splits a text page that arrives in pieces into lines.
//!
//! Owns the rest of the last piece; must never hold more than one line.

/// A page's lines as they become complete.
#[derive(Debug)]
pub struct Lines {
    rest: Vec<u8>,
    most: usize,
    is_too_long: bool,
}

impl Lines {
    /// Lines of at most `most` bytes; longer ones are passed over.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { rest: Vec::new(), most, is_too_long: false }
    }

    /// Takes in the next bytes; `each` gets every line that is complete and UTF-8, without its end.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.keep(piece);
            self.end(each);
        }
        self.keep(last);
    }

    /// Nothing more will come: the last line may have no end.
    pub fn finish(mut self, each: &mut dyn FnMut(&str)) {
        self.end(each);
    }

    fn keep(&mut self, piece: &[u8]) {
        self.is_too_long |= self.rest.len() + piece.len() > self.most;
        if !self.is_too_long {
            self.rest.extend_from_slice(piece);
        }
    }

    fn end(&mut self, each: &mut dyn FnMut(&str)) {
        if let Ok(line) = std::str::from_utf8(&self.rest)
            && !self.is_too_long
            && !line.trim().is_empty()
        {
            each(line.trim());
        }
        self.rest.clear();
        self.is_too_long = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_the_bytes_arrive() {
        let text = b"one: 1\r\n\ntwo: 2\na line that is too long\n\xff\xfe\nlast";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::new(10), Vec::new());
            for piece in text.chunks(size) {
                lines.feed(piece, &mut |line| found.push(line.to_owned()));
            }
            lines.finish(&mut |line| found.push(line.to_owned()));
            assert_eq!(found, ["one: 1", "two: 2", "last"], "{size}");
        }
    }
}
