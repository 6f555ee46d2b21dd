//! The report as text that a person reads in ten seconds: the verdict first, then the worst.
//!
//! Owns wrapping and colours; must never judge, and never print.

use crate::core::findings::doctor::diagnosis::Diagnosis;
use crate::core::findings::doctor::names::listed;
use crate::core::findings::doctor::report::{Blind, DoctorReport};
use crate::core::findings::finding::Severity;

/// Narrower than this nothing is readable.
const NARROWEST: usize = 40;

/// Wider than this nobody reads a line.
const WIDEST: usize = 120;

/// As many judges are named for one reason; `--output json` names all.
const MOST_JUDGES: usize = 6;

const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const GREEN: &str = "\u{1b}[1;32m";

/// How the text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// The terminal's columns; `None` leaves every line as long as it is.
    pub width: Option<usize>,
    /// Colours are wanted.
    pub colors: bool,
}

/// The whole report.
#[must_use]
pub fn text(report: &DoctorReport, style: TextStyle) -> String {
    let mut writer = TextWriter { style, text: String::new() };
    let color = match (report.has_errors(), report.count(Severity::Warning)) {
        (true, _) => RED,
        (false, 0) => GREEN,
        (false, _) => YELLOW,
    };
    writer.line(0, color, &report.verdict());
    writer.line(0, DIM, &report.subject.line());
    for diagnosis in &report.found {
        writer.text.push('\n');
        writer.diagnosis(diagnosis);
    }
    writer.blind(&report.blind);
    writer.text
}

struct TextWriter {
    style: TextStyle,
    text: String,
}

impl TextWriter {
    fn diagnosis(&mut self, diagnosis: &Diagnosis) {
        let finding = &diagnosis.finding;
        let color = match finding.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
            Severity::Info => BLUE,
        };
        let severity = finding.severity_name();
        let head = format!("{severity}: {} [{}]", finding.seen, finding.code);
        self.headed(color, severity.len() + 1, &head);
        self.line(2, "", &finding.why);
        let remedy = match (&diagnosis.resource, diagnosis.field) {
            (Some(resource), Some(field)) if !finding.remedy.contains(resource.as_str()) => {
                format!("{} ({resource}: {field})", finding.remedy)
            }
            (_, Some(field)) => format!("{} ({field})", finding.remedy),
            (_, None) => finding.remedy.clone(),
        };
        self.headed_at(2, BOLD, "fix:".len(), &format!("fix: {remedy}"));
        for line in diagnosis.snippet.iter().flat_map(|snippet| snippet.lines()) {
            // Copied as it stands: never wrapped.
            self.text += "      ";
            self.text += line;
            self.text.push('\n');
        }
    }

    /// One line a reason, with all who say it.
    fn blind(&mut self, blind: &[Blind]) {
        let mut reasons: Vec<(&str, bool, Vec<&str>)> = Vec::new();
        for one in blind {
            let known = reasons
                .iter_mut()
                .find(|(why, is_partial, _)| *why == one.why && *is_partial == one.is_partial);
            match known {
                Some((.., judges)) => judges.push(one.judge),
                None => reasons.push((&one.why, one.is_partial, vec![one.judge])),
            }
        }
        crate::core::sorted::sort_by_key(&mut reasons, |(_, is_partial, _)| *is_partial);
        for (at, (why, is_partial, judges)) in reasons.iter().enumerate() {
            if at == 0 {
                self.text.push('\n');
            }
            let verb = if *is_partial { "not all seen" } else { "could not look" };
            let more = judges.len().saturating_sub(MOST_JUDGES);
            let mut names: Vec<String> =
                judges.iter().take(MOST_JUDGES).map(|name| (*name).to_owned()).collect();
            if more > 0 {
                names.push(format!("{more} more"));
            }
            self.headed(DIM, verb.len() + 1, &format!("{verb}: {why} ({})", listed(names)));
        }
    }

    fn line(&mut self, indent: usize, color: &str, text: &str) {
        self.headed_at(indent, color, usize::MAX, text);
    }

    fn headed(&mut self, color: &str, head: usize, text: &str) {
        self.headed_at(0, color, head, text);
    }

    /// A paragraph of which the first bytes, or all, have a colour. What goes on below is indented
    /// by two more.
    fn headed_at(&mut self, indent: usize, color: &str, head: usize, text: &str) {
        let lines = wrapped(text, indent, self.style.width);
        let mut left = head;
        for (at, line) in lines.iter().enumerate() {
            self.text += &" ".repeat(if at == 0 { indent } else { indent + 2 });
            let colored = left.min(line.len());
            left = left.saturating_sub(line.len() + 1);
            if self.style.colors && !color.is_empty() && colored > 0 {
                self.text += color;
                self.text += &line[..colored];
                self.text += RESET;
                self.text += &line[colored..];
            } else {
                self.text += line;
            }
            self.text.push('\n');
        }
    }
}

