//! Exactly once in another database (schema `pgq_ext`, in the database that the events are applied to): what was applied is
//! recorded in the transaction that applies it.
//!
//! The records are kept by consumer and subconsumer, texts of your choice, `""` for no subconsumer. They do not tell queues apart:
//! choose a name for each pair of database and queue. The drivers' `ExactlyOnce` is built on these calls.

use tokio_postgres::Row;

use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{BatchId, Call, Error, EventId, NextBatch, Param, Result, Role, TickId};

/// What became of the wish to record something as applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "what was recorded before was applied before, and must not be applied again"]
pub enum Recorded {
    /// It is recorded in this transaction: apply it, and commit.
    Now,
    /// It was recorded before: skip it.
    Before,
}

/// Has those that apply batches under the same names take turns until their transaction ends. An advisory lock of ours; to be run
/// first in the transaction, as a statement of its own.
pub fn lock<'a>(consumer: &'a str, subconsumer: &'a str) -> Call<'a, ()> {
    const SQL: &str = "SELECT pg_advisory_xact_lock(hashtextextended($2, hashtextextended($1, 7367)))";
    Call::new("pg_advisory_xact_lock", Role::Public, SQL, crate::queue::nothing)
        .bind(consumer)
        .bind(subconsumer)
}

/// Whether this is the batch that was recorded last. Wraps `pgq_ext.is_batch_done(text, text, bigint)`.
pub fn is_batch_done<'a>(consumer: &'a str, subconsumer: &'a str, batch: BatchId) -> Call<'a, bool> {
    const SQL: &str = "SELECT pgq_ext.is_batch_done($1, $2, $3)";
    call("pgq_ext.is_batch_done", SQL, |answer| answer.value(), consumer, subconsumer).bind(batch.0)
}

/// Records a batch. Wraps `pgq_ext.set_batch_done(text, text, bigint)`.
///
/// Only the last one is remembered. Take [`lock`] first: of two that record the same batch at once, PgQ's own pgq_ext can answer
/// [`Recorded::Now`] to both.
pub fn set_batch_done<'a>(consumer: &'a str, subconsumer: &'a str, batch: BatchId) -> Call<'a, Recorded> {
    const SQL: &str = "SELECT pgq_ext.set_batch_done($1, $2, $3)";
    call("pgq_ext.set_batch_done", SQL, recorded, consumer, subconsumer).bind(batch.0)
}

/// Whether this event of this batch is recorded. Wraps `pgq_ext.is_event_done(text, text, bigint, bigint)`.
pub fn is_event_done<'a>(
    consumer: &'a str,
    subconsumer: &'a str,
    batch: BatchId,
    event: EventId,
) -> Call<'a, bool> {
    const SQL: &str = "SELECT pgq_ext.is_event_done($1, $2, $3, $4)";
    call("pgq_ext.is_event_done", SQL, |answer| answer.value(), consumer, subconsumer)
        .bind(batch.0)
        .bind(event.0)
}

/// Records an event of a batch, and forgets those of the batch before. Wraps `pgq_ext.set_event_done(text, text, bigint, bigint)`.
///
/// An event that comes again through the retry queue comes in another batch, and counts as another one. Take [`lock`] first.
pub fn set_event_done<'a>(
    consumer: &'a str,
    subconsumer: &'a str,
    batch: BatchId,
    event: EventId,
) -> Call<'a, Recorded> {
    const SQL: &str = "SELECT pgq_ext.set_event_done($1, $2, $3, $4)";
    call("pgq_ext.set_event_done", SQL, recorded, consumer, subconsumer).bind(batch.0).bind(event.0)
}

/// Which of these events of this batch are recorded. Wraps `pgq_ext.is_event_done(text, text, bigint, bigint)` over `unnest`.
pub fn events_done<'a>(
    consumer: &'a str,
    subconsumer: &'a str,
    batch: BatchId,
    events: &[EventId],
) -> Call<'a, Vec<EventId>> {
    const SQL: &str =
        "SELECT event FROM unnest($4::bigint[]) AS event WHERE pgq_ext.is_event_done($1, $2, $3, event)";
    let ids = |answer: Answer<'_>| {
        let id = |row: &Row| Columns::of(row, answer.function).next().map(EventId);
        answer.rows.iter().map(id).collect()
    };
    call("pgq_ext.is_event_done", SQL, ids, consumer, subconsumer).bind(batch.0).bind(ids_of(events))
}

/// Records events of a batch, like [`set_event_done`] for each of them, in one round trip; [`Recorded::Before`] if one of them was
/// recorded before: roll back then. Wraps `pgq_ext.set_event_done(text, text, bigint, bigint)` over `unnest`.
pub fn set_events_done<'a>(
    consumer: &'a str,
    subconsumer: &'a str,
    batch: BatchId,
    events: &[EventId],
) -> Call<'a, Recorded> {
    const SQL: &str = "SELECT coalesce(bool_and(pgq_ext.set_event_done($1, $2, $3, event)), true) FROM unnest($4::bigint[]) AS event";
    call("pgq_ext.set_event_done", SQL, recorded, consumer, subconsumer).bind(batch.0).bind(ids_of(events))
}

