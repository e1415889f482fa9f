use std::time::Instant;

/// The time by the clock that sleeps and limits go by, which a test can hold.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
