mod builder;
mod clock;
mod desk;
mod handlers;
mod in_transaction;
mod outside;
mod runner;
#[cfg(feature = "signals")]
mod signals;
mod stopper;
mod work;

use std::fmt;
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::worker::{Failure, Journal, WorkerStats};
use pgq_core::{Error, Result};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_postgres::Config;

pub use self::builder::WorkerBuilder;
pub use self::stopper::Stopper;

/// Handlers write in the transaction of the batch: the way of a [`WorkerBuilder`] unless it is told otherwise.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum InTransaction {}

/// Handlers work elsewhere, without a transaction.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outside {}

/// A consumer that runs on a task of this process, on a connection of its own, and calls handlers for its events.
///
/// It connects, and connects again with growing pauses; waits for ticks by notification, and looks from time to time all the same;
/// opens batches, hands their events to handlers, and finishes them. What a handler returns decides about its event, see
/// [`IntoOutcome`](pgq_core::worker::IntoOutcome): done, to be retried after a pause that grows, or a dead letter. Start one in each
/// replica of a program: those of one name stand by for each other, while each [`SubConsumer`](crate::SubConsumer) of a group gets
/// batches of its own, and beats while it has one in hand.
///
/// # In the transaction
///
/// What a handler writes by the transaction that it is given commits with the finish of the batch, so each event takes effect exactly
/// once in this database. A savepoint before each event, a round trip each, undoes what one that fails has written
/// ([`Undo`](pgq_core::worker::Undo)); one transaction is open for the whole batch, unless
/// [`WorkerOptions::slice`](field@pgq_core::worker::WorkerOptions::slice) cuts it. A deferred constraint
/// that refuses the commit does not say whose event that was: the batch is done again, with a check after each event.
///
/// ```no_run
/// use pgq_async::futures::FutureExt;
/// use pgq_async::pgq_core::worker::WorkerOptions;
/// use pgq_async::{Consumer, Worker};
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: i64,
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "host=/run/postgresql dbname=shop".parse()?;
/// let worker = Worker::builder(config, Consumer::new("orders", "billing"))
///     .options(WorkerOptions::new().handler_limit(std::time::Duration::from_secs(60)))
///     .on("order.paid", |order: Order, transaction| {
///         async move {
///             transaction.execute("INSERT INTO invoice (order_id) VALUES ($1)", &[&order.id]).await?;
///             Ok::<_, pgq_async::tokio_postgres::Error>(())
///         }
///         .boxed()
///     })
///     .spawn()?;
/// // …
/// println!("{} invoices", worker.stop().await?.events.done);
/// # Ok(())
/// # }
/// ```
///
/// # Outside
///
/// For work elsewhere, which takes long or touches nothing in this database: no transaction is open while a handler works, and an event
/// is handled at least once. [`concurrency`](WorkerBuilder::concurrency) has several handled at once, and
/// [`key`](WorkerBuilder::key) keeps the order among those that belong together.
///
/// ```no_run
/// use pgq_async::pgq_core::Event;
/// use pgq_async::{Consumer, Worker};
///
/// # async fn send_mail(_: Event) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "host=/run/postgresql dbname=shop".parse()?;
/// let run = Worker::builder(config, Consumer::new("orders", "mail"))
///     .outside()
///     .concurrency(8)
///     .key(|event| event.extra1.clone())
///     .otherwise(send_mail)
///     .run();
/// tokio::select! {
///     ended = run => drop(ended?),
///     () = std::future::pending() => {} // Whatever ends your program: dropping the future loses nothing.
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping a worker stops it as [`Stopper::stop`] does, without waiting.
#[must_use = "a worker that is dropped stops"]
pub struct Worker {
    stopper: Stopper,
    journal: Journal,
    grace: Duration,
    task: JoinHandle<Result<()>>,
}

impl Worker {
    const PATIENCE: Duration = Duration::from_secs(1);

    /// A worker for a [`Consumer`](crate::Consumer) or a [`SubConsumer`](crate::SubConsumer), in the database that `config` names.
    pub fn builder(config: Config, consumer: impl Into<Reader>) -> WorkerBuilder {
        WorkerBuilder::new(config, consumer.into())
    }

    /// What it has done so far, and what keeps it from working.
    pub fn stats(&self) -> WorkerStats {
        self.journal.stats()
    }

    /// What stops it, for other hands than these.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops it and waits: it goes on with the batch in hand for as long as [`WorkerOptions::grace`](pgq_core::worker::WorkerOptions::grace)
    /// allows, and then gives it back. Tells what it has done.
    ///
    /// # Errors
    /// What it ended with, if it ended by itself before. [`Error::StillWorking`] when a handler that never awaits anything goes on a
    /// second beyond that: its batch is rolled back whenever it returns.
    pub async fn stop(mut self) -> Result<WorkerStats> {
        self.stopper.stop();
        let waited = self.grace.saturating_add(Self::PATIENCE);
        match timeout(waited, &mut self.task).await {
            Ok(ended) => self.ended(ended),
            Err(_) => Err(Error::StillWorking { waited }),
        }
    }

    /// Waits until it ends by itself, or somebody stops it. Tells what it has done. Dropping the future stops it.
    ///
    /// # Errors
    /// What it ended with; [`Error::WorkerEnded`] after a panic that was not a handler's.
    pub async fn wait(mut self) -> Result<WorkerStats> {
        let ended = (&mut self.task).await;
        self.ended(ended)
    }

    fn ended(&self, ended: Result<Result<()>, JoinError>) -> Result<WorkerStats> {
        match ended {
            Ok(ended) => ended.map(|()| self.stats()),
            Err(error) => Err(Error::WorkerEnded { problem: problem(error) }),
        }
    }
}

fn problem(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => Failure::panic(&*payload).text(),
        Err(error) => error.to_string(),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
