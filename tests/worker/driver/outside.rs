use std::hash::Hash;
use std::sync::Arc;

use pgq_async::futures::FutureExt;
use pgq_async::futures::future::BoxFuture;
use pgq_async::{self as aio};
use pgq_core::worker::FromEvent;
use pgq_core::{Error, Event};
use pgq_sync::{self as sync};

use super::{BoxError, Handled, Worker, runtime};

/// A worker that is to be started, with handlers outside of the transaction.
pub(crate) enum Outside {
    Sync(sync::WorkerBuilder<sync::Outside>),
    Async(aio::WorkerBuilder<aio::Outside>),
}

impl Outside {
    pub(crate) fn on<T, F>(self, event_type: &str, handler: F) -> Self
    where
        T: FromEvent + Send + 'static,
        F: Fn(T) -> BoxFuture<'static, Handled> + Send + Sync + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(builder.on(event_type, at_once(handler))),
            Self::Async(builder) => Self::Async(builder.on(event_type, handler)),
        }
    }

    pub(crate) fn otherwise<T, F>(self, handler: F) -> Self
    where
        T: FromEvent + Send + 'static,
        F: Fn(T) -> BoxFuture<'static, Handled> + Send + Sync + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(builder.otherwise(at_once(handler))),
            Self::Async(builder) => Self::Async(builder.otherwise(handler)),
        }
    }

    /// Handles every event by this, which does not wait.
    pub(crate) fn decide(self, decide: impl Fn(&Event) -> Handled + Send + Sync + 'static) -> Self {
        let decide = Arc::new(decide);
        self.otherwise(move |event: Event| {
            let decide = Arc::clone(&decide);
            async move { decide(&event) }.boxed()
        })
    }

    pub(crate) fn on_batch<F>(self, handler: F) -> Self
    where
        F: Fn(Vec<Event>) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        match self {
            Self::Sync(builder) => Self::Sync(builder.on_batch(handler)),
            Self::Async(builder) => {
                let handler = Arc::new(handler);
                Self::Async(builder.on_batch(move |events| {
                    let handler = Arc::clone(&handler);
                    async move { handler(events) }
                }))
            }
        }
    }

    pub(crate) fn concurrency(self, events: usize) -> Self {
        match self {
            Self::Sync(builder) => Self::Sync(builder.concurrency(events)),
            Self::Async(builder) => Self::Async(builder.concurrency(events)),
        }
    }

    pub(crate) fn key<K: Hash>(self, key: impl Fn(&Event) -> K + Send + Sync + 'static) -> Self {
        match self {
            Self::Sync(builder) => Self::Sync(builder.key(key)),
            Self::Async(builder) => Self::Async(builder.key(key)),
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

fn at_once<T>(
    handler: impl Fn(T) -> BoxFuture<'static, Handled> + Send + Sync + 'static,
) -> impl Fn(T) -> Handled + Send + Sync + 'static {
    move |event| handler(event).now_or_never().unwrap()
}
