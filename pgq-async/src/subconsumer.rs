use std::time::Duration;

use pgq_core::batch::{self, ChunkSize, EmptyBatches, Finish, Reader};
use pgq_core::consumer::{self, IfClaimed};
use pgq_core::coop::{self, IfBusy};
#[cfg(feature = "fault-points")]
use pgq_core::fault_point::Hook;
use pgq_core::{BatchId, ConsumerInfo, Created, Filter, Pace, Result};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, GenericClient, Socket};

use crate::connection::Dial;
use crate::{Batch, ClientExt, Heartbeat, LoadedBatch, NextEvents, claim};

/// A member of a cooperative consumer: it shares the position of the main consumer with the other members, and each batch goes to
/// one of them. Takes the schema `pgq_coop`.
///
/// A batch that a dead member had open waits until it comes back under its name, or another one takes it over
/// ([`dead_interval`](Self::dead_interval)). Whoever had it then finishes nothing any more, however late it wakes up: finishing
/// asks, in the batch's transaction and under the lock that a takeover needs, whether the batch is still its own.
///
/// Names must not have dots. Give each member a name that it keeps over restarts, and do not read with
/// [`Consumer`](crate::Consumer) under the name of the main consumer. Its [`unregister`](crate::Consumer::unregister) removes the
/// whole group.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(mut db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let worker = pgq_async::SubConsumer::new("orders", "mail", "worker-1").dead_interval(Duration::from_secs(60));
/// worker.register(&mut db).await?;
/// while let Some(mut batch) = worker.next_batch(&mut db).await? {
///     while let Some(event) = batch.next_event().await? {
///         batch.transaction().execute("INSERT INTO sent (id) VALUES ($1)", &[&event.id.0]).await?;
///     }
///     batch.finish().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SubConsumer {
    reader: Reader,
}

impl SubConsumer {
    /// Names a subconsumer of the consumer `main`; does not look whether they are registered.
    pub fn new(queue: impl Into<String>, main: impl Into<String>, name: impl Into<String>) -> Self {
        Self { reader: Reader::subconsumer(queue, main, name) }
    }

    /// Takes over the batch of a member that has not opened, finished or beaten for so long. Never, unless set.
    ///
    /// Choose it longer than the longest batch takes, or have long batches [beat](Self::heartbeat): a member that is taken for dead
    /// wrongly loses its work, not its events. The takeover happens in [`next_batch`](Self::next_batch) and its like, one dead
    /// member at a time. A member that is only idle is unregistered by it, and registers itself again when it asks for a batch.
    #[must_use]
    pub fn dead_interval(mut self, interval: Duration) -> Self {
        self.reader.reading.dead_interval = Some(interval);
        self
    }

