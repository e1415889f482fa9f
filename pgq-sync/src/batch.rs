use std::time::Duration;

use pgq_core::batch::{OpenBatch, Reader};
use pgq_core::{Error, Event, NextBatch, Result};
use postgres::{Client, GenericClient, Transaction};

use crate::{ClientExt, Events, LoadedBatch};

/// An open batch and the transaction that it is worked on in.
///
/// What you write through [`transaction`](Self::transaction), the retries and the finish commit together, so each event takes
/// effect exactly once in this database. Dropping the batch rolls all of it back, and PgQ hands the same batch out again.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut db = postgres::Client::connect("dbname=shop", postgres::NoTls)?;
/// # let consumer = pgq_sync::Consumer::new("orders", "billing");
/// while let Some(mut batch) = consumer.next_batch(&mut db)? {
///     while let Some(event) = batch.next_event()? {
///         batch.transaction().execute("INSERT INTO seen (id) VALUES ($1)", &[&event.id.0])?;
///     }
///     batch.finish()?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch that is dropped comes again"]
pub struct Batch<'c> {
    transaction: Transaction<'c>,
    open: OpenBatch,
}

impl<'c> Batch<'c> {
    pub(crate) fn next(client: &'c mut Client, reader: &Reader) -> Result<Option<Self>> {
        let Some(found) = ask(client, reader)? else { return Ok(None) };
        let mut batch = Self { transaction: client.transaction()?, open: reader.open(found) };
        Ok(batch.pass_empty(reader)?.then_some(batch))
    }

    /// Commits the finished batch and opens the next one; `false` where there is none.
    ///
    /// The transaction is ended and begun anew by hand: a `Transaction` can neither outlive its client's borrow nor give it back.
    pub(crate) fn advance(&mut self, reader: &Reader) -> Result<bool> {
        Ok(self.finish_and_open(reader)? && self.pass_empty(reader)?)
    }

    fn pass_empty(&mut self, reader: &Reader) -> Result<bool> {
        self.fill()?;
        while self.open.is_passed() {
            if !self.finish_and_open(reader)? {
                return Ok(false);
            }
            self.fill()?;
        }
        Ok(true)
    }

    fn finish_and_open(&mut self, reader: &Reader) -> Result<bool> {
        self.complete()?;
        self.transaction.batch_execute("COMMIT")?;
        let found = ask(&mut self.transaction, reader)?;
        self.transaction.batch_execute("BEGIN")?;
        let Some(found) = found else { return Ok(false) };
        self.open = reader.open(found);
        Ok(true)
    }

    /// The next event; `None` at the end of the batch. A round trip for each chunk.
    ///
    /// # Errors
    /// [`Error::EventTimestamp`]; the connection's. Drop the batch then: it comes again.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        self.fill()?;
        Ok(self.open.pop())
    }

    /// Iterates over the rest of the events, for a loop that does not write through the batch.
    pub fn events(&mut self) -> Events<'_, 'c> {
        Events::new(self)
    }

    /// The transaction that the finish will be part of. Commit and rollback are the batch's business.
    pub fn transaction(&mut self) -> &mut Transaction<'c> {
        &mut self.transaction
    }

    /// Has the event delivered again to this consumer, `after` that time, rounded up to whole seconds. Takes effect with
    /// [`finish`](Self::finish), together with the other retries.
    pub fn retry(&mut self, event: &Event, after: Duration) {
        self.open.retry(event, after);
    }

    /// The batch and the ticks that it lies between.
    pub fn info(&self) -> &NextBatch {
        self.open.info()
    }

    /// Reads the events that were not read yet into memory and ends the transaction, for work that takes long or touches nothing in
    /// this database. What was written through [`transaction`](Self::transaction) is rolled back.
    ///
    /// The batch stays open on the server. Until [`LoadedBatch::finish`] it comes again when the process dies: at least once.
    ///
    /// # Errors
    /// Like [`next_event`](Self::next_event).
    pub fn load(mut self) -> Result<LoadedBatch> {
        let mut events = Vec::new();
        while let Some(event) = self.next_event()? {
            events.push(event);
        }
        self.transaction.rollback()?;
        Ok(LoadedBatch::new(self.open, events))
    }

    /// Queues the retries, moves the consumer past the batch and commits: two round trips, three if all events are to be retried alike,
    /// four if some are.
    ///
    /// # Errors
    /// [`Error::BatchUnread`] if there are events that were not read. [`Error::BatchLost`] if somebody took the batch meanwhile.
    /// Everything is rolled back then, and after any other error, unless the connection broke during the commit.
    pub fn finish(mut self) -> Result<()> {
        self.fill()?;
        self.open.check_read()?;
        self.finish_unread()
    }

    /// Like [`finish`](Self::finish), though there may be events that were not read: they are given up.
    ///
    /// # Errors
    /// Like [`finish`](Self::finish), but for [`Error::BatchUnread`].
    pub fn finish_unread(mut self) -> Result<()> {
        self.complete()?;
        self.transaction.commit().map_err(Error::from)
    }

    /// Like [`retry`](Self::retry), but only for an event that can be of this batch.
    pub(crate) fn retry_own(&mut self, event: &Event, after: Duration) -> Result<()> {
        if !self.open.has_popped(event) {
            return Err(Error::RetryTooLate { event: event.id });
        }
        self.open.retry(event, after);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        while self.open.wants_chunk() {
            let Some(fetch) = self.open.fetch()? else { break };
            let chunk = self.transaction.call(fetch).map_err(|error| self.open.explain(error))?;
            self.open.received(chunk);
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        complete(&mut self.transaction, &self.open)
    }
}

/// Queues the retries and finishes the batch, in a transaction that is to be rolled back if this fails.
pub(crate) fn complete(transaction: &mut Transaction<'_>, open: &OpenBatch) -> Result<()> {
    if open.has_retries() {
        let means = match open.retry_means() {
            Some(ask) => transaction.call(ask)?,
            None => None,
        };
        transaction.call(open.retries(means)?).map_err(|error| open.explain(error))?;
    }
    open.finished(transaction.call(open.finish())?)
}

/// Asks for the next batch, in a transaction of its own.
fn ask(client: &mut impl GenericClient, reader: &Reader) -> Result<Option<NextBatch>> {
    const TRIES: u32 = 5;

    for _ in 1..TRIES {
        match client.call(reader.next()) {
            // Two subconsumers registered themselves at the same moment, and one of them is through.
            Err(Error::CreatedMeanwhile { .. }) => {}
            found => return found,
        }
    }
    client.call(reader.next())
}
