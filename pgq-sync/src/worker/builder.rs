mod in_transaction;
mod outside;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use pgq_core::batch::{EmptyBatches, Reader};
use pgq_core::worker::{Journal, Judge, Notice, Routine, TraceParent, WorkerOptions, WorkerStats};
use pgq_core::{Error, Result, fastrand};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, NoTls, Socket};
use tracing::Span;

use super::connection::Dial;
use super::desk::{Desk, LinkSpan};
use super::in_transaction::Handlers;
use super::runner::Runner;
use super::watch::Watch;
use super::work::Work;
use super::{InTransaction, Stopper, Worker};
use crate::limits::with_limits;

type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Sets up a [`Worker`]. It takes handlers for events by their type, or one for whole batches.
///
/// A handler for events takes what [`FromEvent`](pgq_core::worker::FromEvent) makes of one: the [`Event`](pgq_core::Event) itself, a type
/// that serde reads from its JSON, a row change. It returns what [`IntoOutcome`](pgq_core::worker::IntoOutcome) takes: nothing, an
/// [`Outcome`](pgq_core::worker::Outcome), or a `Result` of these with any error. An error, a panic and a handler that takes too long are
/// failures, and follow the [`RetryPolicy`](pgq_core::worker::RetryPolicy); a payload that it cannot take follows
/// [`Undecodable`](pgq_core::worker::Undecodable). A handler that panicked is called again, with its state as the panic left it.
///
/// Handlers are called on the worker's thread, one event after the other, in the transaction of the batch: what they write in it is committed
/// together with the end of the batch, so each event takes effect exactly once. What an event wrote that fails is undone, see
/// [`Undo`](pgq_core::worker::Undo). They must not end the transaction. [`outside`](Self::outside) is the other way.
#[must_use = "a worker does nothing until it runs"]
pub struct WorkerBuilder<M = InTransaction> {
    config: Config,
    dial: Dial,
    reader: Reader,
    options: WorkerOptions,
    on_notice: Option<OnNotice>,
    link_span: Option<LinkSpan>,
    watch: Arc<Watch>,
    work: Work,
    mode: PhantomData<M>,
}

impl<M> WorkerBuilder<M> {
    /// Sets how the worker behaves.
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
        self
    }

    /// Connects with TLS; without this, connections are in the clear.
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.dial = Dial::new(self.config.clone(), tls);
        self
    }

    /// Calls this for whatever the worker tells, on its threads: it must not block.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::worker::Notice;
    /// use pgq_sync::pgq_core::Event;
    /// use pgq_sync::{Consumer, Worker};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "billing"))
    ///     .on_notice(|notice| match notice {
    ///         Notice::Dead { event, kind, .. } => eprintln!("look at event {event}: {kind}"),
    ///         Notice::NoTicks { .. } | Notice::Stopped { error: Some(_) } => eprintln!("{notice}"),
    ///         _ => {}
    ///     })
    ///     .otherwise(|event: Event, _| println!("{}", event.id));
    /// worker.run()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_notice(mut self, callback: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.on_notice = Some(Arc::new(callback));
        self
    }

    /// Calls this for each event that carries a `traceparent` in the field that
    /// [`WorkerOptions::trace_parent`](field@WorkerOptions::trace_parent) says, with the span that its handler runs in.
    pub fn link_span(mut self, link: impl Fn(&Span, &TraceParent) + Send + Sync + 'static) -> Self {
        self.link_span = Some(Arc::new(link));
        self
    }

    /// What stops the worker once it runs, for who calls [`run`](Self::run).
    pub fn stopper(&self) -> Stopper {
        Stopper::new(Arc::clone(&self.watch))
    }

    /// Starts the worker on a thread of its own, with another one that looks after it. The connection is made there, and made anew when
    /// it breaks.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where options and handlers make no sense, alone or together: nothing is started then.
    /// [`Error::WorkerEnded`] where the system gives no thread.
    pub fn spawn(self) -> Result<Worker> {
        let (stopper, grace) = (self.stopper(), self.options.grace);
        let runner = self.runner()?;
        let journal = runner.journal();
        let (end, ended) = mpsc::channel();
        let watched = runner.watched().map_err(no_thread)?;
        let run = move || {
            // Fails where nobody waits any more.
            let _ = end.send(watched.run(runner));
        };
        let thread = thread::Builder::new().name("pgq-worker".to_owned()).spawn(run).map_err(no_thread)?;
        Ok(Worker { stopper, journal, grace, ended, thread: Some(thread) })
    }

    /// Runs the worker on this thread until it is [stopped](Self::stopper), or something will not pass by itself.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where options and handlers make no sense, alone or together, before it connects. What will not pass by
    /// itself, see [`Permanent`](pgq_core::worker::Permanent); [`Error::EventFailed`] where a failure is to end the worker;
    /// [`Error::WorkerEnded`] after a panic that was not a handler's, or where the system gives no thread to look after it.
    ///
    /// # Panics
    /// In an async function, see [the crate](crate#inside-a-tokio-runtime).
    pub fn run(self) -> Result<WorkerStats> {
        let runner = self.runner()?;
        let watched = runner.watched().map_err(no_thread)?;
        watched.run(runner)
    }

    fn runner(self) -> Result<Runner> {
        let handling = self.work.check(&self.options, &self.reader)?;
        let Self { dial, mut reader, options, on_notice, link_span, watch, work, .. } = self;
        // The routine is to see each tick.
        reader.reading.empty_batches = EmptyBatches::HandOver;
        let mut random = fastrand::Rng::new();
        let journal = Journal::new(reader.queue(), reader.name(), on_notice);
        let judge = Judge::new(&options, random.fork());
        let routine =
            Routine::new(options.clone(), handling, &reader, journal.clone(), random, Instant::now());
        Ok(Runner::new(Desk { reader, options, routine, judge, journal, watch, dial, link_span }, work))
    }
}

impl WorkerBuilder<InTransaction> {
    pub(super) fn new(config: Config, reader: Reader) -> Self {
        let config = with_limits(config, "pgq worker");
        Self {
            dial: Dial::new(config.clone(), NoTls),
            config,
            reader,
            options: WorkerOptions::default(),
            on_notice: None,
            link_span: None,
            watch: Arc::default(),
            work: Work::InTransaction(Handlers::default()),
            mode: PhantomData,
        }
    }
}

impl<M> fmt::Debug for WorkerBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("reader", &self.reader)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn no_thread(error: io::Error) -> Error {
    Error::WorkerEnded { problem: format!("the system gives it no thread: {error}") }
}
