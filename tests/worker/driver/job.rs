use std::sync::Arc;

use pgq_async::futures::FutureExt;
use pgq_async::futures::future::BoxFuture;
use pgq_async::{self as aio, tokio_postgres};
use pgq_core::batch::Reader;
use pgq_core::worker::{FromEvent, Notice, TraceParent, WorkerOptions};
use pgq_core::{Error, Event};
use pgq_sync::{self as sync, postgres};
use tracing::Span;

use super::{BoxError, Driver, Handled, Outside, Reading, Tx, Worker, runtime, sink};

/// A worker that is to be started, with handlers in the transaction of the batch.
pub(crate) enum Job {
    Sync(sync::WorkerBuilder),
    Async(aio::WorkerBuilder),
}

impl Job {
    pub(crate) fn new(driver: Driver, conninfo: &str, reader: Reader) -> Self {
        match driver {
            Driver::Sync => Self::Sync(sync::Worker::builder(conninfo.parse().unwrap(), reader)),
            Driver::Async => Self::Async(aio::Worker::builder(conninfo.parse().unwrap(), reader)),
        }
    }

    pub(crate) fn options(self, options: WorkerOptions) -> Self {
        match self {
            Self::Sync(builder) => Self::Sync(builder.options(options)),
            Self::Async(builder) => Self::Async(builder.options(options)),
        }
    }

    pub(crate) fn on_notice(self, callback: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        match self {
            Self::Sync(builder) => Self::Sync(builder.on_notice(callback)),
            Self::Async(builder) => Self::Async(builder.on_notice(callback)),
        }
    }

    pub(crate) fn link_span(self, link: impl Fn(&Span, &TraceParent) + Send + Sync + 'static) -> Self {
        match self {
            Self::Sync(builder) => Self::Sync(builder.link_span(link)),
            Self::Async(builder) => Self::Async(builder.link_span(link)),
        }
    }

    pub(crate) fn on<T, F>(self, event_type: &str, handler: F) -> Self
    where
        T: FromEvent + Send + 'static,
        F: for<'t> Fn(T, Tx<'t>) -> BoxFuture<'t, Handled> + Send + Sync + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(builder.on(event_type, at_once(handler))),
            Self::Async(builder) => Self::Async(builder.on(event_type, later(handler))),
        }
    }

    pub(crate) fn otherwise<T, F>(self, handler: F) -> Self
    where
        T: FromEvent + Send + 'static,
        F: for<'t> Fn(T, Tx<'t>) -> BoxFuture<'t, Handled> + Send + Sync + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(builder.otherwise(at_once(handler))),
            Self::Async(builder) => Self::Async(builder.otherwise(later(handler))),
        }
    }

    /// Writes every event to the sink, and returns what this says of it.
    pub(crate) fn decide(self, decide: impl Fn(&Event) -> Handled + Send + Sync + 'static) -> Self {
        let decide = Arc::new(decide);
        self.otherwise(move |event: Event, tx| {
            let decide = Arc::clone(&decide);
            async move {
                sink(&event, tx).await?;
                decide(&event)
            }
            .boxed()
        })
    }

    /// Writes every event to the sink.
    pub(crate) fn sinks(self) -> Self {
        self.decide(|_| Ok(pgq_core::worker::Outcome::Done))
    }

    pub(crate) fn on_batch<F>(self, handler: F) -> Self
    where
        F: for<'b> Fn(&'b mut (dyn Reading + 'b)) -> BoxFuture<'b, Result<(), BoxError>>
            + Send
            + Sync
            + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(
                builder.on_batch(move |batch: &mut sync::Batch<'_>| handler(batch).now_or_never().unwrap()),
            ),
            Self::Async(builder) => Self::Async(builder.on_batch(move |batch| handler(batch))),
        }
    }

    /// Has the handlers that come now work without a transaction.
    pub(crate) fn outside(self) -> Outside {
        match self {
            Self::Sync(builder) => Outside::Sync(builder.outside()),
            Self::Async(builder) => Outside::Async(builder.outside()),
        }
    }

    pub(crate) fn start(self) -> Worker {
        self.try_start().unwrap()
    }

    pub(crate) fn try_start(self) -> Result<Worker, Error> {
        match self {
            Self::Sync(builder) => builder.spawn().map(Worker::Sync),
            Self::Async(builder) => {
                let _runtime = runtime().enter();
                builder.spawn().map(Worker::Async)
            }
        }
    }
}

fn at_once<T, F>(handler: F) -> impl FnMut(T, &mut postgres::Transaction<'_>) -> Handled + Send + 'static
where
    T: 'static,
    F: for<'t> Fn(T, Tx<'t>) -> BoxFuture<'t, Handled> + Send + Sync + 'static,
{
    move |event, transaction| handler(event, transaction).now_or_never().unwrap()
}

fn later<T, F>(
    handler: F,
) -> impl for<'t, 'c> FnMut(T, &'t mut tokio_postgres::Transaction<'c>) -> BoxFuture<'t, Handled> + Send + 'static
where
    T: Send + 'static,
    F: for<'t> Fn(T, Tx<'t>) -> BoxFuture<'t, Handled> + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    move |event, transaction| {
        let handler = Arc::clone(&handler);
        async move { handler(event, transaction).await }.boxed()
    }
}
