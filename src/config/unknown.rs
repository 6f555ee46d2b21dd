//! Names that meshim does not know, and the one that was probably meant.
//!
//! Owns what is alike, and which variables Kubernetes has made; must never make a run fail.

use super::input::Input;
use super::note::Note;
use crate::cli::VARIABLES;
use crate::core::text::one_line;

/// The same bound as clap's for options: below it, names have little in common.
const ALIKE: f64 = 0.7;

/// One line for each `MESHIM_*` that is no setting. An empty one counts as unset.
pub(super) fn notes(input: &Input) -> Vec<Note> {
    let named = input.own_variables().filter(|(_, value)| !value.is_empty());
    let unknown = named.filter(|(name, _)| !VARIABLES.contains(name) && !is_kubernetes(name));
    unknown
        .map(|(name, _)| {
            let advice = nearest(name, VARIABLES.iter().copied()).map_or_else(
                || "see meshim --help".to_owned(),
                |meant| format!("did you mean MESHIM_{meant}?"),
            );
            let name = one_line(name);
            Note::Unknown(format!("MESHIM_{name} is no variable that meshim knows; {advice}"))
        })
        .collect()
}

/// The one that is most like `name`, where any is alike.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::jaro(name, known), known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score > ALIKE).map(|(_, known)| known)
}

/// Is it `(.*_)?(SERVICE_(HOST|PORT.*)|PORT(_.*)?)`? Kubernetes gives each container variables for
/// each Service: a Service `meshim-web` makes `MESHIM_WEB_SERVICE_HOST` and `MESHIM_WEB_PORT`
/// (kubernetes: `pkg/kubelet/envvars`).
fn is_kubernetes(name: &str) -> bool {
    let ends = |rest: &str| {
        rest == "SERVICE_HOST"
            || rest.starts_with("SERVICE_PORT")
            || rest == "PORT"
            || rest.starts_with("PORT_")
    };
    ends(name) || name.match_indices('_').any(|(at, _)| ends(&name[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Vec<Note> {
        notes(&Input::of(&[], &[(name, value)]))
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_likely_name() {
        let table = [
            ("TIMEOT", "did you mean MESHIM_TIMEOUT?"),
            ("DRAIN_MAXIMUM", "did you mean MESHIM_DRAIN_MAX?"),
            ("QUIT_URLS", "did you mean MESHIM_QUIT_URL?"),
            ("OKEXIT", "did you mean MESHIM_OK_EXIT?"),
            ("timeout", "see meshim --help"),
            ("X", "see meshim --help"),
        ];
        for (name, advice) in table {
            let expected = format!("MESHIM_{name} is no variable that meshim knows; {advice}");
            assert_eq!(told(&format!("MESHIM_{name}"), "1"), [Note::Unknown(expected)]);
        }
    }

    #[test]
    fn what_is_known_empty_or_somebody_elses_is_not_told() {
        for name in VARIABLES {
            assert_eq!(told(&format!("MESHIM_{name}"), "x"), [], "{name}");
        }
        assert_eq!(told("MESHIM_TIMEOT", ""), []);
        assert_eq!(told("MESHIMTIMEOUT", "1s"), []);
    }

    #[test]
    fn kubernetes_own_variables_are_no_misspellings() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_80_TCP",
            "PORT_80_TCP_ADDR",
            "WEB_SERVICE_HOST",
            "MY_WEB_SERVICE_PORT_HTTPS",
            "WEB_PORT",
            "WEB_PORT_8080_TCP_PROTO",
        ] {
            assert!(is_kubernetes(name), "{name}");
        }
        for name in ["SERVICE", "SERVICE_HOSTS", "REPORT", "PORTS", "HOST", "TRANSPORT_X"] {
            assert!(!is_kubernetes(name), "{name}");
        }
    }
}
