use std::error::Error as StdError;
use std::marker::PhantomData;

use pgq_core::worker::{FromEvent, IntoOutcome};
use postgres::Transaction;

use super::super::handlers::{by_batch, by_event};
use super::super::in_transaction::Handlers;
use super::super::work::Work;
use super::super::{InTransaction, Outside};
use super::WorkerBuilder;
use crate::Batch;

impl WorkerBuilder<InTransaction> {
    /// Handles events of that type. One round trip each, for the savepoint, besides those of the handler.
    ///
    /// `COMMIT` and `ROLLBACK` are the worker's business: a handler that ends the transaction ends the worker (or, as
    /// [`Permanent::Wait`](pgq_core::worker::Permanent::Wait) says, has the batch come again), with
    /// [`Error::TransactionEnded`](pgq_core::Error::TransactionEnded). `transaction.transaction()` is a savepoint in it, for what is to be undone
    /// by itself. The handler takes one type: events that it cannot take follow
    /// [`WorkerOptions::undecodable`](field@pgq_core::worker::WorkerOptions::undecodable). A second handler for the type is refused.
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
    /// # let config: pgq_sync::postgres::Config = "dbname=shop".parse()?;
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
    /// The transaction is the worker's to end, as with [`on`](Self::on). That it was not ended costs a round trip for each batch to find out.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::Error;
    /// use pgq_sync::{Batch, Consumer, Worker};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config: pgq_sync::postgres::Config = "dbname=shop".parse()?;
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
    pub fn on_batch<E, F>(mut self, handler: F) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: FnMut(&mut Batch<'_>) -> Result<(), E> + Send + 'static,
    {
        if let Work::InTransaction(Handlers { routes, batch }) = &mut self.work {
            if batch.replace(by_batch(handler)).is_some() {
                routes.set_twice("batches");
            }
        }
        self
    }

    /// Has handlers work without a transaction, for work that takes long or touches nothing in this database. To be said before any
    /// handler is set: a worker that had one already does not start.
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
    /// # let config: pgq_sync::postgres::Config = "dbname=shop".parse()?;
    /// let worker = Worker::builder(config, Consumer::new("orders", "mail"))
    ///     .options(WorkerOptions::new().handler_limit(Duration::from_secs(30)))
    ///     .outside()
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
