use std::error::Error as StdError;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use pgq_core::batch::{EmptyBatches, Reader};
use pgq_core::worker::{
    Failure, FromEvent, IntoOutcome, Journal, Judge, Notice, Routine, TraceParent, WorkerOptions, WorkerStats,
};
use pgq_core::{Error, Event, Result, fastrand};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, NoTls, Socket, Transaction};
use tracing::Span;

use super::connection::{Dial, with_limits};
use super::desk::{Desk, LinkSpan};
use super::runner::Runner;
use super::watch::Watch;
use super::work::Work;
use super::{InTransaction, Outside, Stopper, Worker, in_transaction, outside};
use crate::Batch;

type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Sets up a [`Worker`]. It takes handlers for events by their type, or one for whole batches.
///
/// A handler for events takes what [`FromEvent`] makes of one: the [`Event`] itself, a type that serde reads from its JSON, a row change. It returns
/// what [`IntoOutcome`] takes: nothing, an [`Outcome`](pgq_core::worker::Outcome), or a `Result` of these with any error. An error, a panic, a
/// payload that is none and a handler that takes too long are failures, and follow the
/// [`RetryPolicy`](pgq_core::worker::RetryPolicy). A handler that panicked is called again, with its state as the panic left it.
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
    /// That of the operating system, if it gives no thread.
    pub fn spawn(self) -> io::Result<Worker> {
        let (stopper, grace) = (self.stopper(), self.options.grace);
        let runner = self.runner();
        let journal = runner.journal();
        let (end, ended) = mpsc::channel();
        let watched = runner.watched()?;
        let run = move || {
            // Fails where nobody waits any more.
            let _ = end.send(watched.run(runner));
        };
        let thread = thread::Builder::new().name("pgq-worker".to_owned()).spawn(run)?;
        Ok(Worker { stopper, journal, grace, ended, thread: Some(thread) })
    }

    /// Runs the worker on this thread until it is [stopped](Self::stopper), or something will not pass by itself.
    ///
    /// # Errors
    /// What will not pass by itself, see [`Permanent`](pgq_core::worker::Permanent); [`Error::EventFailed`] where a failure is to end
    /// the worker; [`Error::WorkerEnded`] after a panic that was not a handler's, or where the system gives no thread to look after it.
    ///
    /// # Panics
    /// In an async function, see [the crate](crate#inside-a-tokio-runtime).
    pub fn run(self) -> Result<WorkerStats> {
        let runner = self.runner();
        let watched = runner.watched().map_err(|error| Error::WorkerEnded { problem: error.to_string() })?;
        watched.run(runner)
    }

    fn runner(self) -> Runner {
        let Self { dial, mut reader, options, on_notice, link_span, watch, work, .. } = self;
        // The routine is to see each tick.
        reader.reading.empty_batches = EmptyBatches::HandOver;
        let mut random = fastrand::Rng::new();
        let journal = Journal::new(reader.queue(), reader.name(), on_notice);
        let judge = Judge::new(&options, random.fork());
        let routine = Routine::new(options.clone(), &reader, journal.clone(), random, Instant::now());
        Runner::new(Desk { reader, options, routine, judge, journal, watch, dial, link_span }, work)
    }
}

impl WorkerBuilder<InTransaction> {
    pub(super) fn new(config: Config, reader: Reader) -> Self {
        let config = with_limits(config);
        Self {
            dial: Dial::new(config.clone(), NoTls),
            config,
            reader,
            options: WorkerOptions::default(),
            on_notice: None,
            link_span: None,
            watch: Arc::default(),
            work: Work::InTransaction(in_transaction::Handlers::default()),
            mode: PhantomData,
        }
    }

