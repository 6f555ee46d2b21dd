//! Writes what was measured where people and other programs read it: README.md, docs/figures.json,
//! docs/lag.svg, and docs/cost.md, which is worked out of the figures.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::figures::Row;
use super::peers::{root, succeed};
use super::{picture, table};

/// What stands around the table in README.md; everything between is replaced.
const MARKERS: [&str; 2] = ["<!-- cargo bench writes from here -->", "<!-- to here -->"];

/// Replaces what an earlier run has written.
pub(crate) fn write(rows: &[Row], machine: &str) -> Result<(), String> {
    let readme = root().join("README.md");
    let text = read(&readme)?;
    let [(before, rest), (_, after)] =
        MARKERS.map(|marker| text.split_once(marker).unwrap_or_default());
    if rest.is_empty() {
        return Err(format!("README.md has no line {}: the table has no place there", MARKERS[0]));
    }
    let table = format!("{}\n\n{machine}", table::markdown(rows));
    write_file(&readme, &format!("{before}{}\n{table}\n{}{after}", MARKERS[0], MARKERS[1]))?;
    let figures =
        json!({ "machine": machine, "rows": rows.iter().map(as_json).collect::<Vec<_>>() });
    let figures = serde_json::to_string_pretty(&figures).map_err(|error| error.to_string())?;
    write_file(&root().join("docs/figures.json"), &format!("{figures}\n"))?;
    let lag = rows
        .iter()
        .find(|row| row.key == "lag_short")
        .ok_or("the picture shows the lag, which was not measured")?;
    write_file(&root().join("docs/lag.svg"), &picture::svg(lag))?;
    succeed(&mut Command::new(root().join("docs/cost.py")))
}

fn as_json(row: &Row) -> Value {
    let column = |column: &super::figures::Column| {
        let sample = &column.sample;
        let (median, p90) = (rounded(sample.median()), rounded(sample.p90()));
        json!({ "name": column.name, "median": median, "p90": p90,
                "runs": sample.values().len() })
    };
    json!({ "key": row.key, "figure": row.figure, "unit": row.unit,
            "columns": row.columns.iter().map(column).collect::<Vec<_>>() })
}

/// To a thousandth of the unit: what is finer is noise.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
