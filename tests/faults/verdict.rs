//! What a run in which a call has failed may come to.

use super::recorded::{Fault, Run};

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It waits, and then is the application, which ends with 7.
    Becomes,
    /// It waits, and stays as the application's parent.
    Supervises,
    /// It asks, and answers 0 or 1.
    Asks,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Becomes => "becomes",
            Self::Supervises => "supervises",
            Self::Asks => "asks",
        }
    }

    /// The code of a good run.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Becomes | Self::Supervises => 7,
            Self::Asks => 0,
        }
    }

    /// What a run may end with whose application has not started.
    const fn failures(self) -> &'static [i32] {
        match self {
            Self::Becomes | Self::Supervises => &[124, 125, 126, 127],
            Self::Asks => &[1, 125],
        }
    }
}

/// Is that right? If not, why.
pub(crate) fn judge(kind: Kind, fault: &Fault, run: &Run) -> Result<(), String> {
    let ended = &run.ended;
    let code = match (ended.code, ended.signal) {
        (Some(code), _) => code,
        (None, Some(9)) => return Err("it hung".to_owned()),
        (None, _) => return Err("a signal has ended it".to_owned()),
    };
    if ended.stderr.contains("panicked") || ended.stderr.contains("fatal runtime error") {
        return Err("it panicked".to_owned());
    }
    if !ended.stdout.contains("started") {
        return unstarted(kind, fault, code, run);
    }
    let own = ended.stdout.lines().find_map(|line| line.strip_prefix("ended ")?.parse().ok());
    let own: i32 = own.ok_or("the application has started, and did not live on to its end")?;
    if own != code {
        return Err(format!("the application has ended with {own}, and the run with {code}"));
    }
    // What the kernel has refused to send cannot have arrived.
    let excused = fault.call == "kill";
    if own != kind.code() && !excused {
        return Err("the application was never told to stop".to_owned());
    }
    Ok(())
}

fn unstarted(kind: Kind, fault: &Fault, code: i32, run: &Run) -> Result<(), String> {
    if kind == Kind::Asks && code == kind.code() {
        return Ok(());
    }
    if !kind.failures().contains(&code) {
        return Err(format!("{code} is not the code of a run that has not started"));
    }
    // No error here says that something is not there, and only these that it is not allowed.
    let is_refusal = matches!(fault.error, "EACCES" | "EPERM");
    if code == 127 || (code == 126 && !is_refusal) || run.ended.stderr.contains("not in this image")
    {
        return Err(format!("{code} blames the command for {}", fault.error));
    }
    let stderr = &run.ended.stderr;
    let sentences = stderr.lines().filter(|line| line.starts_with("meshim: error: ")).count();
    if sentences != 1 {
        return Err(format!("{sentences} sentences say why"));
    }
    Ok(())
}
