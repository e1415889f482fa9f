use std::pin::Pin;
use std::time::Duration;

use futures::TryStreamExt;
use pgq_core::batch::{OpenBatch, Reader};
use pgq_core::fault_point::Point;
use pgq_core::{Call, Error, Event, NextBatch, Result};
use tokio_postgres::{Client, GenericClient, RowStream, Transaction};

use crate::{ClientExt, Events, LoadedBatch, fault_point};

/// An open batch and the transaction that it is worked on in.
///
/// What you write through [`transaction`](Self::transaction), the retries, the dead letters and the finish commit together, so each
/// event takes effect exactly once in this database. Dropping the batch rolls all of it back, and PgQ hands the same batch out again.
///
/// ```no_run
/// # async fn example(mut db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// # let consumer = pgq_async::Consumer::new("orders", "billing");
/// while let Some(mut batch) = consumer.next_batch(&mut db).await? {
///     while let Some(event) = batch.next_event().await? {
///         batch.transaction().execute("INSERT INTO seen (id) VALUES ($1)", &[&event.id.0]).await?;
///     }
///     batch.finish().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch that is dropped comes again"]
pub struct Batch<'c> {
    transaction: Transaction<'c>,
    open: OpenBatch,
    ahead: Option<Ahead>,
}

/// A chunk that was asked for, and what came of it so far.
struct Ahead {
    rows: Pin<Box<RowStream>>,
    events: Vec<Event>,
}

impl<'c> Batch<'c> {
    pub(crate) async fn next(client: &'c mut Client, reader: &Reader) -> Result<Option<Self>> {
        let Some(found) = Self::ask(client, reader).await? else { return Ok(None) };
        fault_point::reach(reader, Point::AfterNextCommit).await?;
        let transaction = client.transaction().await?;
        let mut batch = Self { transaction, open: reader.open(found), ahead: None };
        Ok(batch.pass_empty(reader).await?.then_some(batch))
    }

    /// Asks for the next batch, in a transaction of its own.
    pub(crate) async fn ask(client: &impl GenericClient, reader: &Reader) -> Result<Option<NextBatch>> {
        ask(client, reader).await
    }

    /// Begins the transaction of a batch that was [asked](Self::ask) for, or goes on with one that was
    /// [suspended](Self::suspend).
    pub(crate) async fn begin(client: &'c mut Client, open: OpenBatch) -> Result<Self> {
        fault_point::reach(open.reader(), Point::AfterNextCommit).await?;
        Ok(Self { transaction: client.transaction().await?, open, ahead: None })
    }

    /// Ends the transaction, for now.
    pub(crate) async fn suspend(self) -> Result<OpenBatch> {
        let Self { transaction, mut open, ahead } = self;
        drop(ahead);
        transaction.rollback().await?;
        open.suspend();
        Ok(open)
    }

    /// Commits what was done so far, though the batch is not finished, and begins a new transaction.
    pub(crate) async fn commit_slice(&mut self) -> Result<()> {
        fault_point::commit(self.open.reader(), self.transaction.batch_execute("COMMIT")).await?;
        self.open.flushed();
        self.open.suspend();
        self.transaction.batch_execute("BEGIN").await?;
        Ok(())
    }

    /// Writes the letters and queues the retries.
    pub(crate) async fn write_wishes(&mut self) -> Result<()> {
        self.ahead = None;
        write_wishes(&self.transaction, &self.open).await
    }

    /// Runs a call in the transaction.
    pub(crate) async fn call<T>(&self, call: Call<'_, T>) -> Result<T> {
        self.transaction.call(call).await
    }

    /// What is to be asked of the server, and what came.
    pub(crate) fn open(&mut self) -> &mut OpenBatch {
        &mut self.open
    }

    /// Commits the finished batch and opens the next one; `false` where there is none.
    ///
    /// The transaction is ended and begun anew by hand: a `Transaction` can neither outlive its client's borrow nor give it back.
    pub(crate) async fn advance(&mut self, reader: &Reader) -> Result<bool> {
        Ok(self.finish_and_open(reader).await? && self.pass_empty(reader).await?)
    }

    async fn pass_empty(&mut self, reader: &Reader) -> Result<bool> {
        self.fill().await?;
        while self.open.is_passed() {
            if !self.finish_and_open(reader).await? {
                return Ok(false);
            }
            self.fill().await?;
        }
        Ok(true)
    }

    async fn finish_and_open(&mut self, reader: &Reader) -> Result<bool> {
        self.complete().await?;
        fault_point::commit(reader, self.transaction.batch_execute("COMMIT")).await?;
        let found = ask(&self.transaction, reader).await?;
        if found.is_some() {
            fault_point::reach(reader, Point::AfterNextCommit).await?;
        }
        self.transaction.batch_execute("BEGIN").await?;
        let Some(found) = found else { return Ok(false) };
        self.open = reader.open(found);
        Ok(true)
    }

