//! The worker on a thread.

mod beating;
mod builder;
pub(crate) mod connection;
mod crew;
mod desk;
mod handlers;
mod in_transaction;
mod outside;
mod runner;
#[cfg(feature = "signals")]
mod signals;
mod stopper;
mod watch;
mod work;

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::worker::{Journal, WorkerState, WorkerStats};
use pgq_core::{Error, Result};
use postgres::Config;

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

/// A consumer that runs on a thread of this process, on a connection of its own, and calls handlers for its events.
///
/// It connects, and connects again; waits for ticks; opens batches, has their events handled, and finishes them; has those that fail
/// delivered again after growing pauses, and makes dead letters of those that fail for good. [`WorkerOptions`](pgq_core::worker::WorkerOptions) says how. Start one in each
/// replica of an application: one works, the others stand by and take over within a second or so.
///
/// ```no_run
/// use std::time::Duration;
///
/// use pgq_sync::pgq_core::worker::{RetryPolicy, WorkerOptions};
/// use pgq_sync::pgq_core::Event;
/// use pgq_sync::{Consumer, Worker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = WorkerOptions::new().retries(RetryPolicy::new().attempts(8)).grace(Duration::from_secs(20));
/// let worker = Worker::builder("host=/run/postgresql dbname=shop".parse()?, Consumer::new("orders", "billing"))
///     .options(options)
///     .on("order.paid", |event: Event, transaction| {
///         transaction.execute("INSERT INTO invoice (order_id) VALUES ($1::text::bigint)", &[&event.data]).map(drop)
///     })
///     .otherwise(|event: Event, _| println!("{:?} is nothing to us", event.event_type))
///     .spawn()?;
/// // …
/// println!("{} events", worker.stats().events.done);
/// worker.stop()?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it is like [`stop`](Self::stop): it waits for the batch in hand, for as long as [`grace`](field@pgq_core::worker::WorkerOptions::grace) says and a second. A
/// handler that never returns is left on its thread then.
///
/// It works in programs with a tokio runtime too, for its connection is on the thread; `stop`, `wait` and dropping it block there.
///
/// # What takes too long
///
/// A second thread looks after the first one. A statement of the worker's that the server does not answer within
/// [`answer_limit`](field@pgq_core::worker::WorkerOptions::answer_limit) is cancelled over a connection of its own, and so is the statement that a handler is at, when that is over its
/// [`handler_limit`](field@pgq_core::worker::WorkerOptions::handler_limit): the event has failed by a time limit then, unless the handler ends well all the same. A handler that
/// computes cannot be interrupted in the transaction of its batch; [outside](WorkerBuilder::outside) its thread is left to itself.
///
/// A TCP connection is given up when what was sent stays unacknowledged for 15 seconds (`tcp_user_timeout`, on Linux), or the other side
/// is silent to probes for about as long; the configuration may say otherwise. The driver has no further limit: while a proxy in between
/// keeps up a connection to a server that it has lost, the thread waits, and `stop` says [`Error::StillWorking`]. The worker of `pgq-async`
/// does not.
#[must_use = "a worker that is dropped stops"]
pub struct Worker {
    stopper: Stopper,
    journal: Journal,
    grace: Duration,
    ended: Receiver<Result<WorkerStats>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    const PATIENCE: Duration = Duration::from_secs(1);

    /// A worker for a [`Consumer`](crate::Consumer) or a [`SubConsumer`](crate::SubConsumer), in the database that `config` names. Its
    /// user needs the role `pgq_reader`.
    ///
    /// What the consumer says about pace, filter and chunks holds. Where `config` has no limits for the connection, it gets some; it always
    /// asks for a server that can be written to. A subconsumer with a dead interval beats while it works, see
    /// [`SubConsumer::heartbeat`](crate::SubConsumer::heartbeat).
    pub fn builder(config: Config, consumer: impl Into<Reader>) -> WorkerBuilder {
        WorkerBuilder::new(config, consumer.into())
    }

    /// What it has done so far, and what keeps it from working.
    pub fn stats(&self) -> WorkerStats {
        let mut stats = self.journal.stats();
        // The worker's thread says so when the handler returns that it is in.
        if self.stopper.is_stopping() && stats.state != WorkerState::Stopped {
            stats.state = WorkerState::Stopping;
        }
        stats
    }

    /// What stops it, for other hands than these.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops it and waits: it goes on with the batch in hand for as long as [`grace`](field@pgq_core::worker::WorkerOptions::grace)
    /// allows, and then gives it back. Tells what it has done.
    ///
    /// # Errors
    /// What it ended with, if it ended by itself before. [`Error::StillWorking`] when a handler goes on a second beyond that: its batch is
    /// rolled back whenever it returns.
    pub fn stop(mut self) -> Result<WorkerStats> {
        self.end()
    }

    /// Waits until it ends by itself, or somebody stops it. Tells what it has done.
    ///
    /// # Errors
    /// What it ended with; [`Error::WorkerEnded`] after a panic that was not a handler's.
    pub fn wait(mut self) -> Result<WorkerStats> {
        self.thread = None;
        self.ended.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn end(&mut self) -> Result<WorkerStats> {
        self.stopper.stop();
        let waited = self.grace.saturating_add(Self::PATIENCE);
        let ended = match self.ended.recv_timeout(waited) {
            Ok(ended) => ended,
            Err(RecvTimeoutError::Timeout) => Err(Error::StillWorking { waited }),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        };
        if let (Some(thread), false) = (self.thread.take(), matches!(ended, Err(Error::StillWorking { .. })))
        {
            // All it could say is said.
            let _ = thread.join();
        }
        ended
    }
}

fn gone() -> Error {
    Error::WorkerEnded { problem: "its thread is gone".to_owned() }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Who wants to know calls `stop`.
            let _ = self.end();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
