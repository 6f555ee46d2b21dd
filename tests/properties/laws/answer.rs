//! Answers to a look: no bytes of a stranger make reading them fail to end, exceed the room, or
//! come to something else when they arrive in pieces.

use meshim::core::profile::Expect;
use meshim::core::waiting::observation::{self, Trust};
use meshim::io::http::response::{ROOM, Whole, read};

use super::{is_one_line, pieces};

pub(crate) fn is_read(bytes: &[u8]) {
    let closed = read(bytes, true);
    // Once no more comes, there is an answer or a fault.
    assert!(!matches!(closed, Ok(None)));
    for whole in [read(bytes, false), closed].into_iter().flatten().flatten() {
        is_an_answer(&whole);
    }
    stays_the_same_when_more_comes(bytes);
}

fn is_an_answer(Whole { answer, .. }: &Whole) {
    assert!(answer.body.len() <= ROOM);
    assert!((200..1_000).contains(&answer.status) || answer.status < 100);
    assert!(answer.server().is_none_or(is_one_line));
    for expect in [Expect::Ok, Expect::Healthy] {
        for trust in [Trust::Certain, Trust::Guessed] {
            let seen = observation::decode(expect, trust, Ok(answer.clone()));
            assert!(is_one_line(&seen.to_string()));
        }
        let _ = observation::proves(expect, answer);
    }
}

/// A poller asks after each piece; what was complete once is not taken for something else later.
fn stays_the_same_when_more_comes(bytes: &[u8]) {
    let mut before = 0;
    for piece in pieces(bytes) {
        if let Ok(Some(whole)) = read(&bytes[..before], false) {
            let later = read(bytes, false).map(|later| later.map(|whole| whole.answer));
            assert_eq!(later, Ok(Some(whole.answer)));
            break;
        }
        before += piece.len();
    }
}