    /// The next event; `None` at the end of the batch. A round trip for each chunk.
    ///
    /// # Errors
    /// [`Error::EventTimestamp`]; the connection's; [`Error::ReadInterrupted`] if a future of this or of [`events`](Self::events)
    /// was dropped while a chunk was on its way. Drop the batch then: it comes again.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        self.fill().await?;
        Ok(self.open.pop())
    }

    /// Streams the rest of the events, for a loop that does not write through the batch. When a chunk is here the next one is asked
    /// for, and its rows come while the loop works: a round trip at the beginning of each chunk.
    pub fn events(&mut self) -> Events<'_, 'c> {
        Events::new(self)
    }

    /// The transaction that the finish will be part of. Commit and rollback are the batch's business.
    ///
    /// Gives up a chunk that an unfinished [`events`](Self::events) asked for in advance: the rest of the batch cannot be read then.
    pub fn transaction(&mut self) -> &mut Transaction<'c> {
        // Undelivered rows would stand before the answer to the caller's statement for ever.
        self.ahead = None;
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
    pub async fn load(mut self) -> Result<LoadedBatch> {
        let mut events = Vec::new();
        while let Some(event) = self.next_ahead().await? {
            events.push(event);
        }
        self.transaction.rollback().await?;
        Ok(LoadedBatch::new(self.open, events))
    }

    /// Writes the dead letters, queues the retries, moves the consumer past the batch and commits: two round trips, three if all events
    /// are to be retried alike, four if some are, and one for each 5,000 letters or 1 MiB of their texts.
    ///
    /// # Errors
    /// [`Error::BatchUnread`] if there are events that were not read. [`Error::BatchLost`] if somebody took the batch meanwhile.
    /// [`Error::NotInstalled`] if there are dead letters and no schema for them.
    /// Everything is rolled back then, and after any other error, unless the connection broke during the commit.
    pub async fn finish(mut self) -> Result<()> {
        self.fill().await?;
        self.open.check_read()?;
        self.finish_unread().await
    }

    /// Like [`finish`](Self::finish), though there may be events that were not read: they are given up.
    ///
    /// # Errors
    /// Like [`finish`](Self::finish), but for [`Error::BatchUnread`].
    pub async fn finish_unread(mut self) -> Result<()> {
        self.complete().await?;
        let Self { transaction, open, .. } = self;
        fault_point::commit(open.reader(), transaction.commit()).await
    }

    /// Like [`next_event`](Self::next_event), but asks for the next chunk as soon as this one is there. Only for callers that
    /// cannot use the transaction meanwhile.
    pub(crate) async fn next_ahead(&mut self) -> Result<Option<Event>> {
        if self.open.wants_chunk() {
            self.fill().await?;
            self.ask_ahead().await?;
        }
        Ok(self.open.pop())
    }

    /// Like [`retry`](Self::retry), but only for an event that can be of this batch.
    pub(crate) fn retry_own(&mut self, event: &Event, after: Duration) -> Result<()> {
        if !self.open.has_popped(event) {
            return Err(Error::RetryTooLate { event: event.id });
        }
        self.open.retry(event, after);
        Ok(())
    }

    /// The next event of those that are here.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.open.pop()
    }

    /// Sees to it that there is an event to pop, if there is another one.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        while self.open.wants_chunk() {
            let point = self.open.next_point();
            let chunk = match &mut self.ahead {
                Some(ahead) => ahead.receive(&self.open).await,
                None => match self.open.fetch()? {
                    Some(fetch) => self.transaction.call(fetch).await,
                    None => break,
                },
            };
            self.ahead = None;
            let chunk = chunk.map_err(|error| self.open.explain(error))?;
            self.open.received(chunk);
            fault_point::reach(self.open.reader(), point).await?;
        }
        Ok(())
    }

    async fn ask_ahead(&mut self) -> Result<()> {
        let Some(mut fetch) = self.open.fetch()? else { return Ok(()) };
        let (sql, params) = fetch.request()?;
        let rows = self.transaction.query_typed_raw(sql, params).await.map_err(|error| fetch.error(error))?;
        self.ahead = Some(Ahead { rows: Box::pin(rows), events: Vec::new() });
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        self.ahead = None;
        complete(&self.transaction, &self.open).await
    }
}

impl Ahead {
    async fn receive(&mut self, open: &OpenBatch) -> Result<Vec<Event>> {
        while let Some(row) = self.rows.try_next().await.map_err(|error| open.error(error))? {
            self.events.push(Event::try_from(&row)?);
        }
        Ok(std::mem::take(&mut self.events))
    }
}

/// Writes the letters, queues the retries and finishes the batch, in a transaction that is to be rolled back if this fails.
pub(crate) async fn complete(transaction: &Transaction<'_>, open: &OpenBatch) -> Result<()> {
    fault_point::reach(open.reader(), Point::BeforeFence).await?;
    write_wishes(transaction, open).await?;
    fault_point::reach(open.reader(), Point::AfterFence).await?;
    let finish = transaction.call(open.finish()).await?;
    fault_point::reach(open.reader(), Point::AfterFinish).await?;
    open.finished(finish)
}

async fn write_wishes(transaction: &Transaction<'_>, open: &OpenBatch) -> Result<()> {
    for letters in open.letters() {
        transaction.call(letters).await.map_err(|error| open.explain(error))?;
    }
    if open.has_retries() {
        let means = match open.retry_means() {
            Some(ask) => transaction.call(ask).await?,
            None => None,
        };
        transaction.call(open.retries(means)?).await.map_err(|error| open.explain(error))?;
    }
    Ok(())
}

/// Asks for the next batch, in a transaction of its own.
async fn ask(client: &impl GenericClient, reader: &Reader) -> Result<Option<NextBatch>> {
    const TRIES: u32 = 5;

    let mut found = client.call(reader.next()).await;
    for _ in 1..TRIES {
        // Two subconsumers registered themselves at the same moment, and one of them is through.
        let Err(Error::CreatedMeanwhile { .. }) = found else { break };
        found = client.call(reader.next()).await;
    }
    if let Ok(Some(_)) = found {
        fault_point::reach(reader, Point::AfterNext).await?;
    }
    found
}
