use std::time::Duration;

/// An interval as the statements of this crate select it: `extract(epoch FROM x)::float8`. Never negative: clocks that were
/// set back count as no time.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}
