//! Every page of a proxy: whatever arrives, in whatever pieces, reading it ends, keeps to its
//! bounds, and comes to the same as if it had arrived at once.

use std::fmt::Debug;

use meshim::core::envoy::json::{self, Json};
use meshim::core::envoy::lines;
use meshim::core::envoy::page::Page;
use meshim::core::envoy::picker::{self, Picker};
use meshim::core::envoy::state::State;
use meshim::core::envoy::unread::Unread;
use meshim::core::metrics::sample::Sample;

use super::{is_one_line, pieces};

/// What a page comes to when it arrives in these pieces.
pub(crate) fn read<P: Page>(pieces: &[&[u8]]) -> Result<P::Content, Unread> {
    let mut page = P::begin();
    for piece in pieces {
        page.take(piece)?;
        if page.has_enough() {
            break;
        }
    }
    page.end()
}

pub(crate) fn is_read<P: Page>(bytes: &[u8])
where
    P::Content: Debug,
{
    let at_once = read::<P>(&[bytes]);
    let in_pieces = read::<P>(&pieces(bytes));
    // In pieces, a page that has enough does not see what is wrong behind that.
    if at_once.is_ok() {
        assert_eq!(format!("{at_once:?}"), format!("{in_pieces:?}"));
    }
    if let Err(why) = at_once {
        assert!(is_one_line(&why.to_string()));
    }
}

/// What a picker is asked for here, and how long a part may be.
const WANTED: &[picker::Path] = &[&["a"], &["b", picker::EACH], &["node", "metadata"]];
const MOST: usize = 24;

/// A picked part is JSON and within its bound.
pub(crate) fn is_picked(bytes: &[u8]) {
    let (ended, parts) = pick(&[bytes]);
    assert_eq!(&pick(&pieces(bytes)), &(ended.clone(), parts.clone()));
    assert!(parts.iter().flatten().all(|part| part.len() <= MOST));
    // What is JSON for everybody is JSON for us, and every part of it is, too.
    if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok() {
        assert_eq!(ended, Ok(()));
        for part in parts.iter().flatten() {
            assert!(serde_json::from_slice::<serde_json::Value>(part).is_ok());
        }
    }
}

fn pick(pieces: &[&[u8]]) -> (Result<(), String>, Vec<Option<Vec<u8>>>) {
    let mut picker = Picker::new(WANTED, MOST);
    let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
    let mut keep = |_: picker::Path, part: Option<&[u8]>| {
        parts.push(part.map(<[u8]>::to_vec));
    };
    let fed = pieces.iter().try_for_each(|piece| picker.feed(piece, &mut keep));
    let ended = fed.and_then(|()| picker.finish());
    (ended.map_err(|error| error.to_string()), parts)
}

/// A part of a page, taken for whatever it may be.
pub(crate) fn is_walked(bytes: &[u8]) {
    for first in 0..WAYS {
        let mut way = first;
        let _ = json::read(bytes, &mut |part| walk(part, &mut way));
    }
}

/// How many ways there are to take a part.
const WAYS: usize = 7;

fn walk(part: Json<'_>, way: &mut usize) {
    *way = way.wrapping_mul(5).wrapping_add(3);
    match *way / 8 % WAYS {
        0 => _ = part.number(),
        1 => _ = part.millionths(),
        2 => _ = part.flag(),
        3 => part.with_text(&mut |text| assert!(is_one_line(&json::clean(text)))),
        4 => part.at(&["a", "b"], &mut |inner| walk(inner, way)),
        5 => part.items(&mut |item| walk(item, way)),
        _ => _ = part.fields(&mut |_, field| walk(field, way)),
    }
}

/// As much of a line as a page of text takes here.
const LINE: usize = 100;

/// Lines come whole and within their bound, and samples come out of them.
pub(crate) fn is_text(bytes: &[u8]) {
    let lines = lines_of(&[bytes]);
    assert_eq!(&lines_of(&pieces(bytes)), &lines);
    for line in &lines {
        assert!(line.len() <= LINE && !line.contains('\n'));
        if let Some(sample) = Sample::read(line) {
            let _ = (sample.count(), sample.label("tls"), sample.label(""));
        }
    }
    assert!(is_one_line(&State::of(bytes).to_string()));
}

fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
    let mut lines = lines::Lines::new(LINE);
    let mut seen: Vec<String> = Vec::new();
    let mut each = |line: &str| seen.push(line.to_owned());
    for piece in pieces {
        lines.feed(piece, &mut each);
    }
    lines.finish(&mut each);
    seen
}
