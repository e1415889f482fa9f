use std::time::Duration;

use super::{ChunkSize, Filter, Finish, NextBatch, OpenBatch, Pace};
use crate::consumer::{self, IfClaimed};
#[cfg(feature = "fault-points")]
use crate::fault_point::Hook;
use crate::fault_point::{FaultPoints, Pause, Point};
use crate::worker::Failure;
use crate::{BatchId, Call, Error, Event, Result, batch, coop};

/// What becomes of a batch that has no event for the consumer: none at all, or none that passes its filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EmptyBatches {
    /// It is finished silently, and the next one opened.
    #[default]
    Pass,
    /// It is handed over like any other, for those who record each batch, as `ExactlyOnce::by_tick` does.
    HandOver,
}

/// Which batches a consumer wants, and how it reads them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reading {
    /// How large and old a batch should be.
    pub pace: Pace,
    /// Which events are handed over; the others count as done.
    pub filter: Filter,
    /// How much is asked for at once.
    pub chunk: ChunkSize,
    /// What becomes of batches without events for the consumer.
    pub empty_batches: EmptyBatches,
    /// How long another member of the group may be silent before its batch is taken over; for ever where it is `None`. Means
    /// something to a subconsumer only.
    pub dead_interval: Option<Duration>,
}

/// Who reads a queue, a consumer or a member of a group, and how. The drivers' `Consumer` and `SubConsumer` are built on it: what
/// opens a batch of the one can never finish a batch of the other.
#[derive(Clone, Debug)]
pub struct Reader {
    queue: String,
    name: String,
    member: Option<Member>,
    /// Which batches it wants.
    pub reading: Reading,
    fault_points: FaultPoints,
}

#[derive(Clone, Debug)]
struct Member {
    main: String,
    sub: String,
}

impl Reader {
    /// A consumer with a position of its own.
    pub fn consumer(queue: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(queue.into(), name.into(), None)
    }

    /// A subconsumer, which shares the position of `main`.
    pub fn subconsumer(queue: impl Into<String>, main: impl Into<String>, sub: impl Into<String>) -> Self {
        let member = Member { main: main.into(), sub: sub.into() };
        let name = format!("{}.{}", member.main, member.sub);
        Self::new(queue.into(), name, Some(member))
    }

    fn new(queue: String, name: String, member: Option<Member>) -> Self {
        Self { queue, name, member, reading: Reading::default(), fault_points: FaultPoints::default() }
    }

    /// Has the hook decide what happens at the points that a driver reaches with this reader.
    #[cfg(feature = "fault-points")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_fault_points(mut self, hook: Hook) -> Self {
        self.fault_points = FaultPoints::new(hook);
        self
    }

    /// Tells a test that the driver has come to this point, and what to do there: nothing, without the feature `fault-points`.
    #[doc(hidden)]
    #[inline]
    pub fn reach(&self, point: Point) -> Result<Pause> {
        self.fault_points.reach(point)
    }

    /// The name of the queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The name that PgQ knows it by: `main.sub` for a subconsumer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the consumer that has the position: the main one of a subconsumer, else [`name`](Self::name).
    pub fn main(&self) -> &str {
        self.member.as_ref().map_or(&self.name, |member| &member.main)
    }

    /// The name of a subconsumer in its group; `None` for a consumer with a position of its own.
    pub fn sub(&self) -> Option<&str> {
        self.member.as_ref().map(|member| member.sub.as_str())
    }

    /// Opens the next batch, to be run and committed on its own.
    pub fn next(&self) -> Call<'_, Option<NextBatch>> {
        let reading = &self.reading;
        match &self.member {
            None => batch::next_custom(&self.queue, &self.name, reading.pace),
            Some(Member { main, sub }) => {
                coop::next_custom(&self.queue, main, sub, reading.pace, reading.dead_interval)
            }
        }
    }

    /// The batch that [`next`](Self::next) opened.
    pub fn open(&self, batch: NextBatch) -> OpenBatch {
        OpenBatch::new(self.clone(), batch)
    }

    /// Claims the reader's name for the session; see [`consumer::claim`].
    pub fn claim(&self) -> Call<'_, bool> {
        consumer::claim(&self.queue, &self.name)
    }

    /// How long to wait before the next try, when another session had claimed it.
    ///
    /// # Errors
    /// [`Error::ConsumerClaimed`], if that is what was wanted.
    pub fn claimed(&self, if_claimed: IfClaimed) -> Result<Duration> {
        match if_claimed {
            IfClaimed::Wait => Ok(Duration::from_millis(500)),
            IfClaimed::Fail => {
                Err(Error::ConsumerClaimed { queue: self.queue.clone(), consumer: self.name.clone() })
            }
        }
    }

    /// Gives up what [`claim`](Self::claim) got; see [`consumer::release`].
    pub fn release(&self) -> Call<'_, bool> {
        consumer::release(&self.queue, &self.name)
    }

    /// The error that the batch is somebody else's now.
    pub fn lost(&self, batch: BatchId) -> Error {
        Error::BatchLost { queue: self.queue.clone(), consumer: self.name.clone(), batch }
    }

    /// The error that ends a worker when an event fails that may not.
    pub fn event_failed(&self, event: &Event, failure: &Failure) -> Error {
        Error::EventFailed {
            queue: self.queue.clone(),
            consumer: self.name.clone(),
            event: event.id,
            failure: failure.to_string(),
        }
    }

    /// The error that ends a worker when the handler of a whole batch fails that may not.
    pub fn batch_failed(&self, batch: BatchId, failure: &Failure) -> Error {
        Error::BatchFailed {
            queue: self.queue.clone(),
            consumer: self.name.clone(),
            batch,
            failure: failure.to_string(),
        }
    }

    /// What an error means for this batch of the reader: when it is not open any more, it was taken away.
    pub fn explain(&self, batch: BatchId, error: Error) -> Error {
        match error {
            Error::BatchNotFound { .. } | Error::NotSubscribed { .. } => self.lost(batch),
            error => error,
        }
    }

    pub(super) fn finish(&self, batch: BatchId) -> Call<'_, Finish> {
        match &self.member {
            None => batch::finish(batch),
            Some(Member { main, sub }) => coop::finish_fenced(&self.queue, main, sub, batch),
        }
    }
}
