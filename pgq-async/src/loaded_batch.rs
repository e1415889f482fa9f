use std::mem;
use std::time::Duration;

use pgq_core::batch::OpenBatch;
use pgq_core::{Event, NextBatch, Result};
use tokio_postgres::{Client, Transaction};

use crate::batch::complete;
use crate::fault_point;

/// The events of a batch that is open on the server, without a transaction. Comes from [`Batch::load`](crate::Batch::load).
///
/// Dropping it leaves the batch open: it comes again.
///
/// ```no_run
/// # use std::time::Duration;
/// # fn send_mail(event: &pgq_async::pgq_core::Event) -> Result<(), ()> { Ok(()) }
/// # async fn example(mut db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// # let consumer = pgq_async::Consumer::new("orders", "mail");
/// while let Some(mut batch) = consumer.next_loaded(&mut db).await? {
///     for event in batch.take_events() {
///         if send_mail(&event).is_err() {
///             batch.retry(&event, Duration::from_secs(60));
///         }
///     }
///     batch.finish(&mut db).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch that is dropped comes again"]
#[derive(Debug)]
pub struct LoadedBatch {
    open: OpenBatch,
    events: Vec<Event>,
}

impl LoadedBatch {
    pub(crate) fn new(open: OpenBatch, events: Vec<Event>) -> Self {
        Self { open, events }
    }

    /// The events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Takes the events out, for a loop that calls [`retry`](Self::retry) or [`dead_letter`](Self::dead_letter).
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// The batch and the ticks that it lies between.
    pub fn info(&self) -> &NextBatch {
        self.open.info()
    }

    /// Like [`Batch::retry`](crate::Batch::retry).
    pub fn retry(&mut self, event: &Event, after: Duration) {
        self.open.retry(event, after);
    }

    /// Like [`Batch::dead_letter`](crate::Batch::dead_letter).
    pub fn dead_letter(&mut self, event: &Event, reason: impl Into<String>, error: impl Into<String>) {
        self.open.dead_letter(event, reason, error);
    }

    /// Writes the dead letters, queues the retries and moves the consumer past the batch, in a transaction of its own: three round trips,
    /// one or two for retries, and one for each 5,000 letters.
    ///
    /// # Errors
    /// [`Error::BatchLost`](pgq_core::Error::BatchLost) if somebody took the batch meanwhile: what you did for it will be done again.
    pub async fn finish(self, client: &mut Client) -> Result<()> {
        self.finish_in(client.transaction().await?).await
    }

    /// Like [`finish`](Self::finish), in a transaction that has just begun.
    pub(crate) async fn finish_in(self, transaction: Transaction<'_>) -> Result<()> {
        complete(&transaction, &self.open).await?;
        fault_point::commit(self.open.reader(), transaction.commit()).await
    }
}
