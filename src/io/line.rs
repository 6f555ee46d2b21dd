//! One event as one line: text for people, or a JSON object.
//!
//! Owns the form; must never write anything. docs/logs.md says what the fields mean.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tracing::Level;
use tracing::field::{Field, Visit};

use crate::core::duration::Spoken;
use crate::core::signal::Signal;
use crate::core::text::{is_unsafe, one_line};
use crate::core::timestamp::rfc3339;

/// What becomes of the fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineForm {
    /// All are members of the object.
    Json,
    /// They stand behind the message, durations as people say them.
    Text,
    /// A warning or an error says everything in its sentence, and has none behind it.
    Sentence,
}

/// A line while it is written: the message comes first, whatever the order of the fields.
pub(super) struct LogLine {
    form: LineForm,
    head: String,
    message: String,
    fields: String,
}

impl LogLine {
    /// `meshim: warning: …`: what somebody who reads along needs. The container runtime
    /// puts the time before each line.
    pub(super) fn text(level: Level) -> Self {
        let word = match level {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            _ => "debug: ",
        };
        let form = if level <= Level::WARN { LineForm::Sentence } else { LineForm::Text };
        Self::beginning(form, format!("meshim: {word}"))
    }

    /// `{"time":"…","level":"warn","msg":"…", …}`
    pub(super) fn json(level: Level, since_1970: Duration) -> Self {
        let word = level.as_str().to_ascii_lowercase();
        let time = rfc3339(since_1970);
        Self::beginning(
            LineForm::Json,
            format!("{{\"time\":\"{time}\",\"level\":\"{word}\",\"msg\":"),
        )
    }

    const fn beginning(form: LineForm, head: String) -> Self {
        Self { form, head, message: String::new(), fields: String::new() }
    }

    /// The whole line, with its new line at the end and without any other.
    pub(super) fn finish(self) -> String {
        let Self { form, head, message, fields } = self;
        if form == LineForm::Json {
            format!("{head}{}{fields}}}\n", quoted(&message))
        } else {
            format!("{head}{}{fields}\n", one_line(&message))
        }
    }

    /// The line that no event is behind.
    pub(super) fn about_lost_lines(mut self, lost: u64) -> String {
        self.message = format!("{lost} lines were lost, since nobody read stderr");
        self.push("event", "\"lines_lost\"");
        self.push("lost", &lost.to_string());
        self.finish()
    }

    fn text_field(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "event" if self.form == LineForm::Text => {}
            name if is_plain(value) && self.form == LineForm::Text => self.push(name, value),
            name => self.push(name, &quoted(value)),
        }
    }

    /// Numbers stay numbers for machines. People read `waited_ms` as a duration, and a signal by
    /// its name.
    fn number(&mut self, field: &Field, value: u64) {
        let name = field.name();
        let signal = i32::try_from(value).ok().and_then(Signal::from_number);
        if let (LineForm::Text, "signal", Some(signal)) = (self.form, name, signal) {
            return self.push(name, &signal.to_string());
        }
        match name.strip_suffix("_ms") {
            Some(name) if self.form == LineForm::Text => {
                self.push(name, &Spoken(Duration::from_millis(value)).to_string());
            }
            _ => self.push(name, &value.to_string()),
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        let _ = match self.form {
            LineForm::Json => write!(self.fields, ",\"{name}\":{value}"),
            LineForm::Text => write!(self.fields, " {name}={value}"),
            LineForm::Sentence => Ok(()),
        };
    }
}

/// Can it stand in a text line as it is?
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && !value.contains(|letter: char| is_unsafe(letter) || " \"=".contains(letter))
}

/// A JSON string, which keeps a text line in one line, too. JSON itself escapes but the characters
/// below U+0020; this escapes all that does not show as what it is.
fn quoted(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    if !quoted.contains(is_unsafe) {
        return quoted;
    }
    let mut escaped = String::with_capacity(quoted.len() + 8);
    for letter in quoted.chars() {
        if is_unsafe(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text_field(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text_field(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.number(field, value),
            Err(_) => self.push(field.name(), &value.to_string()),
        }
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field.name(), if value { "true" } else { "false" });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;

    /// Writes each event down in both forms.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(String, String)>>>);

    impl Subscriber for Kept {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn event(&self, event: &Event<'_>) {
            let level = *event.metadata().level();
            let mut forms = [
                LogLine::text(level),
                LogLine::json(level, Duration::from_millis(1_795_541_465_042)),
            ];
            for form in &mut forms {
                event.record(form);
            }
            let [text, json] = forms.map(LogLine::finish);
            self.0.lock().unwrap().push((text, json));
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn lines_of(event: impl FnOnce()) -> (String, String) {
        let kept = Kept::default();
        with_default(kept.clone(), event);
        let mut lines = kept.0.lock().unwrap();
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    #[test]
    fn people_read_durations_and_names_and_machines_read_numbers() {
        let (text, json) = lines_of(|| {
            let (waited_ms, looks) = (2_314_u64, 182_u32);
            tracing::info!(event = "ready", mesh = %"istio", waited_ms, looks, "it is ready");
        });
        assert_eq!(text, "meshim: it is ready mesh=istio waited=2.31s looks=182\n");
        let expected = "{\"time\":\"2026-11-24T17:31:05.042Z\",\"level\":\"info\",\
                        \"msg\":\"it is ready\",\"event\":\"ready\",\"mesh\":\"istio\",\
                        \"waited_ms\":2314,\"looks\":182}\n";
        assert_eq!(json, expected);

        let (text, json) = lines_of(|| {
            tracing::info!(event = "stop_signal", signal = 15, left = -1, all = true, "stopping");
        });
        assert_eq!(text, "meshim: stopping signal=SIGTERM left=-1 all=true\n");
        assert!(json.ends_with("\"signal\":15,\"left\":-1,\"all\":true}\n"), "{json}");
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let (text, json) = lines_of(|| {
            tracing::info!(event = "waiting", timeout_ms = None::<u64>, "waiting");
        });
        assert_eq!(text, "meshim: waiting\n");
        assert!(!json.contains("timeout"), "{json}");
    }

    #[test]
    fn a_line_is_one_line_whatever_stands_in_it() {
        let (text, json) = lines_of(|| {
            tracing::error!(
                event = "failed",
                path = "/a\nb",
                empty = "",
                "no \u{1b}[2Jscreen\nhere"
            );
        });
        assert_eq!(text, "meshim: error: no \\u{1b}[2Jscreen\\nhere\n");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["msg"], "no \u{1b}[2Jscreen\nhere");
        assert_eq!((json.matches('\n').count(), object["path"].as_str()), (1, Some("/a\nb")));
        let (text, json) = lines_of(|| {
            tracing::info!(event = "failed", path = "/\u{202e}b\u{e0041}", "here\u{2028}there");
        });
        assert_eq!(text, "meshim: here\\u{2028}there path=\"/\\u202eb\\udb40\\udc41\"\n");
        assert!(json.is_ascii(), "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["msg"], "here\u{2028}there");
        assert_eq!(object["path"], "/\u{202e}b\u{e0041}");
    }
}
