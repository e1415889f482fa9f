use std::time::Duration;

use chrono::{DateTime, Utc};

use super::NewEvent;
use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{BatchId, Call, Error, EventId, Param, Result, Role, seconds};

/// What became of the wish to have an event retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It waits in the retry queue.
    Queued,
    /// It waited there for this consumer already.
    WasQueued,
}

/// Has an event of an open batch delivered again to this consumer, `after` that time, rounded up to whole seconds. Wraps
/// `pgq.event_retry(bigint, bigint, integer)`.
///
/// Reads the whole batch on the server: for more than a few events use [`retry_many`], or `pgq.batch_retry` by
/// [`batch::retry`](crate::batch::retry) for all.
///
/// # Errors
/// [`Error::EventNotFound`], also where the batch is not open (any more).
pub fn retry_after(batch: BatchId, event: EventId, after: Duration) -> Call<'static, Retry> {
    retry(batch, event, "SELECT pgq.event_retry($1, $2, $3::integer)").bind(seconds::whole(after))
}

/// Like [`retry_after`], at a time. Wraps `pgq.event_retry(bigint, bigint, timestamptz)`.
///
/// # Errors
/// Like [`retry_after`].
pub fn retry_at(batch: BatchId, event: EventId, time: DateTime<Utc>) -> Call<'static, Retry> {
    retry(batch, event, "SELECT pgq.event_retry($1, $2, $3::timestamptz)").bind(time)
}

fn retry(batch: BatchId, event: EventId, sql: &'static str) -> Call<'static, Retry> {
    let queued = |answer: Answer<'_>| {
        let queued: i32 = answer.value()?;
        Ok(if queued == 1 { Retry::Queued } else { Retry::WasQueued })
    };
    Call::new("pgq.event_retry", Role::Reader, sql, queued)
        .about(Subject { event: Some(event), ..Subject::batch(batch) })
        .bind(batch.0)
        .bind(event.0)
}

/// Has some events of an open batch delivered again, each after its time, in one round trip; answers with how many were not
/// waiting already. Wraps `pgq.event_retry` over `unnest`: the server reads the whole batch once for each event.
///
/// # Errors
/// [`Error::EventNotFound`]; then none is queued.
pub fn retry_many(batch: BatchId, retries: &[(EventId, Duration)]) -> Call<'static, u64> {
    const SQL: &str = "SELECT sum(pgq.event_retry($1, event, seconds::integer)) \
         FROM unnest($2::bigint[], $3::bigint[]) AS r (event, seconds)";
    Call::new("pgq.event_retry", Role::Reader, SQL, count)
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(ids(retries))
        .bind(times(retries))
}

/// Like [`retry_many`], but the server reads the batch once for all of them. Wraps `pgq.events_retry`, which the portable engine has.
///
/// # Errors
/// [`Error::EventNotFound`]; then none is queued. [`Error::NotInstalled`] on PgQ's own engine.
pub fn retry_set(batch: BatchId, retries: &[(EventId, Duration)]) -> Call<'static, u64> {
    const SQL: &str = "SELECT pgq.events_retry($1, $2, $3::integer[])";
    let queued = |answer: Answer<'_>| answer.value::<i32>().map(|count| count.unsigned_abs().into());
    Call::new("pgq.events_retry", Role::Reader, SQL, queued)
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(ids(retries))
        .bind(times(retries))
}

/// Like [`retry_many`], but the server reads the batch once for all of them; takes `pgq_admin`. Wraps `pgq.event_retry_raw` over
/// `pgq.get_batch_events`.
///
/// # Errors
/// [`Error::EventNotFound`]: roll back then, for the others are queued. [`Error::BatchNotFound`].
pub fn retry_many_raw<'a>(
    queue: &'a str,
    consumer: &'a str,
    batch: BatchId,
    retries: &[(EventId, Duration)],
) -> Call<'a, u64> {
    const SQL: &str = "WITH waiting AS (SELECT w.ev_id FROM pgq.retry_queue w \
         JOIN pgq.subscription s ON s.sub_id = w.ev_owner WHERE s.sub_batch = $3) \
         SELECT count(CASE WHEN ev_id IS NOT NULL AND event NOT IN (SELECT ev_id FROM waiting) THEN \
         pgq.event_retry_raw($1, $2, now() + make_interval(secs => seconds), ev_id, ev_time, coalesce(ev_retry, 0) + 1, \
         ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) END), \
         min(CASE WHEN ev_id IS NULL THEN event END) \
         FROM unnest($4::bigint[], $5::bigint[]) AS r (event, seconds) \
         LEFT JOIN (SELECT DISTINCT ON (ev_id) * FROM pgq.get_batch_events($3) ORDER BY ev_id, ev_retry DESC NULLS LAST) AS e \
         ON ev_id = event";
    let queued = |answer: Answer<'_>| {
        let batch = answer.subject.batch.unwrap_or(BatchId(0));
        let (row, function) = answer.one()?;
        let mut columns = Columns::of(&row, function);
        let queued: i64 = columns.next()?;
        match columns.next::<Option<i64>>()? {
            Some(missing) => Err(Error::EventNotFound { batch, event: Some(EventId(missing)), source: None }),
            None => Ok(queued.unsigned_abs()),
        }
    };
    Call::new("pgq.event_retry_raw", Role::Admin, SQL, queued)
        .about(Subject { batch: Some(batch), ..Subject::consumer(queue, consumer) })
        .bind(queue)
        .bind(consumer)
        .bind(batch.0)
        .bind(ids(retries))
        .bind(times(retries))
}

/// Puts any event into the retry queue of a consumer, with a retry count of the caller's choice; `None` as id takes a new one.
/// Wraps `pgq.event_retry_raw`.
///
/// # Errors
/// [`Error::NotSubscribed`]; a unique violation if the event waits there already. Takes `pgq_admin`.
pub fn retry_raw<'a>(
    queue: &'a str,
    consumer: &'a str,
    due: DateTime<Utc>,
    id: Option<EventId>,
    time: DateTime<Utc>,
    retry: Option<i32>,
    event: &'a NewEvent<'_>,
) -> Call<'a, EventId> {
    const SQL: &str = "SELECT pgq.event_retry_raw($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let id_of = |answer: Answer<'_>| answer.value().map(EventId);
    let call = Call::new("pgq.event_retry_raw", Role::Admin, SQL, id_of)
        .about(Subject::consumer(queue, consumer))
        .refuse(event.check_size())
        .bind(queue)
        .bind(consumer)
        .bind(due)
        .bind(Param::BigInt(id.map(|id| id.0)))
        .bind(time)
        .bind(Param::Int(retry));
    event.fields().into_iter().fold(call, Call::bind)
}

fn ids(retries: &[(EventId, Duration)]) -> Param<'static> {
    Param::BigInts(retries.iter().map(|(event, _)| event.0).collect())
}

fn times(retries: &[(EventId, Duration)]) -> Param<'static> {
    Param::BigInts(retries.iter().map(|(_, after)| seconds::whole(*after).into()).collect())
}

fn count(answer: Answer<'_>) -> Result<u64> {
    Ok(answer.value::<Option<i64>>()?.unwrap_or_default().unsigned_abs())
}