/// Words of `text` in lines of that width; a word that is longer stays whole, so that it can be
/// copied.
fn wrapped(text: &str, indent: usize, width: Option<usize>) -> Vec<String> {
    let text = text.split('\n').collect::<Vec<&str>>().join(" ");
    let Some(width) = width.map(|width| width.clamp(NARROWEST, WIDEST)) else { return vec![text] };
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let indent = if lines.len() == 1 { indent } else { indent + 2 };
        let line = lines.last_mut().expect("there is one from the start");
        let needed = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            word.clone_into(line);
        } else if needed + indent <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::findings::check::CheckVerdict;
    use crate::core::findings::doctor::fixtures::{fixture, healthy, with_routes};
    use crate::core::findings::doctor::judges::judge;
    use crate::core::findings::doctor::pages::Pages;
    use crate::core::findings::report::CheckReport;

    fn report(pages: &Pages) -> DoctorReport {
        DoctorReport::of(pages, judge(pages), CheckVerdict::default())
    }

    #[test]
    fn the_verdict_is_the_first_line_and_the_worst_comes_next() {
        let pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        let text = text(&report(&pages), TextStyle::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NOT OK: 4 errors, 2 notes; all 25 judges could look");
        assert_eq!(lines[1], "istio unknown, Envoy 1.40.0, LIVE, up 3 h");
        assert!(lines[3].starts_with("error: the route /missing* of reviews.shop.svc"), "{text}");
        assert!(lines[3].ends_with("[route-to-missing-cluster]"), "{text}");
        assert_eq!(lines[4], "  so every such request gets a 503 without a body");
        assert!(lines[5].starts_with("  fix: VirtualService shop/reviews names subset v2-canary"));
        assert_eq!(lines[6], "      apiVersion: networking.istio.io/v1");
    }

    #[test]
    fn who_could_not_look_is_never_ok_in_check_or_doctor() {
        let pages = healthy();
        let blind = CheckVerdict { blind: vec!["a check"], ..CheckVerdict::default() };
        for (check, is_ok) in [(CheckVerdict::default(), true), (blind, false)] {
            let of_check = CheckReport { blind: check.blind.clone(), ..CheckReport::default() };
            assert_eq!(of_check.is_ok(), is_ok);
            let report = DoctorReport::of(&pages, judge(&pages), check);
            assert_eq!((report.is_ok(), report.has_errors()), (is_ok, false), "{report:?}");
        }
    }

    #[test]
    fn silence_is_never_health() {
        let mut pages = healthy();
        let why = crate::core::findings::doctor::diagnosis::NotSeen::Unread(
            "/certs",
            crate::core::envoy::unread::Unread::Locked,
        );
        pages.certs = Err(why);
        let text = text(&report(&pages), TextStyle::default());
        assert!(
            text.starts_with("nothing wrong seen, 2 notes; 2 of 25 could not look\n"),
            "{text}"
        );
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("could not look: /certs: 403"), "{text}");
        assert!(last.ends_with("(certificate and clock-skew)"), "{text}");
    }

    #[test]
    fn lines_fit_the_terminal_and_snippets_stay_whole() {
        let pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        for width in [40, 60, 100] {
            let style = TextStyle { width: Some(width), colors: false };
            let text = text(&report(&pages), style);
            let long = text
                .lines()
                .filter(|line| !line.starts_with("      "))
                .find(|line| line.chars().count() > width && line.trim().contains(' '));
            assert_eq!(long, None, "{width}");
            assert!(text.contains("      metadata: {name: reviews, namespace: shop}\n"));
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        let report = report(&pages);
        let plain = text(&report, TextStyle { width: Some(80), colors: false });
        let mut colored = text(&report, TextStyle { width: Some(80), colors: true });
        assert!(colored.starts_with("\u{1b}[1;31mNOT OK"));
        assert!(!plain.contains('\u{1b}'));
        for code in [RESET, BOLD, DIM, RED, YELLOW, BLUE, GREEN] {
            colored = colored.replace(code, "");
        }
        assert_eq!(colored, plain);
    }
}
