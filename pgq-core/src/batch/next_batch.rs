use chrono::{DateTime, Utc};

use crate::answer::Columns;
use crate::call::Answer;
use crate::{BatchId, Error, Result, TickId};

/// A batch as `pgq.next_batch_info`, `pgq.next_batch_custom` and `pgq_coop.next_batch_custom` open it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextBatch {
    /// The batch.
    pub id: BatchId,
    /// The tick that it ends at.
    pub tick: TickId,
    /// The tick that it begins at.
    pub prev_tick: TickId,
    /// When it ends.
    pub tick_time: DateTime<Utc>,
    /// When it begins.
    pub prev_tick_time: DateTime<Utc>,
    /// The event id at its end, roughly: no measure of whether it is empty.
    pub tick_event_seq: i64,
    /// The event id at its begin, roughly.
    pub prev_tick_event_seq: i64,
}

impl NextBatch {
    /// On a read-only session an open batch can be read but not finished, so its events would come again and again.
    pub(crate) fn decode(answer: Answer<'_>) -> Result<Option<Self>> {
        let (row, function) = answer.one()?;
        let mut columns = Columns::of(&row, function);
        let Some(id) = columns.next::<Option<i64>>()? else { return Ok(None) };
        let batch = Self {
            id: BatchId(id),
            tick: columns.next().map(TickId)?,
            prev_tick: columns.next().map(TickId)?,
            tick_time: columns.next()?,
            prev_tick_time: columns.next()?,
            tick_event_seq: columns.next()?,
            prev_tick_event_seq: columns.next()?,
        };
        match columns.next()? {
            true => Err(Error::ReadOnly { source: None }),
            false => Ok(Some(batch)),
        }
    }
}