    /// Handles events of that type, in place of an earlier handler for them. One round trip each, for the savepoint, besides those of the
    /// handler.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::worker::Outcome;
    /// use pgq_sync::{Consumer, Worker};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     id: i64,
    ///     cents: i64,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config: postgres::Config = "dbname=shop".parse()?;
    /// let worker = Worker::builder(config, Consumer::new("orders", "billing"))
    ///     .on("order.paid", |order: Order, transaction| {
    ///         if order.cents == 0 {
    ///             return Ok(Outcome::Dead("nothing to bill".to_owned()));
    ///         }
    ///         let insert = "INSERT INTO invoice (order_id, cents) VALUES ($1, $2)";
    ///         transaction.execute(insert, &[&order.id, &order.cents]).map(|_| Outcome::Done)
    ///     })
    ///     .spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<T, R, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome,
        F: FnMut(T, &mut Transaction<'_>) -> R + Send + 'static,
    {
        if let Work::InTransaction(handlers) = &mut self.work {
            handlers.routes.on(event_type, by_event(handler));
        }
        self
    }

    /// Handles events of all other types, and those without one. Without this, see [`UnknownType`](pgq_core::worker::UnknownType).
    pub fn otherwise<T, R, F>(mut self, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome,
        F: FnMut(T, &mut Transaction<'_>) -> R + Send + 'static,
    {
        if let Work::InTransaction(handlers) = &mut self.work {
            handlers.routes.otherwise(by_event(handler));
        }
        self
    }

    /// Handles whole batches, instead of handlers for events. The handler reads the batch to its end, writes through
    /// [`Batch::transaction`], and says itself which events come again or are dead; the worker finishes the batch.
    ///
    /// When it fails, the batch is rolled back, and comes again after a pause that grows. PgQ does not count that, so the worker does, for
    /// as long as it lives: what fails for good are all events of the batch.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::Error;
    /// use pgq_sync::{Batch, Consumer, Worker};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config: postgres::Config = "dbname=shop".parse()?;
    /// let worker = Worker::builder(config, Consumer::new("orders", "totals"))
    ///     .on_batch(|batch: &mut Batch<'_>| {
    ///         let mut orders = 0_i64;
    ///         while batch.next_event()?.is_some() {
    ///             orders += 1;
    ///         }
    ///         batch.transaction().execute("UPDATE total SET orders = orders + $1", &[&orders])?;
    ///         Ok::<(), Error>(())
    ///     })
    ///     .spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_batch<E, F>(mut self, mut handler: F) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnMut(&mut Batch<'_>) -> Result<(), E> + Send + 'static,
    {
        if let Work::InTransaction(handlers) = &mut self.work {
            handlers.batch = Some(Box::new(move |batch| handler(batch).map_err(Failure::error)));
        }
        self
    }

    /// Has handlers work without a transaction, for work that takes long or touches nothing in this database. To be said before any
    /// handler is set: a worker that had one already ends with [`Error::InvalidValue`].
    ///
    /// The events are loaded in windows of up to 10,000 or 64 MiB, and no transaction is open while they are handled, on threads of their own;
    /// the batch is finished in a short one. Nothing undoes what a handler did: an event is handled at least once.
    ///
    /// Where the connection breaks meanwhile, the batch is finished over another one, if that can be made at once. If there is another
    /// window to load, the batch begins anew instead.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use pgq_sync::pgq_core::worker::WorkerOptions;
    /// use pgq_sync::pgq_core::{Error, Event};
    /// use pgq_sync::{Consumer, Worker};
    ///
    /// # fn send_mail(event: &Event) -> Result<(), Error> { Ok(()) }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config: postgres::Config = "dbname=shop".parse()?;
    /// let worker = Worker::builder(config, Consumer::new("orders", "mail"))
    ///     .options(WorkerOptions::new().handler_limit(Duration::from_secs(30)))
    ///     .outside()
    ///     .concurrency(8)
    ///     .key(|event| event.extra1.clone())
    ///     .otherwise(|event: Event| send_mail(&event))
    ///     .spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn outside(self) -> WorkerBuilder<Outside> {
        let Self { config, dial, reader, options, on_notice, link_span, watch, work, .. } = self;
        let unset = matches!(&work, Work::InTransaction(handlers) if handlers.is_empty());
        let work = if unset { Work::Outside(Box::default()) } else { Work::Misplaced };
        WorkerBuilder { config, dial, reader, options, on_notice, link_span, watch, work, mode: PhantomData }
    }
}

impl WorkerBuilder<Outside> {
    /// Handles events of that type, in place of an earlier handler for them. No round trips.
    ///
    /// It can be called on several threads at once, up to [`concurrency`](Self::concurrency). One that takes longer than
    /// [`handler_limit`](field@WorkerOptions::handler_limit) has failed; its thread is left to itself, and replaced.
    pub fn on<T, R, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome,
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        if let Work::Outside(handlers) = &mut self.work {
            handlers.routes.on(event_type, by_event_outside(handler));
        }
        self
    }

    /// Like [`otherwise`](WorkerBuilder::<InTransaction>::otherwise) in the transaction.
    pub fn otherwise<T, R, F>(mut self, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome,
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        if let Work::Outside(handlers) = &mut self.work {
            handlers.routes.otherwise(by_event_outside(handler));
        }
        self
    }

    /// Handles all events of a window at once, instead of handlers for events. A batch that is small enough is one window.
    ///
    /// When it fails, it is called with the same events after a pause that grows; those that fail for good are all of the window.
    pub fn on_batch<E, F>(mut self, handler: F) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Fn(Vec<Event>) -> Result<(), E> + Send + Sync + 'static,
    {
        if let Work::Outside(handlers) = &mut self.work {
            handlers.window = Some(Arc::new(move |window| handler(window).map_err(Failure::error)));
        }
        self
    }

    /// Sets how many events are handled at once: 1 unless set, and then in their order.
    pub fn concurrency(mut self, events: usize) -> Self {
        if let Work::Outside(handlers) = &mut self.work {
            handlers.at_once = events;
        }
        self
    }

    /// Has events of one key handled one after the other, in their order. Without it, any may run beside any other.
    ///
    /// An event that fails is then tried again in its place, after its pause, instead of later on: its key waits, the others go on,
    /// and the batch stays open for that long.
    ///
    /// Batches come one after the other, so the next one waits too. Tries in place are counted in memory, beside `ev_retry`, which does not
    /// change: a worker that is stopped meanwhile gives the batch back, and its events begin anew. Choose short pauses. Give the key as an
    /// owned value or a hash.
    pub fn key<K: Hash>(mut self, key: impl Fn(&Event) -> K + Send + Sync + 'static) -> Self {
        let state = RandomState::new();
        if let Work::Outside(handlers) = &mut self.work {
            handlers.key = Some(Box::new(move |event| state.hash_one(key(event))));
        }
        self
    }
}

fn by_event_outside<T, R>(handler: impl Fn(T) -> R + Send + Sync + 'static) -> outside::Handler
where
    T: FromEvent,
    R: IntoOutcome,
{
    Arc::new(move |event| {
        let payload = T::from_event(event).map_err(Failure::decode)?;
        handler(payload).into_outcome()
    })
}

fn by_event<T, R>(
    mut handler: impl FnMut(T, &mut Transaction<'_>) -> R + Send + 'static,
) -> in_transaction::Handler
where
    T: FromEvent,
    R: IntoOutcome,
{
    Box::new(move |event, transaction| {
        let payload = T::from_event(event).map_err(Failure::decode)?;
        handler(payload, transaction).into_outcome()
    })
}

impl<M> fmt::Debug for WorkerBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("reader", &self.reader)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
