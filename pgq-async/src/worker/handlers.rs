use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use pgq_core::Event;
use pgq_core::worker::{Failure, FromEvent, IntoOutcome, Outcome, payload};
use tokio_postgres::Transaction;

use crate::Batch;

/// What became of an event.
pub(super) type Handled = Result<Outcome, Failure>;

pub(super) type EventHandler =
    Box<dyn for<'t, 'c> FnMut(Event, &'t mut Transaction<'c>) -> BoxFuture<'t, Handled> + Send>;

pub(super) type BatchHandler =
    Box<dyn for<'b, 'c> FnMut(&'b mut Batch<'c>) -> BoxFuture<'b, Result<(), Failure>> + Send>;

pub(super) type OutsideHandler = Box<dyn Fn(Event, u32) -> BoxFuture<'static, Handled> + Send + Sync>;

/// For the events of a batch, or so many of them as are loaded at once.
pub(super) type WindowHandler =
    Box<dyn Fn(Vec<Event>) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

pub(super) fn by_event<T, R, F>(mut handler: F) -> EventHandler
where
    T: FromEvent,
    R: IntoOutcome + 'static,
    F: for<'t, 'c> FnMut(T, &'t mut Transaction<'c>) -> BoxFuture<'t, R> + Send + 'static,
{
    Box::new(move |event, transaction| match payload(event, 0) {
        Ok(payload) => handler(payload, transaction).map(R::into_outcome).boxed(),
        Err(failure) => future::ready(Err(failure)).boxed(),
    })
}

pub(super) fn by_batch<E, F>(mut handler: F) -> BatchHandler
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    F: for<'b, 'c> FnMut(&'b mut Batch<'c>) -> BoxFuture<'b, Result<(), E>> + Send + 'static,
{
    Box::new(move |batch| handler(batch).map(|handled| handled.map_err(Failure::error)).boxed())
}

pub(super) fn by_event_outside<T, R, F, Fut>(handler: F) -> OutsideHandler
where
    T: FromEvent,
    R: IntoOutcome + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    Box::new(move |event, tries| match payload(event, tries) {
        Ok(payload) => handler(payload).map(R::into_outcome).boxed(),
        Err(failure) => future::ready(Err(failure)).boxed(),
    })
}

pub(super) fn by_window<E, F, Fut>(handler: F) -> WindowHandler
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    F: Fn(Vec<Event>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
{
    Box::new(move |events| handler(events).map(|handled| handled.map_err(Failure::error)).boxed())
}

/// Runs a handler; a panic in it is a failure like another.
pub(super) async fn caught<T>(handler: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let panicked = |payload: Box<dyn Any + Send>| Err(Failure::panic(&*payload));
    AssertUnwindSafe(handler).catch_unwind().await.unwrap_or_else(panicked)
}
