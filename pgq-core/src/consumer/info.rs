use std::time::Duration;

use crate::answer::Columns;
use crate::seconds::duration;
use crate::{BatchId, Result, TickId};

/// A consumer as `pgq.get_consumer_info` shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// The queue.
    pub queue: String,
    /// The name of the consumer.
    pub name: String,
    /// The age of the last tick that it is done with; `None` where that tick is unknown.
    pub lag: Option<Duration>,
    /// The time since it last opened or finished a batch. Grows while a healthy consumer has nothing to do.
    pub last_seen: Duration,
    /// The last tick that it is done with; `None` for an idle subconsumer.
    pub last_tick: Option<TickId>,
    /// The batch that it has open.
    pub current_batch: Option<BatchId>,
    /// The tick at the end of the open batch.
    pub next_tick: Option<TickId>,
    /// How far its position is behind the newest tick, as a distance between event ids; `None` where its tick is unknown.
    pub pending_events: Option<i64>,
}

impl ConsumerInfo {
    pub(super) fn decode(mut columns: Columns<'_>) -> Result<Self> {
        Ok(Self {
            queue: columns.next()?,
            name: columns.next()?,
            lag: columns.next::<Option<f64>>()?.map(duration),
            last_seen: columns.next().map(duration)?,
            last_tick: columns.next::<Option<i64>>()?.map(TickId),
            current_batch: columns.next::<Option<i64>>()?.map(BatchId),
            next_tick: columns.next::<Option<i64>>()?.map(TickId),
            pending_events: columns.next()?,
        })
    }
}
