use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use pgq_core::batch::{EmptyBatches, Reader};
use pgq_core::worker::{
    FromEvent, IntoOutcome, Journal, Judge, Notice, Routine, TraceParent, WorkerOptions, WorkerStats,
};
use pgq_core::{Event, Result, fastrand};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket, Transaction};
use tracing::Span;

use super::clock::now;
use super::desk::{Desk, LinkSpan};
use super::handlers::{batch_in_transaction, in_transaction, outside_transaction, window_outside};
use super::outside;
use super::runner::{Ended, Runner};
use super::stopper::{Stopper, Stopping};
use super::work::Work;
use super::{InTransaction, Outside, Worker};
use crate::Batch;
use crate::connection::{Dial, with_limits};

type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Sets up a [`Worker`]: [`InTransaction`], unless [`outside`](Self::outside) is called.
///
/// The configuration is completed where it says nothing: a limit to connect, keep-alives, and the application name `pgq worker`; of
/// several hosts the one that can be written to is used.
#[must_use = "a worker does nothing until it runs"]
pub struct WorkerBuilder<M = InTransaction> {
    config: Config,
    dial: Dial,
    reader: Reader,
    options: WorkerOptions,
    on_notice: Option<OnNotice>,
    link_span: Option<LinkSpan>,
    stopper: Stopper,
    stopping: Stopping,
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
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.dial = Dial::new(self.config.clone(), tls);
        self
    }

    /// Connects over these streams, to no server that the configuration names.
    #[cfg(feature = "fault-points")]
    #[doc(hidden)]
    pub fn over<S>(mut self, streams: impl Fn() -> S + Send + Sync + 'static) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        self.dial = Dial::over(self.config.clone(), streams);
        self
    }

    /// Calls this for whatever the worker tells, on its task: it must not block.
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
        self.stopper.clone()
    }

    /// Starts the worker on a task of its own, the only one. The connection is made there, and made anew when it breaks.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(self) -> Worker {
        let (stopper, grace) = (self.stopper.clone(), self.options.grace);
        let runner = self.runner();
        let journal = runner.desk.journal.clone();
        Worker { stopper, journal, grace, task: tokio::spawn(runner.run()) }
    }

    /// Runs the worker until it is [stopped](Self::stopper), or something will not pass by itself. It starts no task.
    ///
    /// A future of it that is dropped leaves nothing behind, and loses nothing: the batch in hand is rolled back, and comes again.
    ///
    /// # Errors
    /// What will not pass by itself, see [`Permanent`](pgq_core::worker::Permanent); [`Error::EventFailed`](pgq_core::Error::EventFailed)
    /// where a failure is to end the worker.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time and I/O.
    pub async fn run(self) -> Result<WorkerStats> {
        let runner = self.runner();
        let journal = runner.desk.journal.clone();
        runner.run().await?;
        Ok(journal.stats())
    }

    fn runner(self) -> Runner {
        let Self { dial, mut reader, options, on_notice, link_span, stopping, work, .. } = self;
        // The routine is to see each tick.
        reader.reading.empty_batches = EmptyBatches::HandOver;
        let mut random = fastrand::Rng::new();
        let journal = Journal::new(reader.queue(), reader.name(), on_notice);
        let judge = Judge::new(&options, random.fork());
        let routine = Routine::new(options.clone(), &reader, journal.clone(), random, now());
        let ended = Ended(journal.clone());
        let desk = Desk { reader, options, journal, dial, link_span };
        Runner { routine, desk, judge, work, link: None, stopping, _ended: ended }
    }
}

impl WorkerBuilder<InTransaction> {
    pub(super) fn new(config: Config, reader: Reader) -> Self {
        let (config, (stopper, stopping)) = (with_limits(config), Stopper::new());
        Self {
            dial: Dial::new(config.clone(), NoTls),
            config,
            reader,
            options: WorkerOptions::default(),
            on_notice: None,
            link_span: None,
            stopper,
            stopping,
            work: Work::default(),
            mode: PhantomData,
        }
    }

    /// Has handlers work without a transaction, for work that takes long or touches nothing in this database. To be said before any
    /// handler is set: a worker that had one already ends with [`Error::InvalidValue`](pgq_core::Error::InvalidValue).
    ///
    /// The events are loaded in windows of up to 10,000 or 64 MiB, and no transaction is open while they are handled; the batch is
    /// finished in a short one. Nothing undoes what a handler did: an event is handled at least once.
    ///
    /// Where the connection breaks meanwhile, the batch is finished over another one, if that can be made at once. If there is another
    /// window to load, the batch begins anew instead.
    pub fn outside(self) -> WorkerBuilder<Outside> {
        let Self { config, dial, reader, options, on_notice, link_span, stopper, stopping, work, .. } = self;
        WorkerBuilder {
            config,
            dial,
            reader,
            options,
            on_notice,
            link_span,
            stopper,
            stopping,
            work: Work { outside: Some(outside::Handlers::default()), ..work },
            mode: PhantomData,
        }
    }

