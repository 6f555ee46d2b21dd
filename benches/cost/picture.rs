//! The lag as a picture: a dot per start-up, one band per contender, on a logarithmic axis.
//!
//! The same numbers give the same bytes. Its colours have contrast on white and on black, since a
//! README is read on both.

use std::fmt::Write as _;

use super::figures::{Column, Row, short};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BAND: f64 = 74.0;

/// The axis: from 1 ms to 2 s, of which the logarithm is taken.
const FROM: f64 = 1.0;
const TO: f64 = 2_000.0;
const TICKS: [(f64, &str); 7] = [
    (1.0, "1 ms"),
    (3.0, "3"),
    (10.0, "10"),
    (30.0, "30"),
    (100.0, "100"),
    (300.0, "300"),
    (1_000.0, "1 s"),
];

const GREY: &str = "#808891";
const COLOURS: [&str; 3] = ["#2f9e6e", "#d9822b", "#c2588f"];

/// The row's contenders, one band each.
pub(crate) fn svg(row: &Row) -> String {
    let bottom = row.columns.iter().fold(TOP, |bottom, _| bottom + BAND);
    let height = bottom + 46.0;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{GREY}\" role=\"img\">\n\
         <title>{}, {} runs each</title>\n",
        row.figure,
        row.columns.first().map_or(0, |column| column.sample.values().len()),
    );
    for (value, name) in TICKS {
        let x = across(value);
        let _ = writeln!(
            picture,
            "<path d=\"M{x:.1} {TOP}V{bottom:.1}\" stroke=\"{GREY}\" stroke-opacity=\".3\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            bottom + 20.0
        );
    }
    let _ = writeln!(
        picture,
        "<text x=\"{LEFT}\" y=\"22\">lag behind a proxy that became ready after 0.5-4 s: median | \
         90th percentile</text>"
    );
    let mut top = TOP;
    for (column, colour) in row.columns.iter().zip(COLOURS) {
        band(&mut picture, column, colour, top);
        top += BAND;
    }
    picture.push_str("</svg>\n");
    picture
}

/// Where on the axis; what is beyond it stands at its end.
fn across(value: f64) -> f64 {
    let share = (value.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln();
    share.mul_add(WIDTH - LEFT - RIGHT, LEFT)
}

fn band(picture: &mut String, column: &Column, colour: &str, top: f64) {
    let (sample, middle) = (&column.sample, top + BAND / 2.0);
    let (median, p90) = (sample.median(), sample.p90());
    let _ = writeln!(
        picture,
        "<g fill=\"{colour}\"><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" \
         font-weight=\"600\">{}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} | {} ms</text>",
        LEFT - 14.0,
        middle - 3.0,
        column.name,
        LEFT - 14.0,
        middle + 15.0,
        short(median),
        short(p90),
    );
    // Spread over the band's height by the golden ratio: even, and the same each time.
    let mut height = 0.0_f64;
    for value in sample.values() {
        height = (height + 0.618_034).fract();
        let y = (height - 0.5).mul_add(BAND - 26.0, middle);
        let _ = writeln!(
            picture,
            "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill-opacity=\".75\"/>",
            across(*value)
        );
    }
    let (x, from, to) = (across(median), top + 8.0, top + BAND - 8.0);
    let _ = writeln!(
        picture,
        "<path d=\"M{x:.1} {from:.1}V{to:.1}\" stroke=\"{colour}\" stroke-width=\"2.5\"/></g>"
    );
}
