//! Variables of other helpers that meshim takes the place of: they do nothing here, and that is
//! said.
//!
//! Owns the table, which docs/migrating.md explains; must never give such a variable a meaning.

use super::input::Input;
use super::note::Note;

/// One variable of another helper.
#[derive(Clone, Copy, Debug)]
pub struct Leftover {
    /// Its whole name.
    pub name: &'static str,
    /// Whose it is.
    pub helper: &'static str,
    /// What meshim calls it, as the rest of a sentence.
    pub here: &'static str,
    /// The variable of meshim without `MESHIM_` that has its place: where that one is set, somebody
    /// has moved on, and nothing is said.
    pub replaced_by: &'static str,
}

const fn row(
    name: &'static str,
    helper: &'static str,
    replaced_by: &'static str,
    here: &'static str,
) -> Leftover {
    Leftover { name, helper, here, replaced_by }
}

const SCUTTLE: &str = "scuttle";
const PREFLIGHT: &str = "envoy-preflight";
const AWAIT: &str = "linkerd-await";
const KUBEXIT: &str = "kubexit";

/// By name, for the search.
pub const LEFTOVERS: &[Leftover] = &[
    row("ALWAYS_KILL_ENVOY", PREFLIGHT, "QUIT", "write MESHIM_QUIT=always"),
    row("DUMB_INIT_SETSID", "dumb-init", "SIGNAL_GROUP", "write MESHIM_SIGNAL_GROUP"),
    row(
        "ENVOY_ADMIN_API",
        SCUTTLE,
        "ADMIN_URL",
        "the proxy is found by itself; MESHIM_ADMIN_URL where its admin API is elsewhere",
    ),
    row("ENVOY_KILL_API", PREFLIGHT, "QUIT_URL", "write MESHIM_QUIT, and MESHIM_QUIT_URL"),
    row("GENERIC_QUIT_ENDPOINTS", SCUTTLE, "QUIT_URL", "write MESHIM_QUIT, and MESHIM_QUIT_URL"),
    row("ISTIO_FALLBACK_PKILL", SCUTTLE, "QUIT", "it has no equivalent; see MESHIM_QUIT"),
    row("ISTIO_QUIT_API", SCUTTLE, "QUIT", "write MESHIM_QUIT=always; the URL is known"),
    row("KUBEXIT_BIRTH_DEPS", KUBEXIT, "TIMEOUT", "the mesh's proxy is waited for by itself"),
    row("KUBEXIT_BIRTH_TIMEOUT", KUBEXIT, "TIMEOUT", "write MESHIM_TIMEOUT"),
    row("KUBEXIT_DEATH_DEPS", KUBEXIT, "QUIT", "write MESHIM_QUIT at the application"),
    row("KUBEXIT_GRACE_PERIOD", KUBEXIT, "GRACE", "write MESHIM_GRACE"),
    row("KUBEXIT_GRAVEYARD", KUBEXIT, "QUIT", "meshim needs no volume; see MESHIM_QUIT"),
    row("LINKERD_AWAIT_DISABLED", AWAIT, "MESH", "write MESHIM_MESH=none"),
    row("LINKERD_AWAIT_VERBOSE", AWAIT, "LOG", "write MESHIM_LOG=debug"),
    row("LINKERD_DISABLED", AWAIT, "MESH", "write MESHIM_MESH=none"),
    row("NEVER_KILL_ENVOY", PREFLIGHT, "QUIT", "MESHIM_QUIT=never is the default"),
    row("NEVER_KILL_ISTIO", SCUTTLE, "QUIT", "MESHIM_QUIT=never is the default"),
    row("NEVER_KILL_ISTIO_ON_FAILURE", SCUTTLE, "QUIT", "write MESHIM_QUIT=on-success"),
    row("QUIT_WITHOUT_ENVOY_TIMEOUT", SCUTTLE, "TIMEOUT", "write MESHIM_TIMEOUT; it ends with 124"),
    row("SCUTTLE_LOGGING", SCUTTLE, "LOG", "write MESHIM_LOG"),
    row("START_WITHOUT_ENVOY", SCUTTLE, "MESH", "write MESHIM_MESH=none"),
    row("TINI_KILL_PROCESS_GROUP", "tini", "SIGNAL_GROUP", "write MESHIM_SIGNAL_GROUP=true"),
    row("TINI_SUBREAPER", "tini", "SUPERVISE", "MESHIM_SUPERVISE=true always reaps"),
    row("TINI_VERBOSITY", "tini", "LOG", "write MESHIM_LOG"),
    row(
        "WAIT_FOR_ENVOY_TIMEOUT",
        SCUTTLE,
        "TIMEOUT",
        "write MESHIM_TIMEOUT, with MESHIM_ON_TIMEOUT=start",
    ),
];

/// One line each.
pub(super) fn notes(input: &Input) -> Vec<Note> {
    let names = input.variables.iter().filter_map(|(name, _)| name.to_str());
    let found = names.filter_map(|name| {
        LEFTOVERS.binary_search_by(|row| row.name.cmp(name)).ok().map(|index| LEFTOVERS[index])
    });
    let is_set = |name: &str| input.own_variables().any(|(own, _)| own == name);
    found
        .filter(|leftover| !is_set(leftover.replaced_by))
        .map(|Leftover { name, helper, here, .. }| {
            Note::Leftover(format!(
                "{name} is a variable of {helper} and does nothing here: {here}"
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::VARIABLES;

    #[test]
    fn the_table_is_sorted_and_names_variables_that_are_there() {
        assert!(LEFTOVERS.is_sorted_by(|one, other| one.name < other.name));
        for row in LEFTOVERS {
            assert!(VARIABLES.contains(&row.replaced_by), "{row:?}");
            for word in row.here.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
            {
                let own = word.strip_prefix("MESHIM_");
                assert!(own.is_none_or(|own| VARIABLES.contains(&own)), "{row:?}");
            }
        }
    }

    #[test]
    fn a_leftover_is_told_until_its_place_is_taken() {
        let told = |variables: &[(&str, &str)]| notes(&Input::of(&[], variables));
        assert_eq!(told(&[("PATH", "/bin"), ("HOME", "/")]), []);
        let expected = "ISTIO_QUIT_API is a variable of scuttle and does nothing here: write \
                        MESHIM_QUIT=always; the URL is known";
        let scuttles = ("ISTIO_QUIT_API", "http://127.0.0.1:15020");
        assert_eq!(told(&[scuttles]), [Note::Leftover(expected.to_owned())]);
        assert_eq!(told(&[scuttles, ("MESHIM_QUIT", "always")]), []);
    }
}
