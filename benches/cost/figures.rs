//! Numbers of one kind: what was measured of each contender, its median and its spread.
//!
//! Owns the arithmetic and how a number is written; must never measure anything.

/// What was measured of one contender: a number per run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// In ascending order, never empty.
    values: Vec<f64>,
}

impl Sample {
    /// From one number per run, in any order; there must be one at least.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "a sample of nothing has no median");
        values.sort_by(f64::total_cmp);
        Self { values }
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.values.len() / 2;
        if self.values.len() % 2 == 1 {
            self.values[middle]
        } else {
            f64::midpoint(self.values[middle - 1], self.values[middle])
        }
    }

    pub(crate) fn p90(&self) -> f64 {
        self.values[(self.values.len() * 90).div_ceil(100) - 1]
    }
}

/// One contender's part of a row.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) sample: Sample,
}

/// One figure: meshim's first, then those of what one would use instead.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What other programs (`docs/cost.py`) know it by.
    pub(crate) key: &'static str,
    /// What it is, in words.
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    /// Does the spread say something? Then the 90th percentile stands beside the median.
    pub(crate) spread: bool,
    pub(crate) goal: Option<Goal>,
    pub(crate) columns: Vec<Column>,
}

/// What a figure should be at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) median: f64,
    pub(crate) p90: Option<f64>,
}

impl Goal {
    pub(crate) const fn median(median: f64) -> Self {
        Self { median, p90: None }
    }

    /// By how much it is missed, in the figure's unit; `None` where it is reached.
    pub(crate) fn missed_by(&self, sample: &Sample) -> Option<f64> {
        let beyond = self.p90.map_or(0.0, |p90| sample.p90() - p90);
        Some((sample.median() - self.median).max(beyond)).filter(|by| *by > 0.0)
    }
}

impl Row {
    pub(crate) fn new(key: &'static str, figure: impl Into<String>, unit: &'static str) -> Self {
        Self { key, figure: figure.into(), unit, spread: false, goal: None, columns: Vec::new() }
    }

    /// With the 90th percentile beside the median.
    pub(crate) const fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    pub(crate) const fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// With one more contender; one without numbers (not there in this build) is left out.
    pub(crate) fn with(mut self, name: &'static str, values: Vec<f64>) -> Self {
        if !values.is_empty() {
            self.columns.push(Column { name, sample: Sample::of(values) });
        }
        self
    }
}

/// A number with as many digits as it deserves.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 100.0 || value.fract() == 0.0 {
        0
    } else if size >= 9.95 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let grouped = if whole.len() > 4 { grouped(whole) } else { whole.to_owned() };
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// `880192` is `880,192`.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
