//! Writes what was measured where people and other programs read it: the table in docs/cost.md, its
//! first lines in README.md, docs/figures.json, docs/lag.svg, and what docs/cost.py works out of
//! them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::figures::Row;
use super::peers::{root, succeed};
use super::{picture, table};

/// What stands around a table; everything between is replaced.
const MARKERS: [&str; 2] =
    ["<!-- cargo bench writes from here -->", "<!-- cargo bench: to here -->"];

/// The rows that README.md shows, by their keys.
const FIRST: [&str; 4] = ["lag_short", "cpu_short", "start", "resident"];

/// Replaces what an earlier run has written.
pub(crate) fn write(rows: &[Row], machine: &str) -> Result<(), String> {
    let (all, first): (Vec<&Row>, Vec<&Row>) =
        (rows.iter().collect(), rows.iter().filter(|row| FIRST.contains(&row.key)).collect());
    replace("docs/cost.md", &format!("{}\n\n{machine}", table::markdown(&all)))?;
    replace("README.md", &table::markdown(&first))?;
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

/// Writes `table` between the markers of this page.
fn replace(page: &str, table: &str) -> Result<(), String> {
    let path = root().join(page);
    let text = read(&path)?;
    let [(before, rest), (_, after)] =
        MARKERS.map(|marker| text.split_once(marker).unwrap_or_default());
    if rest.is_empty() {
        return Err(format!("{page} has no line {}: the table has no place there", MARKERS[0]));
    }
    write_file(&path, &format!("{before}{}\n{table}\n{}{after}", MARKERS[0], MARKERS[1]))
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
