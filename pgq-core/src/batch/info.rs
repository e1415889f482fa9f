use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::answer::Columns;
use crate::call::Answer;
use crate::seconds::duration;
use crate::{Result, TickId};

/// An open batch as `pgq.get_batch_info` shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchInfo {
    /// The queue.
    pub queue: String,
    /// The consumer that has it open.
    pub consumer: String,
    /// The time of the tick that it begins at.
    pub start: DateTime<Utc>,
    /// The time of the tick that it ends at.
    pub end: DateTime<Utc>,
    /// The tick that it begins at.
    pub prev_tick: TickId,
    /// The tick that it ends at.
    pub tick: TickId,
    /// The age of its end.
    pub lag: Duration,
    /// The event id at its begin, roughly.
    pub seq_start: i64,
    /// The event id at its end, roughly.
    pub seq_end: i64,
}

impl BatchInfo {
    pub(super) fn decode(answer: Answer<'_>) -> Result<Option<Self>> {
        let (row, function) = answer.one()?;
        let mut columns = Columns::of(&row, function);
        let Some(queue) = columns.next()? else { return Ok(None) };
        Ok(Some(Self {
            queue,
            consumer: columns.next()?,
            start: columns.next()?,
            end: columns.next()?,
            prev_tick: columns.next().map(TickId)?,
            tick: columns.next().map(TickId)?,
            lag: columns.next().map(duration)?,
            seq_start: columns.next()?,
            seq_end: columns.next()?,
        }))
    }
}