    /// Has a handler called for each event of that type, one after the other, in place of an earlier one for the type. See
    /// [`FromEvent`] for what it may take, and [`IntoOutcome`] for what it may return.
    ///
    /// A handler that takes longer than [`WorkerOptions::handler_limit`](field@WorkerOptions::handler_limit) has its future dropped and
    /// its statement cancelled; one that panics, or that leaves the transaction aborted, has failed. `COMMIT` and `ROLLBACK` are the
    /// worker's business.
    ///
    /// The handler returns a boxed future, `async move { ... }.boxed()` with [`FutureExt`](futures::FutureExt): an `async fn` or an async
    /// closure does not fit. What it needs of its surroundings is cloned before the block. `Queue::insert` takes the transaction that it gets
    /// as it is.
    pub fn on<T, R, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: for<'t, 'c> FnMut(T, &'t Transaction<'c>) -> BoxFuture<'t, R> + Send + 'static,
    {
        self.work.in_transaction.routes.on(event_type, in_transaction(handler));
        self
    }

    /// Like [`on`](Self::on), for the events of all types that have no handler.
    pub fn otherwise<T, R, F>(mut self, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: for<'t, 'c> FnMut(T, &'t Transaction<'c>) -> BoxFuture<'t, R> + Send + 'static,
    {
        self.work.in_transaction.routes.otherwise(in_transaction(handler));
        self
    }

    /// Has a handler called for whole batches, in place of handlers for events. It reads the events, all of them, and has them retried
    /// or made dead letters by the batch's own methods; the worker finishes the batch.
    ///
    /// When it fails, the batch is rolled back and handed to it again, after pauses as for events. The failures are counted in memory;
    /// after as many as an event may have, [`RetryPolicy::exhausted`](field@pgq_core::worker::RetryPolicy::exhausted) decides about all
    /// events of the batch.
    ///
    /// ```no_run
    /// use futures::FutureExt;
    /// use pgq_async::pgq_core::Error;
    /// use pgq_async::{Consumer, Worker};
    ///
    /// # fn example(config: tokio_postgres::Config) {
    /// let worker = Worker::builder(config, Consumer::new("orders", "count")).on_batch(|batch| {
    ///     async move {
    ///         let mut events = 0_i64;
    ///         while batch.next_event().await?.is_some() {
    ///             events += 1;
    ///         }
    ///         batch.transaction().execute("UPDATE counter SET events = events + $1", &[&events]).await?;
    ///         Ok::<_, Error>(())
    ///     }
    ///     .boxed()
    /// });
    /// # }
    /// ```
    pub fn on_batch<E, F>(mut self, handler: F) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
        F: for<'b, 'c> FnMut(&'b mut Batch<'c>) -> BoxFuture<'b, Result<(), E>> + Send + 'static,
    {
        self.work.in_transaction.batch = Some(batch_in_transaction(handler));
        self
    }
}

impl WorkerBuilder<Outside> {
    /// Has a handler called for each event of that type, in place of an earlier one for the type. See [`FromEvent`] for what it may
    /// take, and [`IntoOutcome`] for what it may return.
    ///
    /// All run on the worker's task: one that computes for long belongs on a task of its own. A handler that takes longer than
    /// [`WorkerOptions::handler_limit`](field@WorkerOptions::handler_limit) has its future dropped.
    pub fn on<T, R, F, Fut>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        self.work.outside.get_or_insert_default().routes.on(event_type, outside_transaction(handler));
        self
    }

    /// Like [`on`](Self::on), for the events of all types that have no handler.
    pub fn otherwise<T, R, F, Fut>(mut self, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        self.work.outside.get_or_insert_default().routes.otherwise(outside_transaction(handler));
        self
    }

    /// Has a handler called for the events of whole batches, in place of handlers for events; of a large batch for 10,000 events or
    /// 64 MiB at a time.
    ///
    /// When it fails, the same events are handed to it again, after pauses as for an event. After as many failures as an event may have,
    /// [`RetryPolicy::exhausted`](field@pgq_core::worker::RetryPolicy::exhausted) decides about all of them.
    pub fn on_batch<E, F, Fut>(mut self, handler: F) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
        F: Fn(Vec<Event>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.work.outside.get_or_insert_default().window = Some(window_outside(handler));
        self
    }

    /// Sets how many events are handled at once: 1 unless set, which keeps their order. With more there is no order, but for
    /// [`key`](Self::key).
    pub fn concurrency(mut self, events: usize) -> Self {
        self.work.outside.get_or_insert_default().at_once = events;
        self
    }

    /// Has events of one key handled one after the other, in their order, also when they fail: one that is to be retried is tried again
    /// in its place, after its pause, while its key waits and the others go on. So the batch stays open until it is done or dead.
    /// Without a key, PgQ delivers it again later, in another batch.
    ///
    /// Batches come one after the other, so the next one waits too. Tries in place are counted in memory, beside `ev_retry`, which does not
    /// change: a worker that is stopped meanwhile gives the batch back, and its events begin anew. Choose short pauses. Give the key as an
    /// owned value or a hash.
    pub fn key<K: Hash>(mut self, key: impl Fn(&Event) -> K + Send + Sync + 'static) -> Self {
        let state = RandomState::new();
        self.work.outside.get_or_insert_default().key =
            Some(Arc::new(move |event| state.hash_one(key(event))));
        self
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
