//! The table, as Markdown that is legible in a terminal, too.
//!
//! Ratios first: a machine's mood changes all contenders alike.

use super::figures::{Column, Row, Sample, short};

const HEAD: [&str; 5] = ["figure", "goal", "meshim", "what one would use instead", "runs"];

/// One line a row.
pub(crate) fn markdown(rows: &[&Row]) -> String {
    let lines: Vec<[String; 5]> = rows.iter().map(|row| line(row)).collect();
    // The fourth cell is long, and last but one: aligning it would push the last one out of sight.
    let width = |cell: usize| {
        lines
            .iter()
            .map(|line| line[cell].chars().count())
            .chain([HEAD[cell].len()])
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), 0, 0];
    let written = |cells: [&str; 5]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.map(|width| "-".repeat(width.max(3)));
    let mut text = vec![written(HEAD), written(rule.each_ref().map(String::as_str))];
    text.extend(lines.iter().map(|line| written(line.each_ref().map(String::as_str))));
    text.join("\n")
}

fn line(row: &Row) -> [String; 5] {
    let (ours, others) = row.columns.split_first().expect("every row has a contender");
    let others: Vec<String> =
        others.iter().map(|other| instead(row, &ours.sample, other)).collect();
    let runs = ours.sample.values().len();
    [
        named(row),
        goal(row, &ours.sample),
        format!("**{}**", amount(row, &ours.sample)),
        others.join("; "),
        runs.to_string(),
    ]
}

fn named(row: &Row) -> String {
    if row.spread { format!("{}: median / p90", row.figure) } else { row.figure.clone() }
}

/// The goal, and by how much it is missed where it is.
fn goal(row: &Row, ours: &Sample) -> String {
    let Some(goal) = row.goal else { return String::new() };
    let number = goal.p90.map_or_else(
        || short(goal.median),
        |p90| format!("{} / {}", short(goal.median), short(p90)),
    );
    let missed = goal.missed_by(ours).map(|by| format!(", missed by {}", short(by)));
    format!("{}{}", with_unit(row, &number), missed.unwrap_or_default())
}

fn instead(row: &Row, ours: &Sample, other: &Column) -> String {
    let ratio = other.sample.median() / ours.median();
    // Of nothing, and of what the noise has made negative, there is no multiple.
    let ratio = if ratio.is_finite() && ratio > 0.0 {
        format!("×{} ", short(ratio))
    } else {
        String::new()
    };
    format!("{}: {ratio}({})", other.name, amount(row, &other.sample))
}

fn amount(row: &Row, sample: &Sample) -> String {
    let median = short(sample.median());
    with_unit(row, &if row.spread { format!("{median} / {}", short(sample.p90())) } else { median })
}

fn with_unit(row: &Row, number: &str) -> String {
    if row.unit.is_empty() { number.to_owned() } else { format!("{number} {}", row.unit) }
}
