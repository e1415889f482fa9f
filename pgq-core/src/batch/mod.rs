//! Batches: open, look at, read, finish.

mod chunk;
mod filter;
mod info;
mod next_batch;
mod open_batch;
mod pace;
mod reader;

use std::time::Duration;

pub use self::chunk::ChunkSize;
pub use self::filter::Filter;
pub use self::info::BatchInfo;
pub use self::next_batch::NextBatch;
pub use self::open_batch::OpenBatch;
pub use self::pace::Pace;
pub use self::reader::{EmptyBatches, Reader, Reading};
use crate::answer::Columns;
use crate::call::Answer;
use crate::queue::nothing;
use crate::subject::Subject;
use crate::{BatchId, Call, Event, Param, Result, Role, quote, seconds};

/// What became of the wish to finish a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a batch that was not open any more was taken away: what was done for it must be rolled back"]
pub enum Finish {
    /// The consumer is past the batch.
    Done,
    /// No such batch is open: it was finished before, or taken away.
    NotOpen,
}

/// What can have some events of a batch retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryMeans {
    /// `pgq.events_retry`, which the portable engine has: [`event::retry_set`](crate::event::retry_set).
    Set,
    /// `pgq.event_retry_raw`, with the rights of `pgq_admin`: [`event::retry_many_raw`](crate::event::retry_many_raw).
    Raw,
    /// `pgq.event_retry` for each of them: [`event::retry_many`](crate::event::retry_many).
    Each,
}

/// Opens the consumer's next batch, or the one that is open already; `None` where no new tick is there. Wraps
/// `pgq.next_batch(text, text)`. Unlike [`next_info`] and [`next_custom`] it does not notice a read-only session.
///
/// Run it in autocommit: an uncommitted batch id is not stable. An empty batch is normal and must be finished too.
///
/// # Errors
/// [`Error::NotSubscribed`](crate::Error::NotSubscribed), [`Error::PositionLost`](crate::Error::PositionLost).
pub fn next<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, Option<BatchId>> {
    let id = |answer: Answer<'_>| Ok(answer.value::<Option<i64>>()?.map(BatchId));
    Call::new("pgq.next_batch", Role::Reader, "SELECT pgq.next_batch($1, $2)", id)
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
}

/// Like [`next`], with the ticks that the batch lies between. Wraps `pgq.next_batch_info(text, text)`.
///
/// # Errors
/// Like [`next`].
pub fn next_info<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, Option<NextBatch>> {
    const SQL: &str = "SELECT batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq, \
         prev_tick_event_seq, current_setting('transaction_read_only')::boolean FROM pgq.next_batch_info($1, $2)";
    Call::new("pgq.next_batch_info", Role::Reader, SQL, NextBatch::decode)
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
}

/// Like [`next_info`], but opens a batch only when it is as large and as old as `pace` wants it. Wraps
/// `pgq.next_batch_custom(text, text, interval, integer, interval)`.
///
/// # Errors
/// Like [`next`]; [`Error::ReadOnly`](crate::Error::ReadOnly) on a session that could not finish the batch.
pub fn next_custom<'a>(queue: &'a str, consumer: &'a str, pace: Pace) -> Call<'a, Option<NextBatch>> {
    const SQL: &str = "SELECT batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq, \
         prev_tick_event_seq, current_setting('transaction_read_only')::boolean FROM pgq.next_batch_custom($1, $2, \
         make_interval(secs => $3), $4, make_interval(secs => $5))";
    Call::new("pgq.next_batch_custom", Role::Reader, SQL, NextBatch::decode)
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
        .bind(pace.min_lag)
        .bind(Param::Int(pace.min_count.map(|count| i32::try_from(count).unwrap_or(i32::MAX))))
        .bind(pace.min_interval)
}

/// Looks at an open batch; `None` where it is not open. Wraps `pgq.get_batch_info(bigint)`.
pub fn info(batch: BatchId) -> Call<'static, Option<BatchInfo>> {
    const SQL: &str = "SELECT queue_name, consumer_name, batch_start, batch_end, prev_tick_id, tick_id, \
         extract(epoch FROM lag)::float8, seq_start, seq_end FROM pgq.get_batch_info($1)";
    Call::new("pgq.get_batch_info", Role::Reader, SQL, BatchInfo::decode)
        .about(Subject::batch(batch))
        .bind(batch.0)
}

/// Reads all events of an open batch at once. Wraps `pgq.get_batch_events(bigint)`.
///
/// The server holds the whole batch in memory, and so do you: for large batches use [`cursor`].
///
/// # Errors
/// [`Error::BatchNotFound`](crate::Error::BatchNotFound), [`Error::EventTimestamp`](crate::Error::EventTimestamp).
pub fn events(batch: BatchId) -> Call<'static, Vec<Event>> {
    const SQL: &str = "SELECT ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, \
         ev_extra4 FROM pgq.get_batch_events($1)";
    Call::new("pgq.get_batch_events", Role::Reader, SQL, decode_events)
        .about(Subject::batch(batch))
        .bind(batch.0)
}

