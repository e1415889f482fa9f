use std::time::Duration;

use pgq_core::batch::{OpenBatch, Reader};
use pgq_core::fault_point::Point;
use pgq_core::{Error, Event, NextBatch, Result};
use postgres::{Client, GenericClient, Transaction};

use crate::{ClientExt, Events, LoadedBatch, fault_point};

/// An open batch and the transaction that it is worked on in.
///
/// What you write through [`transaction`](Self::transaction), the retries, the dead letters and the finish commit together, so each
/// event takes effect exactly once in this database. Dropping the batch rolls all of it back, and PgQ hands the same batch out again.
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
        fault_point::reach(reader, Point::AfterNextCommit)?;
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
        fault_point::commit(reader, || self.transaction.batch_execute("COMMIT"))?;
        let found = ask(&mut self.transaction, reader)?;
        if found.is_some() {
            fault_point::reach(reader, Point::AfterNextCommit)?;
        }
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

    /// Gives the event up: it becomes a dead letter of this consumer, with the kind of trouble in a word or two, such as `error` or
    /// `timeout`, and what went wrong. Takes effect with [`finish`](Self::finish), together with the other letters; an event is either
    /// retried or dead, and the last wish counts. [`DeadLetters`](crate::DeadLetters) are where it is found then.
    ///
    /// Needs the schema `pgq_dead`, which is not installed unless asked for: without it, the finish fails.
    pub fn dead_letter(&mut self, event: &Event, reason: impl Into<String>, error: impl Into<String>) {
        self.open.dead_letter(event, reason, error);
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

    /// Writes the dead letters, queues the retries, moves the consumer past the batch and commits: two round trips, three if all events
    /// are to be retried alike, four if some are, and one for each 5,000 letters or 1 MiB of their texts.
    ///
    /// # Errors
    /// [`Error::BatchUnread`] if there are events that were not read. [`Error::BatchLost`] if somebody took the batch meanwhile.
    /// [`Error::NotInstalled`] if there are dead letters and no schema for them.
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
        let Self { transaction, open } = self;
        fault_point::commit(open.reader(), || transaction.commit())
    }

    /// Begins a transaction again for a batch whose reading was suspended.
    pub(crate) fn resume(client: &'c mut Client, open: OpenBatch) -> Result<Self> {
        Ok(Self { transaction: client.transaction()?, open })
    }

    /// Ends the transaction, and the reading for now.
    pub(crate) fn suspend(mut self) -> Result<OpenBatch> {
        self.open.suspend();
        self.transaction.rollback()?;
        Ok(self.open)
    }

    /// Writes the dead letters and queues the retries.
    pub(crate) fn write_wishes(&mut self) -> Result<()> {
        write_wishes(&mut self.transaction, &self.open)
    }

    /// Commits what was done so far, wishes included, and goes on in a new transaction.
    pub(crate) fn commit_slice(&mut self) -> Result<()> {
        fault_point::commit(self.open.reader(), || self.transaction.batch_execute("COMMIT"))?;
        self.open.flushed();
        self.open.suspend();
        Ok(self.transaction.batch_execute("BEGIN")?)
    }

    pub(crate) fn open(&mut self) -> &mut OpenBatch {
        &mut self.open
    }

    /// Like [`retry`](Self::retry), but only for an event that can be of this batch.
    pub(crate) fn retry_own(&mut self, event: &Event, after: Duration) -> Result<()> {
        if !self.open.has_popped(event) {
            return Err(Error::RetryTooLate { event: event.id });
        }
        self.open.retry(event, after);
        Ok(())
    }

    /// Has events received, unless there are some or it is at the end.
    pub(crate) fn fill(&mut self) -> Result<()> {
        while self.open.wants_chunk() {
            let point = self.open.next_point();
            let Some(fetch) = self.open.fetch()? else { break };
            let chunk = self.transaction.call(fetch).map_err(|error| self.open.explain(error))?;
            self.open.received(chunk);
            fault_point::reach(self.open.reader(), point)?;
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        complete(&mut self.transaction, &self.open)
    }
}

/// Writes the letters, queues the retries and finishes the batch, in a transaction that is to be rolled back if this fails.
pub(crate) fn complete(transaction: &mut Transaction<'_>, open: &OpenBatch) -> Result<()> {
    fault_point::reach(open.reader(), Point::BeforeFence)?;
    write_wishes(transaction, open)?;
    fault_point::reach(open.reader(), Point::AfterFence)?;
    let finish = transaction.call(open.finish())?;
    fault_point::reach(open.reader(), Point::AfterFinish)?;
    open.finished(finish)
}

/// Writes the letters and queues the retries.
fn write_wishes(transaction: &mut Transaction<'_>, open: &OpenBatch) -> Result<()> {
    for letters in open.letters() {
        transaction.call(letters).map_err(|error| open.explain(error))?;
    }
    if open.has_retries() {
        let means = match open.retry_means() {
            Some(ask) => transaction.call(ask)?,
            None => None,
        };
        transaction.call(open.retries(means)?).map_err(|error| open.explain(error))?;
    }
    Ok(())
}

/// Asks for the next batch, in a transaction of its own.
fn ask(client: &mut impl GenericClient, reader: &Reader) -> Result<Option<NextBatch>> {
    const TRIES: u32 = 5;

    let mut found = client.call(reader.next());
    for _ in 1..TRIES {
        // Two subconsumers registered themselves at the same moment, and one of them is through.
        let Err(Error::CreatedMeanwhile { .. }) = found else { break };
        found = client.call(reader.next());
    }
    if let Ok(Some(_)) = found {
        fault_point::reach(reader, Point::AfterNext)?;
    }
    found
}
