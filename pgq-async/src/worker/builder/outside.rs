use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use pgq_core::worker::{FromEvent, IntoOutcome};
use pgq_core::{Event, Result};

use super::super::Outside;
use super::super::handlers::{by_event_outside, by_window};
use super::WorkerBuilder;

impl WorkerBuilder<Outside> {
    /// Has a handler called for each event of that type. See [`FromEvent`] for what it may take, and [`IntoOutcome`] for what it may
    /// return. A second handler for the type is refused.
    ///
    /// All run on the worker's task: one that computes for long belongs on a task of its own. A handler that takes longer than
    /// [`WorkerOptions::handler_limit`](field@pgq_core::worker::WorkerOptions::handler_limit) has its future dropped.
    pub fn on<T, R, F, Fut>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        self.work.outside.get_or_insert_default().routes.on(event_type, by_event_outside(handler));
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
        self.work.outside.get_or_insert_default().routes.otherwise(by_event_outside(handler));
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
        let handlers = self.work.outside.get_or_insert_default();
        if handlers.window.replace(by_window(handler)).is_some() {
            handlers.routes.set_twice("batches");
        }
        self
    }

    /// Sets how many events are handled at once: 1 unless set, which keeps their order. With more there is no order, but for
    /// [`key`](Self::key). Not with [`on_batch`](Self::on_batch).
    pub fn concurrency(mut self, events: usize) -> Self {
        self.work.outside.get_or_insert_default().at_once = Some(events);
        self
    }

    /// Has events of one key handled one after the other, in their order, also when they fail: one that is to be retried is tried again
    /// in its place, after its pause, while its key waits and the others go on. So the batch stays open until it is done or dead.
    /// Without a key, PgQ delivers it again later, in another batch.
    ///
    /// Batches come one after the other, so the next one waits too. Tries in place are counted in memory, beside `ev_retry`, which does not
    /// change: a worker that is stopped meanwhile gives the batch back, and its events begin anew. Choose short pauses. Give the key as an
    /// owned value or a hash. An event for which `key` panics has failed, and is retried out of order. It takes
    /// [`concurrency`](Self::concurrency): `concurrency(1)` keeps the order of all events, in place.
    ///
    /// ```no_run
    /// use pgq_async::pgq_core::{Error, Event};
    /// use pgq_async::{Consumer, Worker};
    ///
    /// # async fn send_mail(event: Event) -> Result<(), Error> { Ok(()) }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// // Eight customers at once, and the mails to each of them in order.
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "mail"))
    ///     .outside()
    ///     .concurrency(8)
    ///     .key(|event| event.extra1.clone())
    ///     .otherwise(send_mail);
    /// worker.run().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn key<K: Hash>(mut self, key: impl Fn(&Event) -> K + Send + Sync + 'static) -> Self {
        let state = RandomState::new();
        self.work.outside.get_or_insert_default().key =
            Some(Arc::new(move |event| state.hash_one(key(event))));
        self
    }
}
