//! What to diagnose, and how to tell it: settings of `meshim doctor`.
//!
//! Owns when text has colours; must never ask whether stdout is a terminal.

use super::check::CheckSettings;
use super::reader::{Reader, Wrong};
use crate::cli::DoctorArgs;

/// Settings of `meshim doctor`.
#[derive(Clone, Debug)]
pub struct DoctorSettings {
    /// What `check` judges by, which is judged as well. A page has a time of its own.
    pub check: CheckSettings,
    /// Read what costs more, and look twice.
    pub deep: bool,
    /// Whether the text has colours.
    pub color: Color,
}

/// When text has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Whatever stdout is.
    Always,
    /// Never.
    Never,
}

impl Reader<'_> {
    pub(super) fn doctor(&mut self, args: &DoctorArgs) -> Result<DoctorSettings, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        let injected = self.injected();
        let request_timeout = self.request_timeout(&args.proxy);
        let deep = self.flag("deep", args.deep.as_ref());
        let form = self.form("output", args.output.as_ref());
        let color = self.color(args);
        remote?;
        let check = CheckSettings {
            given: given?,
            injected: injected?,
            request_timeout: request_timeout?,
            listen: Vec::new(),
            form: form?,
        };
        Ok(DoctorSettings { check, deep: deep?, color: color? })
    }

    /// `NO_COLOR` with anything in it turns `auto` off (no-color.org); who asks for colours gets
    /// them.
    fn color(&mut self, args: &DoctorArgs) -> Result<Color, Wrong> {
        let words = [("auto", Color::Auto), ("always", Color::Always), ("never", Color::Never)];
        let color = self.choice("color", args.color.as_ref(), Color::Auto, &words)?;
        let is_off = color == Color::Auto && self.environment_has("NO_COLOR");
        Ok(if is_off { Color::Never } else { color })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Input, Job, load};

    fn doctor(args: &[&str], variables: &[(&str, &str)]) -> DoctorSettings {
        let args: Vec<&str> = ["doctor"].iter().chain(args).copied().collect();
        match load(&Input::of(&args, variables)).job {
            Ok(Job::Doctor(doctor)) => doctor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_color_is_heard_unless_somebody_asks_for_colours() {
        let table = [
            (&[][..], &[][..], Color::Auto),
            (&[], &[("NO_COLOR", "1")], Color::Never),
            (&[], &[("NO_COLOR", "")], Color::Auto),
            (&["--color", "always"], &[("NO_COLOR", "1")], Color::Always),
            (&["--color=never"], &[], Color::Never),
            (&[], &[("MESHIM_COLOR", "always")], Color::Always),
        ];
        for (args, variables, color) in table {
            assert_eq!(doctor(args, variables).color, color, "{args:?} {variables:?}");
        }
    }

    #[test]
    fn depth_is_asked_for() {
        assert!(!doctor(&[], &[]).deep);
        assert!(doctor(&["--deep"], &[]).deep && doctor(&[], &[("MESHIM_DEEP", "1")]).deep);
    }
}
