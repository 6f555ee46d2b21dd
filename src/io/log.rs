//! Events on stderr, as text or as one JSON object a line.
//!
//! Owns what is written; the form of a line is `line`'s. Must never write to stdout, fail, or end
//! anything: a closed stderr loses the line only.

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Level, Metadata, Subscriber, span};

use super::line::LogLine;
use super::stderr;

/// Every event up to a level, in one form. A subscriber of our own: a crate for it costs a tenth of
/// the binary.
#[derive(Debug)]
pub struct Stderr {
    level: Level,
    json: bool,
}

/// Sends all events of this process to stderr. Only the first call has an effect.
pub fn to_stderr(level: Level, json: bool) {
    // An error says that somebody installed another one before: then that one is wanted.
    let _ = tracing::subscriber::set_global_default(Stderr { level, json });
}

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("meshim")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = self.line(*event.metadata().level());
        event.record(&mut line);
        // One write a line, so that lines of several processes do not mix.
        stderr::write_line(&line.finish(), |lost| self.line(Level::WARN).about_lost_lines(lost));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Stderr {
    fn line(&self, level: Level) -> LogLine {
        if self.json {
            LogLine::json(level, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
        } else {
            LogLine::text(level)
        }
    }
}
