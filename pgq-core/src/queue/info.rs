use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::answer::Columns;
use crate::seconds::duration;
use crate::{Result, TickId};

/// A queue as `pgq.get_queue_info` shows it.
///
/// The numbers of events are distances between event ids: rolled-back inserts and `force_tick` inflate them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// The name of the queue.
    pub name: String,
    /// How many event tables take turns.
    pub tables: u32,
    /// The index of the event table that takes inserts now.
    pub current_table: u32,
    /// The shortest time between two rotations.
    pub rotation_period: Duration,
    /// When the last rotation happened.
    pub switch_time: DateTime<Utc>,
    /// Whether ticks come with their ids from elsewhere.
    pub external_ticker: bool,
    /// Whether the queue gets no ticks for now.
    pub ticker_paused: bool,
    /// So many new events make a tick due.
    pub ticker_max_count: i32,
    /// A tick is due when the last one is this old and there are new events.
    pub ticker_max_lag: Duration,
    /// An idle queue gets a tick at least this often.
    pub ticker_idle_period: Duration,
    /// The age of the newest tick; `None` without ticks.
    pub ticker_lag: Option<Duration>,
    /// Events per second over the last twenty ticks; `None` where no time passed between them.
    pub events_per_second: Option<f64>,
    /// Events since the newest tick; `None` without ticks.
    pub new_events: Option<i64>,
    /// The newest tick; `None` without ticks.
    pub last_tick: Option<TickId>,
}

impl QueueInfo {
    pub(super) fn decode(mut columns: Columns<'_>) -> Result<Self> {
        Ok(Self {
            name: columns.next()?,
            tables: columns.next::<i32>()?.unsigned_abs(),
            current_table: columns.next::<i32>()?.unsigned_abs(),
            rotation_period: columns.next().map(duration)?,
            switch_time: columns.next()?,
            external_ticker: columns.next()?,
            ticker_paused: columns.next()?,
            ticker_max_count: columns.next()?,
            ticker_max_lag: columns.next().map(duration)?,
            ticker_idle_period: columns.next().map(duration)?,
            ticker_lag: columns.next::<Option<f64>>()?.map(duration),
            events_per_second: columns.next()?,
            new_events: columns.next()?,
            last_tick: columns.next::<Option<i64>>()?.map(TickId),
        })
    }
}