/// The tick that was recorded last; `None` where none was. Wraps `pgq_ext.get_last_tick(text, text)`.
pub fn last_tick<'a>(consumer: &'a str, subconsumer: &'a str) -> Call<'a, Option<TickId>> {
    const SQL: &str = "SELECT pgq_ext.get_last_tick($1, $2)";
    let tick = |answer: Answer<'_>| Ok(answer.value::<Option<i64>>()?.map(TickId));
    call("pgq_ext.get_last_tick", SQL, tick, consumer, subconsumer)
}

/// Records a tick, forwards or backwards; `None` removes the record. Wraps `pgq_ext.set_last_tick(text, text, bigint)`.
pub fn set_last_tick<'a>(consumer: &'a str, subconsumer: &'a str, tick: Option<TickId>) -> Call<'a, ()> {
    const SQL: &str = "SELECT pgq_ext.set_last_tick($1, $2, $3)";
    call("pgq_ext.set_last_tick", SQL, crate::queue::nothing, consumer, subconsumer)
        .bind(Param::BigInt(tick.map(|tick| tick.0)))
}

/// Records the tick at the end of the batch, if the record stands at its begin, or there is none yet. Wraps
/// `pgq_ext.get_last_tick(text, text)` and `pgq_ext.set_last_tick(text, text, bigint)`. Take [`lock`] first. Takes every batch, also
/// those without events ([`EmptyBatches::HandOver`](crate::EmptyBatches::HandOver)).
///
/// # Errors
/// [`Error::PositionGap`] if the record stands anywhere else: events would be missing, or be applied again.
pub fn advance<'a>(consumer: &'a str, subconsumer: &'a str, batch: &NextBatch) -> Call<'a, Recorded> {
    const SQL: &str = "WITH record AS MATERIALIZED (SELECT pgq_ext.get_last_tick($1, $2) AS last) \
         SELECT last, CASE WHEN last IS NULL OR last = $3 THEN pgq_ext.set_last_tick($1, $2, $4) END, $3, $4, $1 FROM record";
    call("pgq_ext.set_last_tick", SQL, advanced, consumer, subconsumer)
        .bind(batch.prev_tick.0)
        .bind(batch.tick.0)
}

/// Brings the tables of pgq_ext up to date and tells how many changes that took: 0 on a current schema. Wraps
/// `pgq_ext.upgrade_schema()`; takes the owner of the schema.
pub fn upgrade_schema() -> Call<'static, u32> {
    let changes = |answer: Answer<'_>| answer.value::<i32>().map(i32::unsigned_abs);
    Call::new("pgq_ext.upgrade_schema", Role::Writer, "SELECT pgq_ext.upgrade_schema()", changes)
}

/// The version of pgq_ext, such as `3.1`. Wraps `pgq_ext.version()`.
///
/// # Errors
/// [`Error::NotInstalled`]
pub fn version() -> Call<'static, String> {
    Call::new("pgq_ext.version", Role::Public, "SELECT pgq_ext.version()", |answer| answer.value())
}

fn call<'a, T: 'a>(
    function: &'static str,
    sql: &'static str,
    decode: fn(Answer<'_>) -> Result<T>,
    consumer: &'a str,
    subconsumer: &'a str,
) -> Call<'a, T> {
    let subject = Subject { consumer: Some(consumer), subconsumer: Some(subconsumer), ..Subject::default() };
    Call::new(function, Role::Writer, sql, decode).about(subject).bind(consumer).bind(subconsumer)
}

fn ids_of(events: &[EventId]) -> Param<'static> {
    Param::BigInts(events.iter().map(|event| event.0).collect())
}

fn recorded(answer: Answer<'_>) -> Result<Recorded> {
    Ok(if answer.value()? { Recorded::Now } else { Recorded::Before })
}

fn advanced(answer: Answer<'_>) -> Result<Recorded> {
    let (row, function) = answer.one()?;
    let mut columns = Columns::of(&row, function);
    let last = columns.next::<Option<i64>>()?.map(TickId);
    let _set: Option<i32> = columns.next()?;
    let (begin, end) = (columns.next().map(TickId)?, columns.next().map(TickId)?);
    match last {
        None => Ok(Recorded::Now),
        Some(last) if last == begin => Ok(Recorded::Now),
        Some(last) if last == end => Ok(Recorded::Before),
        Some(applied) => Err(Error::PositionGap { consumer: columns.next()?, applied, begin, end }),
    }
}
