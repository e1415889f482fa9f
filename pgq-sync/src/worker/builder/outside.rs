use std::error::Error as StdError;
use std::hash::{BuildHasher, Hash, RandomState};

use pgq_core::Event;
use pgq_core::worker::{FromEvent, IntoOutcome};

use super::super::Outside;
use super::super::handlers::{by_event_outside, by_window};
use super::super::work::Work;
use super::WorkerBuilder;

impl WorkerBuilder<Outside> {
    /// Handles events of that type. No round trips.
    ///
    /// It can be called on several threads at once, up to [`concurrency`](Self::concurrency). One that takes longer than
    /// [`handler_limit`](field@pgq_core::worker::WorkerOptions::handler_limit) has failed; its thread is left to itself, and replaced.
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
            if handlers.window.replace(by_window(handler)).is_some() {
                handlers.routes.set_twice("batches");
            }
        }
        self
    }

    /// Sets how many events are handled at once, each on a thread of the system: 1 unless set, and then in their order. With more there is
    /// no order, but for [`key`](Self::key). Not with [`on_batch`](Self::on_batch).
    pub fn concurrency(mut self, events: usize) -> Self {
        if let Work::Outside(handlers) = &mut self.work {
            handlers.at_once = Some(events);
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
    /// owned value or a hash. An event for which `key` panics has failed, and is retried out of order. It takes
    /// [`concurrency`](Self::concurrency): `concurrency(1)` keeps the order of all events, in place.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::{Error, Event};
    /// use pgq_sync::{Consumer, Worker};
    ///
    /// # fn send_mail(event: &Event) -> Result<(), Error> { Ok(()) }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Eight customers at once, and the mails to each of them in order.
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "mail"))
    ///     .outside()
    ///     .concurrency(8)
    ///     .key(|event| event.extra1.clone())
    ///     .otherwise(|event: Event| send_mail(&event));
    /// worker.run()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn key<K: Hash>(mut self, key: impl Fn(&Event) -> K + Send + Sync + 'static) -> Self {
        let state = RandomState::new();
        if let Work::Outside(handlers) = &mut self.work {
            handlers.key = Some(Box::new(move |event| state.hash_one(key(event))));
        }
        self
    }
}
