use std::fmt;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::answer::Columns;
use crate::worker::FailureKind;
use crate::{Event, Result};

/// Numbers a dead letter of a database. Increasing, with gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub i64);

/// An event that a consumer gave up, as `pgq_dead.list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The letter.
    pub id: LetterId,
    /// The queue.
    pub queue: String,
    /// The consumer that gave the event up; the main one of a group.
    pub consumer: String,
    /// The member of the group that did it.
    pub subconsumer: Option<String>,
    /// The event, as it was delivered last.
    pub event: Event,
    /// Why, in a word or two: one of the [kinds](Self::kind) of failures where a worker gave it up, else what the program said.
    pub reason: String,
    /// Why, at length.
    pub error: Option<String>,
    /// How many times it was delivered, or what the consumer counted.
    pub attempts: u32,
    /// When the transaction that gave it up began. `event.time` is when the event was made.
    pub dead_time: DateTime<Utc>,
}

impl DeadLetter {
    /// The kind of failure that a worker gave the event up for: an error of the handler, a panic, a payload that it cannot take, and so on.
    /// `None` where the reason is another one, as `Batch::dead_letter` may say.
    ///
    /// ```
    /// # use pgq_core::DeadLetter;
    /// use pgq_core::worker::FailureKind;
    ///
    /// fn is_to_be_replayed(letter: &DeadLetter) -> bool {
    ///     matches!(letter.kind(), Some(FailureKind::Decode | FailureKind::UnknownType))
    /// }
    /// ```
    pub fn kind(&self) -> Option<FailureKind> {
        FailureKind::of_reason(&self.reason)
    }

    pub(super) fn decode(row: &Row, function: &'static str) -> Result<Self> {
        let event = Event::try_from(row)?;
        let mut columns = Columns::of(row, function).skip(10);
        Ok(Self {
            id: columns.next().map(LetterId)?,
            queue: columns.next()?,
            consumer: columns.next()?,
            subconsumer: columns.next()?,
            reason: columns.next()?,
            error: columns.next()?,
            attempts: columns.next::<i32>()?.unsigned_abs(),
            dead_time: columns.event_time(event.id, "dead_time")?,
            event,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.event.size() + self.error.as_deref().map_or(0, str::len)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
