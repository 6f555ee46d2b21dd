//! Envoy's fault filter (`envoy.filters.http.fault`), wherever its configuration stands: on a route
//! or on a listener.
//!
//! Owns the reading of it, percentages above all; must never judge. Header names and values are not
//! kept.

use crate::core::envoy::json::Json;

/// The name under which Envoy's configuration has it.
pub const NAME: &str = "envoy.filters.http.fault";

const MILLION: u64 = 1_000_000;

/// What one fault filter does. A filter that does nothing is the usual case: Istio puts one into
/// every HTTP chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultFilter {
    /// How many of a million requests are aborted.
    pub aborts: u64,
    /// With which HTTP status, where one is named.
    pub status: Option<u64>,
    /// How many of a million requests are delayed.
    pub delays: u64,
    /// By how much, as Envoy writes it: `7s`.
    pub delay: Option<String>,
    /// It concerns only requests with certain headers.
    pub is_conditional: bool,
}

impl FaultFilter {
    /// Reads an `HTTPFault` (envoy: `fault.proto`).
    #[must_use]
    pub fn read(config: Json<'_>) -> Self {
        let mut filter = Self::default();
        config.fields(&mut |name, value| match name {
            "abort" | "delay" => {
                let is_abort = name == "abort";
                value.fields(&mut |name, value| match name {
                    "percentage" if is_abort => filter.aborts = of_a_million(value),
                    "percentage" => filter.delays = of_a_million(value),
                    "http_status" => filter.status = value.number(),
                    "fixed_delay" => filter.delay = value.text(),
                    "header_abort" | "header_delay" => filter.is_conditional = true,
                    _ => {}
                });
            }
            "headers" => value.items(&mut |_| filter.is_conditional = true),
            _ => {}
        });
        filter
    }

    /// Does it do anything at all?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.aborts > 0 || self.delays > 0
    }
}

/// A `FractionalPercent`: protobuf's JSON leaves out a numerator of 0 and the denominator
/// `HUNDRED`.
fn of_a_million(fraction: Json<'_>) -> u64 {
    let (mut numerator, mut denominator) = (0, 100);
    fraction.fields(&mut |name, value| match name {
        "numerator" => numerator = value.number().unwrap_or_default(),
        "denominator" => value.with_text(&mut |name| {
            denominator = match name {
                "TEN_THOUSAND" => 10_000,
                "MILLION" => MILLION,
                _ => 100,
            };
        }),
        _ => {}
    });
    (numerator.saturating_mul(MILLION) / denominator).min(MILLION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::json;

    fn filter(config: &str) -> FaultFilter {
        let mut filter = FaultFilter::default();
        json::read(config.as_bytes(), &mut |value| filter = FaultFilter::read(value)).unwrap();
        filter
    }

    #[test]
    fn percentages_are_read_with_their_denominators() {
        let table = [
            (r#"{"numerator":10}"#, 100_000),
            (r#"{"numerator":10,"denominator":"HUNDRED"}"#, 100_000),
            (r#"{"numerator":5000,"denominator":"MILLION"}"#, 5_000),
            (r#"{"denominator":"TEN_THOUSAND","numerator":100}"#, 10_000),
            (r#"{"numerator":250,"denominator":"A_NEW_ONE"}"#, 1_000_000),
            (r#"{"denominator":"MILLION"}"#, 0),
            (r#"{"numerator":null}"#, 0),
            ("null", 0),
            ("7", 0),
        ];
        for (percentage, expected) in table {
            let read = filter(&format!(r#"{{"abort":{{"percentage":{percentage}}}}}"#));
            assert_eq!(read.aborts, expected, "{percentage}: {read:?}");
            assert_eq!(read.is_on(), expected > 0, "{percentage}");
        }
    }

    #[test]
    fn what_it_does_and_to_whom_is_read() {
        let read = filter(
            r#"{"delay":{"fixed_delay":"7s","percentage":{"numerator":100}},
                "abort":{"http_status":503,"percentage":{"numerator":1}},
                "headers":[{"name":"x-test","string_match":{"exact":"a secret"}}]}"#,
        );
        assert_eq!((read.status, read.delay.as_deref()), (Some(503), Some("7s")));
        assert!(read.is_conditional && read.is_on());
        assert!(!format!("{read:?}").contains("secret"));
        assert!(!filter("{}").is_on());
        assert!(filter(r#"{"abort":{"header_abort":{}}}"#).is_conditional);
    }
}
