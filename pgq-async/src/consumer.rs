use std::borrow::BorrowMut;

use pgq_core::batch::{ChunkSize, EmptyBatches, Reader};
use pgq_core::consumer::{self, IfClaimed};
#[cfg(feature = "fault-points")]
use pgq_core::fault_point::Hook;
use pgq_core::{ConsumerInfo, Created, Filter, Pace, Result, TickId};
use tokio_postgres::{Client, GenericClient};

use crate::{Attached, Batch, ClientExt, LoadedBatch, NextEvents, claim};

/// A consumer of a queue, by their names, and how it wants its batches.
///
/// One name is one reader: two processes that use it at the same time work on the same batch, and the second to finish gets
/// [`Error::BatchLost`](pgq_core::Error::BatchLost).
#[derive(Clone, Debug)]
pub struct Consumer {
    reader: Reader,
}

impl Consumer {
    /// Names a consumer; does not look whether it is registered.
    pub fn new(queue: impl Into<String>, name: impl Into<String>) -> Self {
        Self { reader: Reader::consumer(queue, name) }
    }

    /// Sets how large and how old a batch should be before it is opened. As soon as there is one, unless set.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.reader.reading.pace = pace;
        self
    }

    /// Sets which events are handed over. The others are skipped on the server and count as done.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.reader.reading.filter = filter;
        self
    }

    /// Sets how much of a batch is fetched at once. 1,000 events or 8 MiB, unless set.
    #[must_use]
    pub fn chunk(mut self, chunk: ChunkSize) -> Self {
        self.reader.reading.chunk = chunk;
        self
    }

    /// Sets what becomes of batches that have no event for this consumer. They are passed, unless set;
    /// [`ExactlyOnce::by_tick`](crate::ExactlyOnce::by_tick) needs them handed over.
    #[must_use]
    pub fn empty_batches(mut self, empty_batches: EmptyBatches) -> Self {
        self.reader.reading.empty_batches = empty_batches;
        self
    }

    /// Has the hook decide what happens at the points that it reaches.
    #[cfg(feature = "fault-points")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_fault_points(mut self, hook: Hook) -> Self {
        self.reader = self.reader.with_fault_points(hook);
        self
    }

    /// The name of the queue.
    pub fn queue(&self) -> &str {
        self.reader.queue()
    }

    /// The name of the consumer.
    pub fn name(&self) -> &str {
        self.reader.name()
    }

    /// Registers the consumer at the newest tick, if it is not registered: it also gets what was inserted since that. One round
    /// trip; see [`consumer::register`].
    pub async fn register(&self, client: &impl GenericClient) -> Result<Created> {
        client.call(consumer::register(self.queue(), self.name())).await
    }

    /// Registers the consumer at a tick, or moves it there. One round trip; see [`consumer::register_at`].
    pub async fn register_at(&self, client: &impl GenericClient, tick: TickId) -> Result<Created> {
        client.call(consumer::register_at(self.queue(), self.name(), tick)).await
    }

    /// Unregisters the consumer; 0 where it was not registered. One round trip; see [`consumer::unregister`].
    pub async fn unregister(&self, client: &impl GenericClient) -> Result<u32> {
        client.call(consumer::unregister(self.queue(), self.name())).await
    }

    /// Looks at the consumer; `None` where it is not registered. One round trip; see [`consumer::info`].
    pub async fn info(&self, client: &impl GenericClient) -> Result<Option<ConsumerInfo>> {
        client.call(consumer::info(self.queue(), self.name())).await
    }

    /// Claims the consumer for this session, so that of several processes that do this one works and the others stand by. Off unless
    /// called: without it, two that use one name do the same work, and the second to finish loses it. Ends with the session, or by
    /// [`release`](Self::release). One round trip for each try; see [`consumer::claim`].
    ///
    /// Keeps out only those that claim too. Useless on a connection that a pooler hands on. A future of it that is dropped may have
    /// got the claim.
    ///
    /// # Errors
    /// [`Error::ConsumerClaimed`](pgq_core::Error::ConsumerClaimed) with [`IfClaimed::Fail`].
    ///
    /// # Panics
    /// With [`IfClaimed::Wait`], when it has to wait outside of a tokio runtime, or in one without time: build it with `enable_time` or
    /// `enable_all`.
    pub async fn claim(&self, client: &impl GenericClient, if_claimed: IfClaimed) -> Result<()> {
        claim::claim(client, &self.reader, if_claimed).await
    }

    /// Gives up what [`claim`](Self::claim) got, once for each time; `false` where there was nothing. One round trip.
    pub async fn release(&self, client: &impl GenericClient) -> Result<bool> {
        client.call(self.reader.release()).await
    }

    /// Opens the next batch that has events for this consumer; `None` where no new tick is there. Finishes empty ones silently,
    /// unless [`empty_batches`](Self::empty_batches) says otherwise.
    ///
    /// `pgq.next_batch_custom` runs and commits on its own; then the transaction of the batch begins and its first events are
    /// fetched: three round trips.
    ///
    /// # Errors
    /// Those of [`next_custom`](pgq_core::batch::next_custom) and [`cursor`](pgq_core::batch::cursor).
    pub async fn next_batch<'c>(&self, client: &'c mut Client) -> Result<Option<Batch<'c>>> {
        Batch::next(client, &self.reader).await
    }

    /// Opens the next batch, loads its events and ends the transaction: [`next_batch`](Self::next_batch) and [`Batch::load`] in one.
    ///
    /// # Errors
    /// Those of the two.
    pub async fn next_loaded(&self, client: &mut Client) -> Result<Option<LoadedBatch>> {
        match self.next_batch(client).await? {
            Some(batch) => batch.load().await.map(Some),
            None => Ok(None),
        }
    }

    /// Streams the events of all batches that are there now, and finishes each batch, in a transaction of its own, when the
    /// loop moves past its last event. Ends where no new tick is there; call it again later.
    ///
    /// The batch's transaction is open while your loop works; for work that takes long use [`next_loaded`](Self::next_loaded), and to
    /// write in the same transaction, exactly once, [`next_batch`](Self::next_batch). Asking for the event after a batch's last one
    /// finishes that batch: handle each event before you ask for the next, and do not collect or read ahead.
    ///
    /// Leaving the loop early leaves the batch open: it comes again, whole. So does an error, after which the stream ends.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(mut db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # let consumer = pgq_async::Consumer::new("orders", "billing");
    /// loop {
    ///     let mut events = consumer.next_events(&mut db);
    ///     while let Some(event) = events.next_event().await? {
    ///         if event.data.is_none() {
    ///             events.retry(&event, Duration::from_secs(60))?;
    ///         }
    ///     }
    ///     drop(events);
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    /// }
    /// # }
    /// ```
    pub fn next_events<'c>(&self, client: &'c mut Client) -> NextEvents<'c> {
        NextEvents::new(self.reader.clone(), client)
    }

    /// Ties the consumer to a connection, by value or `&mut`, so that its methods need no argument.
    pub fn attach<C: BorrowMut<Client>>(self, client: C) -> Attached<C> {
        Attached::new(self, client)
    }
}

impl From<Consumer> for Reader {
    fn from(consumer: Consumer) -> Self {
        consumer.reader
    }
}
