use std::time::Duration;

/// How large and how old a batch should be before it is opened. All conditions are off by default.
///
/// With `min_count` or `min_interval` PgQ joins ticks until one of the two is met: between once and twice as much when there is a
/// backlog. `min_lag` is looked at afterwards. A batch that is open already comes again whatever the pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Leave alone what is younger than this: the consumer keeps this far behind.
    pub min_lag: Option<Duration>,
    /// Wait for so many events, as a distance between event ids.
    pub min_count: Option<u32>,
    /// Wait until the batch spans so much time.
    pub min_interval: Option<Duration>,
}