/// Opens a cursor over the events of an open batch that pass the filter, and reads the first `quick_limit` of them. Wraps
/// `pgq.get_batch_cursor(bigint, text, integer, text)`.
///
/// The cursor lives as long as the transaction; go on with [`fetch`]. It keeps the two event tables from being rotated.
///
/// # Errors
/// [`Error::BatchNotFound`](crate::Error::BatchNotFound), [`Error::EventTimestamp`](crate::Error::EventTimestamp).
pub fn cursor<'a>(batch: BatchId, name: &'a str, quick_limit: u32, filter: &Filter) -> Call<'a, Vec<Event>> {
    const SQL: &str = "SELECT ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, \
         ev_extra4 FROM pgq.get_batch_cursor($1, $2, $3, $4)";
    Call::new("pgq.get_batch_cursor", Role::Reader, SQL, decode_events)
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(name)
        .bind(i32::try_from(quick_limit).unwrap_or(i32::MAX))
        .bind(Param::Text(filter.sql().map(Into::into)))
}

/// Reads up to `limit` further events from a [`cursor`] in the same transaction. Fewer than `limit` means that it is at its end.
///
/// # Errors
/// [`Error::EventTimestamp`](crate::Error::EventTimestamp).
pub fn fetch(batch: BatchId, name: &str, limit: u32) -> Call<'static, Vec<Event>> {
    let sql = format!("FETCH {limit} FROM {}", quote::ident(name));
    Call::new("FETCH", Role::Reader, sql, decode_events).about(Subject::batch(batch))
}

/// Closes a [`cursor`]; the end of the transaction does it too.
pub fn close(name: &str) -> Call<'static, ()> {
    Call::new("CLOSE", Role::Reader, format!("CLOSE {}", quote::ident(name)), nothing)
}

/// Moves the consumer past the batch. Wraps `pgq.finish_batch(bigint)`.
///
/// In the transaction that holds what was done with the events, it makes that happen exactly once. PgQ asks nobody whose batch it
/// is: only [`Finish::Done`] says that it was still open.
pub fn finish(batch: BatchId) -> Call<'static, Finish> {
    Call::new("pgq.finish_batch", Role::Reader, "SELECT pgq.finish_batch($1)", done)
        .about(Subject::batch(batch))
        .bind(batch.0)
}

/// Has all events of an open batch delivered again, `after` that time, rounded up to whole seconds, and tells how many were not
/// waiting already. Wraps `pgq.batch_retry(bigint, integer)`.
///
/// # Errors
/// [`Error::BatchNotFound`](crate::Error::BatchNotFound).
pub fn retry(batch: BatchId, after: Duration) -> Call<'static, u64> {
    let queued = |answer: Answer<'_>| answer.value::<i32>().map(|count| count.unsigned_abs().into());
    Call::new("pgq.batch_retry", Role::Reader, "SELECT pgq.batch_retry($1, $2)", queued)
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(seconds::whole(after))
}

/// Tells what this user can have events of the batch retried by; `None` where the batch is not open.
pub fn retry_means(batch: BatchId) -> Call<'static, Option<RetryMeans>> {
    const SQL: &str = "SELECT coalesce(has_function_privilege(\
         to_regprocedure('pgq.events_retry(bigint, bigint[], integer[])'), 'EXECUTE'), false), \
         (SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) \
         AND has_table_privilege('pgq.retry_queue', 'SELECT') FROM pg_catalog.pg_proc p \
         WHERE p.pronamespace = 'pgq'::regnamespace AND p.proname = 'event_retry_raw') \
         FROM pgq.get_batch_info($1) WHERE queue_name IS NOT NULL";
    let means = |answer: Answer<'_>| {
        let Some(row) = answer.rows.first() else { return Ok(None) };
        let mut columns = Columns::of(row, answer.function);
        let (set, raw) = (columns.next::<bool>()?, columns.next::<Option<bool>>()?);
        Ok(Some(match (set, raw) {
            (true, _) => RetryMeans::Set,
            (false, Some(true)) => RetryMeans::Raw,
            (false, _) => RetryMeans::Each,
        }))
    };
    Call::new("pgq.get_batch_info", Role::Reader, SQL, means).about(Subject::batch(batch)).bind(batch.0)
}

pub(crate) fn done(answer: Answer<'_>) -> Result<Finish> {
    let finished: i32 = answer.value()?;
    Ok(if finished == 1 { Finish::Done } else { Finish::NotOpen })
}

fn decode_events(answer: Answer<'_>) -> Result<Vec<Event>> {
    // Each row is dropped when its event is made, so that a chunk is held once.
    answer.rows.into_iter().map(|row| Event::try_from(&row)).collect()
}
