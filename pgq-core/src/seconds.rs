use std::time::Duration;

/// Whole seconds as `pgq.event_retry` takes them: rounded up, and at most what an `integer` holds.
pub(crate) fn whole(time: Duration) -> i32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// An interval as the statements of this crate select it: `extract(epoch FROM x)::float8`. Never negative: clocks that were
/// set back count as no time.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}
