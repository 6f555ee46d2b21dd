//! What meshim costs, beside what one would use instead: `cargo bench`, one table.
//!
//! `cargo bench` measures everything (about ten minutes) and writes the table into docs/cost.md,
//! its first lines into README.md, its numbers into docs/figures.json and the picture docs/lag.svg.
//! `cargo bench -- --quick` measures less of it and writes nothing; `cargo bench -- lag start`
//! measures only these rows. Each row is measured in one run, one contender after the other.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is there to print")]

mod doctor;
mod figures;
mod lag;
mod load;
mod machine;
mod peers;
mod picture;
mod publish;
mod size;
mod start;
mod supervise;
#[path = "../../tests/it/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod support;
mod table;

use std::process::ExitCode;

use self::figures::Row;
use self::peers::Peers;

/// The sections, in the table's order.
const SECTIONS: [(&str, Section); 6] = [
    ("lag", lag::rows),
    ("start", start::rows),
    ("load", load::rows),
    ("supervise", supervise::rows),
    ("doctor", doctor::rows),
    ("size", size::rows),
];

/// What measures some rows.
type Section = fn(&Peers, &Plan) -> Vec<Row>;

/// How much is measured.
#[derive(Debug)]
struct Plan {
    quick: bool,
    only: Vec<String>,
}

impl Plan {
    /// From the command line; `--bench` is cargo's own.
    fn typed(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self { quick: false, only: Vec::new() };
        for arg in args {
            match arg.as_str() {
                "--bench" => {}
                "--quick" => plan.quick = true,
                name if SECTIONS.iter().any(|(section, _)| *section == name) => plan.only.push(arg),
                _ => {
                    return Err(format!(
                        "{arg} is not known here; write --quick, lag, start, load, supervise, \
                         doctor or size"
                    ));
                }
            }
        }
        Ok(plan)
    }

    fn measures(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == section)
    }

    /// How often or how long, in full and in a hurry.
    const fn choose<T: Copy>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    match Plan::typed(std::env::args().skip(1)).and_then(|plan| measure(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("benches/cost: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> Result<(), String> {
    let peers = Peers::find()?;
    let machine = machine::described(&peers);
    let mut rows = Vec::new();
    for (name, section) in SECTIONS.into_iter().filter(|(name, _)| plan.measures(name)) {
        eprintln!("measuring {name}");
        rows.extend(section(&peers, plan));
    }
    println!("{}\n\n{machine}", table::markdown(&rows.iter().collect::<Vec<_>>()));
    if plan.quick || !plan.only.is_empty() {
        return Ok(());
    }
    publish::write(&rows, &machine)
}
