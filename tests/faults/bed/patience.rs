use std::time::Duration;

/// A limit of a criterion, or as many times that as `PGQ_TEST_PATIENCE` says: four, where nothing else is said.
///
/// The criteria are for a machine that others leave alone (`PGQ_TEST_PATIENCE=1`, as in `scripts/soak`). What holds for ever fails on any.
pub(crate) fn patient(limit: Duration) -> Duration {
    limit.mul_f64(patience())
}

/// How many times as long as a criterion allows it may take here.
pub(crate) fn patience() -> f64 {
    std::env::var("PGQ_TEST_PATIENCE")
        .map_or(4.0, |times| times.parse().expect("PGQ_TEST_PATIENCE is a number"))
}
