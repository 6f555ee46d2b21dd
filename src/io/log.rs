//! Events on stderr, as text or as one JSON object a line.
//!
//! Owns the form of a line; must never write to stdout, fail, or end anything: a closed stderr
//! loses the line only.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

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
        stderr::write_line(&line.finish(), |lost| {
            let mut line = self.line(Level::WARN);
            line.message = format!("{lost} lines were lost, since nobody read stderr");
            line.finish()
        });
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
    fn line(&self, level: Level) -> Line {
        if self.json { Line::json(level) } else { Line::text(level) }
    }
}

/// One line while it is written: the message first, then the fields.
struct Line {
    json: bool,
    head: String,
    message: String,
    fields: String,
}

impl Line {
    fn text(level: Level) -> Self {
        let word = match level {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            _ => "debug: ",
        };
        Self {
            json: false,
            head: format!("meshim: {word}"),
            message: String::new(),
            fields: String::new(),
        }
    }

    /// `ts` is Unix time in seconds, as the loggers of the field (zap, pilot-agent) have it.
    fn json(level: Level) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let word = level.as_str().to_ascii_lowercase();
        let head = format!(
            "{{\"ts\":{}.{:03},\"level\":\"{word}\",\"logger\":\"meshim\"",
            now.as_secs(),
            now.subsec_millis()
        );
        Self { json: true, head, message: String::new(), fields: String::new() }
    }

    fn finish(self) -> String {
        if self.json {
            format!("{},\"message\":{}{}}}\n", self.head, quoted(&self.message), self.fields)
        } else {
            format!("{}{}{}\n", self.head, self.message, self.fields)
        }
    }

    fn push(&mut self, field: &Field, value: &str, is_text: bool) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        let bare = if self.json {
            !is_text
        } else {
            !value.is_empty() && !value.contains([' ', '"', '='])
        };
        let value = if bare { value.to_owned() } else { quoted(value) };
        let _ = if self.json {
            write!(self.fields, ",\"{}\":{value}", field.name())
        } else {
            write!(self.fields, " {}={value}", field.name())
        };
    }
}

/// A JSON string, which keeps a text line in one line, too.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, &format!("{value:?}"), true);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value, true);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, &value.to_string(), false);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, &value.to_string(), false);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, &value.to_string(), false);
    }
}
