use std::fmt;
use std::time::Duration;

/// A time as people say it: in one unit, with three digits at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rough(pub(super) Duration);

const UNITS: [(&str, f64); 6] =
    [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)];

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        // 90 seconds are 90s, and not 1.5min; what would be rounded up to 1000 is of the next unit.
        let fits = |least: f64| seconds >= 0.9995 * if least > 1.0 { 2.0 * least } else { least };
        let (unit, least) = UNITS.into_iter().find(|(_, least)| fits(*least)).unwrap_or(("ns", 1e-9));
        let value = seconds / least;
        let digits = match value {
            _ if value < 9.995 => 2,
            _ if value < 99.95 => 1,
            _ => 0,
        };
        let text = format!("{value:.digits$}");
        let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_three_digits_at_most() {
        let says = |time| Rough(time).to_string();
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (12_345_678, "12.3ms"),
            (100_000_000, "100ms"),
            (999_900_000, "1s"),
            (1_000_000_000, "1s"),
            (9_876_543_210, "9.88s"),
            (23_456_789_012, "23.5s"),
            (90_000_000_000, "90s"),
        ] {
            assert_eq!(says(Duration::from_nanos(nanos)), text);
        }
        for (seconds, text) in
            [(119, "119s"), (120, "2min"), (3_600, "60min"), (9_000, "2.5h"), (864_000, "10d")]
        {
            assert_eq!(says(Duration::from_secs(seconds)), text);
        }
    }
}