    /// Like [`Consumer::pace`](crate::Consumer::pace).
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.reader.reading.pace = pace;
        self
    }

    /// Like [`Consumer::filter`](crate::Consumer::filter). All members should have the same.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.reader.reading.filter = filter;
        self
    }

    /// Like [`Consumer::chunk`](crate::Consumer::chunk).
    #[must_use]
    pub fn chunk(mut self, chunk: ChunkSize) -> Self {
        self.reader.reading.chunk = chunk;
        self
    }

    /// Like [`Consumer::empty_batches`](crate::Consumer::empty_batches).
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

    /// The name of the main consumer.
    pub fn main(&self) -> &str {
        self.reader.main()
    }

    /// The name of the subconsumer in its group. PgQ lists it as `main.name`.
    pub fn name(&self) -> &str {
        self.reader.sub().unwrap_or_default()
    }

    /// Registers the subconsumer, and the main consumer at the newest tick if that is new. One round trip; see [`coop::register`].
    pub async fn register(&self, client: &impl GenericClient) -> Result<Created> {
        client.call(coop::register(self.queue(), self.main(), self.name())).await
    }

    /// Unregisters the subconsumer; 0 where it was not registered. The main consumer and its position stay.
    ///
    /// In one transaction (a savepoint inside one of yours). [`IfBusy::GiveBack`] has all events of an open batch retried by the
    /// group, and finishes the batch, before the subconsumer goes: six round trips, else three.
    ///
    /// # Errors
    /// [`Error::SubConsumerBusy`](pgq_core::Error::SubConsumerBusy) with [`IfBusy::Refuse`].
    /// [`Error::BatchLost`](pgq_core::Error::BatchLost) if the batch was finished or taken over just now: try again.
    pub async fn unregister(&self, client: &mut impl GenericClient, if_busy: IfBusy) -> Result<u32> {
        let transaction = client.transaction().await?;
        if if_busy == IfBusy::GiveBack {
            self.give_back(&transaction).await?;
        }
        let removed = transaction.call(coop::unregister(self.queue(), self.main(), self.name())).await?;
        transaction.commit().await?;
        Ok(removed)
    }

    async fn give_back(&self, transaction: &impl GenericClient) -> Result<()> {
        let info = transaction.call(consumer::info(self.queue(), self.reader.name())).await?;
        let Some(batch) = info.and_then(|info| info.current_batch) else { return Ok(()) };
        let explain = |error| self.reader.explain(batch, error);
        transaction.call(batch::retry(batch, Duration::ZERO)).await.map_err(explain)?;
        let finish = coop::finish_fenced(self.queue(), self.main(), self.name(), batch);
        match transaction.call(finish).await? {
            Finish::Done => Ok(()),
            Finish::NotOpen => Err(self.reader.lost(batch)),
        }
    }

    /// Looks at the subconsumer; `None` where it is not registered. One round trip; see [`consumer::info`].
    pub async fn info(&self, client: &impl GenericClient) -> Result<Option<ConsumerInfo>> {
        client.call(consumer::info(self.queue(), self.reader.name())).await
    }

    /// Like [`Consumer::claim`](crate::Consumer::claim), for the name of this subconsumer in its group.
    ///
    /// # Errors
    /// Like [`Consumer::claim`](crate::Consumer::claim).
    ///
    /// # Panics
    /// Like [`Consumer::claim`](crate::Consumer::claim).
    pub async fn claim(&self, client: &impl GenericClient, if_claimed: IfClaimed) -> Result<()> {
        claim::claim(client, &self.reader, if_claimed).await
    }

    /// Like [`Consumer::release`](crate::Consumer::release).
    pub async fn release(&self, client: &impl GenericClient) -> Result<bool> {
        client.call(self.reader.release()).await
    }

    /// Opens the next batch of the group that has events, or takes one over; `None` where there is none. Finishes empty ones
    /// silently, unless [`empty_batches`](Self::empty_batches) says otherwise. Registers who is not registered.
    ///
    /// `pgq_coop.next_batch_custom` runs and commits on its own, for it locks the group; then the transaction of the batch begins
    /// and its first events are fetched: three round trips. [`Batch::finish`] locks the group again, until its commit. That takes
    /// the default isolation, read committed: with another one the finish fails when a sibling opened a batch meanwhile.
    ///
    /// # Errors
    /// Those of [`coop::next_custom`] and [`batch::cursor`].
    pub async fn next_batch<'c>(&self, client: &'c mut Client) -> Result<Option<Batch<'c>>> {
        Batch::next(client, &self.reader).await
    }

    /// Like [`Consumer::next_loaded`](crate::Consumer::next_loaded).
    ///
    /// # Errors
    /// Like [`next_batch`](Self::next_batch).
    pub async fn next_loaded(&self, client: &mut Client) -> Result<Option<LoadedBatch>> {
        match self.next_batch(client).await? {
            Some(batch) => batch.load().await.map(Some),
            None => Ok(None),
        }
    }

    /// Streams the events of all batches that this subconsumer gets now, like
    /// [`Consumer::next_events`](crate::Consumer::next_events).
    pub fn next_events<'c>(&self, client: &'c mut Client) -> NextEvents<'c> {
        NextEvents::new(self.reader.clone(), client)
    }

    /// Beats for a batch while the returned future is polled, so that nobody takes it over however long the work takes. Ends when
    /// the batch is lost, with that as its error: poll it beside the work.
    ///
    /// Each beat makes a connection of its own by `config` and `tls`, three round trips, and closes it: the first one after
    /// `every`, so a batch that is done sooner costs none. A third of the shortest `dead_interval` in the group is a good pace. A
    /// beat locks the group for a moment, and nothing that the batch's own transaction holds before its finish: it works beside
    /// [`Batch`] and [`LoadedBatch`]. Stop it before you finish the batch, or it may take the finish for a loss.
    /// An `every` of less than 100 milliseconds, such as 0, is taken as that. See [`Heartbeat`] for how long a beat may take, and for
    /// what ends it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn work() -> Result<(), pgq_async::pgq_core::Error> { Ok(()) }
    /// # async fn example(mut db: tokio_postgres::Client, config: tokio_postgres::Config) -> Result<(), Box<dyn std::error::Error>> {
    /// # let worker = pgq_async::SubConsumer::new("orders", "mail", "worker-1");
    /// while let Some(batch) = worker.next_loaded(&mut db).await? {
    ///     let every = Duration::from_secs(10);
    ///     let heartbeat = worker.heartbeat(batch.info().id, config.clone(), tokio_postgres::NoTls, every);
    ///     tokio::select! {
    ///         error = heartbeat => return Err(error.into()),
    ///         done = work() => done?,
    ///     }
    ///     batch.finish(&mut db).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is polled outside of a tokio runtime, or in one without time: build it with `enable_time` or `enable_all`.
    pub fn heartbeat<T>(&self, batch: BatchId, config: Config, tls: T, every: Duration) -> Heartbeat
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Heartbeat::new(self.reader.clone(), batch, Dial::new(config, tls), every)
    }
}

impl From<SubConsumer> for Reader {
    fn from(consumer: SubConsumer) -> Self {
        consumer.reader
    }
}
