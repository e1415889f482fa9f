use std::error::Error as StdError;
use std::sync::Arc;

use pgq_core::Event;
use pgq_core::worker::{Failure, FromEvent, IntoOutcome, payload};
use postgres::Transaction;

use super::{in_transaction, outside};
use crate::Batch;

pub(super) fn by_event<T, R>(
    mut handler: impl FnMut(T, &mut Transaction<'_>) -> R + Send + 'static,
) -> in_transaction::Handler
where
    T: FromEvent,
    R: IntoOutcome,
{
    Box::new(move |event, transaction| handler(payload(event, 0)?, transaction).into_outcome())
}

pub(super) fn by_batch<E>(
    mut handler: impl FnMut(&mut Batch<'_>) -> Result<(), E> + Send + 'static,
) -> in_transaction::BatchHandler
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    Box::new(move |batch| handler(batch).map_err(Failure::error))
}

pub(super) fn by_event_outside<T, R>(handler: impl Fn(T) -> R + Send + Sync + 'static) -> outside::Handler
where
    T: FromEvent,
    R: IntoOutcome,
{
    Arc::new(move |event, tries| handler(payload(event, tries)?).into_outcome())
}

pub(super) fn by_window<E>(
    handler: impl Fn(Vec<Event>) -> Result<(), E> + Send + Sync + 'static,
) -> outside::WindowHandler
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    Arc::new(move |window| handler(window).map_err(Failure::error))
}
