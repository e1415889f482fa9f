use std::thread;
use std::time::{Duration, Instant};

/// Waits until a condition holds, for at most a minute, and tells how long that took.
///
/// Asks once in a millisecond, on this thread: a test waits by it for what another thread or process does, and
/// takes no longer than needed.
///
/// # Panics
/// When the minute is over; the message says until `what` it waited.
///
/// # Example
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// let done = AtomicBool::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| done.store(true, Ordering::Relaxed));
///     pgq_testkit::until("the work is done", || done.load(Ordering::Relaxed));
/// });
/// ```
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) -> Duration {
    until_within(Duration::from_secs(60), what, condition)
}

/// Like [`until()`], with another limit.
///
/// # Panics
/// When the limit is over.
#[track_caller]
pub fn until_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}
