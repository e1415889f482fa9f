use std::marker::PhantomData;

use futures::future::BoxFuture;
use pgq_core::worker::{FromEvent, IntoOutcome};
use tokio_postgres::Transaction;

use super::super::handlers::{by_batch, by_event};
use super::super::outside::Handlers;
use super::super::work::Work;
use super::super::{InTransaction, Outside, in_transaction};
use super::WorkerBuilder;
use crate::Batch;

impl WorkerBuilder<InTransaction> {
    /// Has a handler called for each event of that type, one after the other. See [`FromEvent`] for what it may take, and [`IntoOutcome`]
    /// for what it may return. Events that it cannot take follow
    /// [`WorkerOptions::undecodable`](field@pgq_core::worker::WorkerOptions::undecodable). A second handler for the type is refused.
    ///
    /// A handler that takes longer than [`WorkerOptions::handler_limit`](field@pgq_core::worker::WorkerOptions::handler_limit) has its future
    /// dropped and its statement cancelled; one that panics, or that leaves the transaction aborted, has failed.
    ///
    /// The handler returns a boxed future, `async move { ... }.boxed()` with [`FutureExt`](futures::FutureExt): an `async fn` or an async
    /// closure does not fit. What it needs of its surroundings is cloned before the block.
    ///
    /// `COMMIT` and `ROLLBACK` are the worker's business: a handler that ends the transaction ends the worker (or, as
    /// [`Permanent::Wait`](pgq_core::worker::Permanent::Wait) says, has the batch come again), with
    /// [`Error::TransactionEnded`](pgq_core::Error::TransactionEnded). Savepoints in it are the handler's: `transaction.transaction().await?`
    /// begins one, which may be committed, rolled back or dropped, and leaves what came before as it is. `Queue::insert` and
    /// `Queue::insert_events` take the transaction as it comes:
    ///
    /// ```no_run
    /// use pgq_async::futures::FutureExt;
    /// use pgq_async::pgq_core::{Error, NewEvent};
    /// use pgq_async::{Consumer, Queue, Worker};
    ///
    /// # #[derive(serde::Deserialize)] struct Order { lines: Vec<String> }
    /// # fn example(config: pgq_async::tokio_postgres::Config) {
    /// let worker = Worker::builder(config, Consumer::new("orders", "split")).on("order", |order: Order, transaction| {
    ///     async move {
    ///         let savepoint = transaction.transaction().await?;
    ///         match savepoint.execute("INSERT INTO seen (lines) VALUES ($1)", &[&order.lines]).await {
    ///             Ok(_) => savepoint.commit().await?,
    ///             Err(_) => savepoint.rollback().await?, // and the transaction goes on
    ///         }
    ///         let lines: Vec<_> = order.lines.iter().map(|line| NewEvent::new("line", line.as_str())).collect();
    ///         Queue::new("lines").insert_events(transaction, lines).await?;
    ///         Ok::<_, Error>(())
    ///     }
    ///     .boxed()
    /// });
    /// # }
    /// ```
    pub fn on<T, R, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: for<'t, 'c> FnMut(T, &'t mut Transaction<'c>) -> BoxFuture<'t, R> + Send + 'static,
    {
        self.work.in_transaction.routes.on(event_type, by_event(handler));
        self
    }

    /// Like [`on`](Self::on), for the events of all types that have no handler.
    pub fn otherwise<T, R, F>(mut self, handler: F) -> Self
    where
        T: FromEvent,
        R: IntoOutcome + 'static,
        F: for<'t, 'c> FnMut(T, &'t mut Transaction<'c>) -> BoxFuture<'t, R> + Send + 'static,
    {
        self.work.in_transaction.routes.otherwise(by_event(handler));
        self
    }

    /// Has a handler called for whole batches, in place of handlers for events. It reads the events, all of them, and has them retried
    /// or made dead letters by the batch's own methods; the worker finishes the batch.
    ///
    /// When it fails, the batch is rolled back and handed to it again, after pauses as for events. The failures are counted in memory;
    /// after as many as an event may have, [`RetryPolicy::exhausted`](field@pgq_core::worker::RetryPolicy::exhausted) decides about all
    /// events of the batch.
    ///
    /// The transaction is the worker's to end, as with [`on`](Self::on). That it was not ended costs a round trip for each batch to find out.
    ///
    /// ```no_run
    /// use pgq_async::futures::FutureExt;
    /// use pgq_async::pgq_core::Error;
    /// use pgq_async::{Consumer, Worker};
    ///
    /// # fn example(config: pgq_async::tokio_postgres::Config) {
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
        let in_transaction::Handlers { routes, batch } = &mut self.work.in_transaction;
        if batch.replace(by_batch(handler)).is_some() {
            routes.set_twice("batches");
        }
        self
    }

    /// Has handlers work without a transaction, for work that takes long or touches nothing in this database. To be said before any
    /// handler is set: a worker that had one already does not start.
    ///
    /// The events are loaded in windows of up to 10,000 or 64 MiB, and no transaction is open while they are handled; the batch is
    /// finished in a short one. Nothing undoes what a handler did: an event is handled at least once.
    ///
    /// Where the connection breaks meanwhile, the batch is finished over another one, if that can be made at once. If there is another
    /// window to load, the batch begins anew instead.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use pgq_async::pgq_core::worker::WorkerOptions;
    /// use pgq_async::pgq_core::{Error, Event};
    /// use pgq_async::{Consumer, Worker};
    ///
    /// async fn send_mail(event: Event) -> Result<(), Error> {
    ///     // …
    /// #   Ok(())
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "mail"))
    ///     .options(WorkerOptions::new().handler_limit(Duration::from_secs(30)))
    ///     .outside()
    ///     .otherwise(send_mail)
    ///     .spawn()?;
    /// # Ok(())
    /// # }
    /// ```
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
            work: Work { outside: Some(Handlers::default()), ..work },
            mode: PhantomData,
        }
    }
}
