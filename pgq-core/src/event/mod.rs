//! Events: insert them, have them retried.

mod copy;
#[expect(clippy::module_inception, reason = "the type `Event` is where its name says")]
mod event;
mod new_event;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

pub use self::copy::Copy;
pub use self::event::Event;
pub use self::new_event::{Chunks, MAX_SIZE, NewEvent, chunks};
use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{BatchId, Call, Error, EventId, Param, Result, Role};

/// What became of the wish to have an event retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It waits in the retry queue.
    Queued,
    /// It waited there for this consumer already.
    WasQueued,
}

/// The transaction gets its id before PgQ reads which event table takes inserts; else a rotation in between loses the event. One
/// that took its snapshot before it has an id (repeatable read, serializable) cannot be made safe here and gets no row.
const OWN_TXID: &str = "WITH level AS MATERIALIZED (SELECT current_setting('transaction_isolation') AS isolation, \
     txid_current_if_assigned() IS NOT NULL AS assigned), \
     own AS MATERIALIZED (SELECT isolation, CASE WHEN assigned OR isolation LIKE 'read%' THEN txid_current() END AS txid \
     FROM level)";

/// Inserts an event of type and data. Wraps `pgq.insert_event(text, text, text)`.
///
/// The event is delivered when, and only if, the transaction commits and a tick comes after that.
///
/// # Errors
/// [`Error::QueueNotFound`], [`Error::InsertDisabled`], [`Error::TransactionLimit`], [`Error::EventTooLarge`], and
/// [`Error::NoTransactionId`] in a repeatable read or serializable transaction that did not begin with
/// [`tick::current_txid`](crate::tick::current_txid).
pub fn insert<'a>(queue: &'a str, event_type: &'a str, data: &'a str) -> Call<'a, EventId> {
    Call::new("pgq.insert_event", Role::Writer, own_txid("pgq.insert_event($1, $2, $3)", ""), inserted)
        .about(Subject::queue(queue))
        .refuse(new_event::check_size(event_type.len() + data.len(), MAX_SIZE))
        .bind(queue)
        .bind(event_type)
        .bind(data)
}

/// Like [`insert`], with the four extra fields, and NULL where the event has none. Wraps
/// `pgq.insert_event(text, text, text, text, text, text, text)`.
///
/// # Errors
/// Like [`insert`].
pub fn insert_extras<'a>(queue: &'a str, event: &'a NewEvent<'_>) -> Call<'a, EventId> {
    let sql = own_txid("pgq.insert_event($1, $2, $3, $4, $5, $6, $7)", "");
    let call = Call::new("pgq.insert_event", Role::Writer, sql, inserted)
        .about(Subject::queue(queue))
        .refuse(event.check_size())
        .bind(queue);
    event.fields().into_iter().fold(call, Call::bind)
}

/// Inserts many events in one statement and one round trip, and answers with their ids in the order of `events`. Wraps
/// `pgq.insert_event` over `unnest`, so that a plain `pgq_writer` may call it.
///
/// # Errors
/// Like [`insert`]; then none of the events is inserted.
pub fn insert_many<'a>(queue: &'a str, events: &'a [NewEvent<'_>]) -> Call<'a, Vec<EventId>> {
    let sql = own_txid(
        "pgq.insert_event($1, e.type, e.data, e.x1, e.x2, e.x3, e.x4)",
        "CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
         AS e (type, data, x1, x2, x3, x4)",
    );
    let call = Call::new("pgq.insert_event", Role::Writer, sql, inserted_many)
        .about(Subject::queue(queue))
        .refuse(events.iter().find_map(NewEvent::check_size))
        .bind(queue);
    let column = |field: usize| Param::Texts(events.iter().map(|event| event.field(field)).collect());
    (0..NewEvent::FIELDS).map(column).fold(call, Call::bind)
}

/// Inserts an event with an id, time, owner and retry count of the caller's choice, each `None` for the usual. Wraps
/// `pgq.insert_event_raw`.
///
/// # Errors
/// Like [`insert`]; takes `pgq_admin`.
pub fn insert_raw<'a>(
    queue: &'a str,
    id: Option<EventId>,
    time: Option<DateTime<Utc>>,
    owner: Option<i32>,
    retry: Option<i32>,
    event: &'a NewEvent<'_>,
) -> Call<'a, EventId> {
    let sql = own_txid("pgq.insert_event_raw($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", "");
    let call = Call::new("pgq.insert_event_raw", Role::Admin, sql, inserted)
        .about(Subject::queue(queue))
        .refuse(event.check_size())
        .bind(queue)
        .bind(Param::BigInt(id.map(|id| id.0)))
        .bind(Param::Time(time))
        .bind(Param::Int(owner))
        .bind(Param::Int(retry));
    event.fields().into_iter().fold(call, Call::bind)
}

/// The name of the table that takes the queue's inserts now, unquoted, for the rest of this transaction. Wraps
/// `pgq.current_event_table(text)`.
///
/// For `COPY`, which takes the rights of `pgq_admin` and passes by the queue's limits. The transaction owns an id before the table
/// is looked up, as in [`insert`].
///
/// # Errors
/// [`Error::QueueNotFound`], [`Error::InsertDisabled`], [`Error::NoTransactionId`].
pub fn current_table(queue: &str) -> Call<'_, String> {
    let table = |answer: Answer<'_>| {
        let subject = answer.subject;
        let (row, function) = answer.one()?;
        read_inserted(&mut Columns::of(&row, function), subject)
    };
    Call::new("pgq.current_event_table", Role::Writer, own_txid("pgq.current_event_table($1)", ""), table)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Prepares a [`Copy`](struct@Copy) into the table that takes the queue's inserts now; to be run in the transaction that copies. Wraps
/// `pgq.current_event_table(text)`.
///
/// # Errors
/// Like [`current_table`]; [`Error::MissingPrivilege`] for a role that may not insert into the table.
pub fn copy(queue: &str) -> Call<'_, Copy> {
    let prepare = |answer: Answer<'_>| {
        let subject = answer.subject;
        let (row, function) = answer.one()?;
        let mut columns = Columns::of(&row, function);
        let table: String = read_inserted(&mut columns, subject)?;
        let copy = Copy::new(subject.queue.unwrap_or_default(), &table, columns.next()?);
        // A COPY that is refused breaks the connection: the driver answers the refusal with a message too many.
        match columns.next()? {
            true => Ok(copy),
            false => Err(Error::MissingPrivilege { function: "COPY", role: Role::Admin, source: None }),
        }
    };
    let sql = own_txid("pgq.current_event_table($1)", "");
    let sql = format!(
        "SELECT isolation, answer, now(), has_table_privilege(answer, 'INSERT') FROM ({sql}) AS table_of (isolation, answer)"
    );
    Call::new("pgq.current_event_table", Role::Writer, sql, prepare).about(Subject::queue(queue)).bind(queue)
}

/// Has an event of an open batch delivered again to this consumer, after `seconds` from now. Wraps
/// `pgq.event_retry(bigint, bigint, integer)`.
///
/// Reads the whole batch on the server: for more than a few events use [`retry_many`], or `pgq.batch_retry` by
/// [`batch::retry`](crate::batch::retry) for all.
///
/// # Errors
/// [`Error::EventNotFound`], also where the batch is not open (any more).
pub fn retry_after(batch: BatchId, event: EventId, seconds: i32) -> Call<'static, Retry> {
    retry(batch, event, "SELECT pgq.event_retry($1, $2, $3::integer)").bind(seconds)
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

/// Has some events of an open batch delivered again, each after its seconds, in one round trip; answers with how many were not
/// waiting already. Wraps `pgq.event_retry` over `unnest`: the server reads the whole batch once for each event.
///
/// # Errors
/// [`Error::EventNotFound`]; then none is queued.
pub fn retry_many(batch: BatchId, retries: &[(EventId, i32)]) -> Call<'static, u64> {
    const SQL: &str = "SELECT sum(pgq.event_retry($1, event, seconds::integer)) \
         FROM unnest($2::bigint[], $3::bigint[]) AS r (event, seconds)";
    Call::new("pgq.event_retry", Role::Reader, SQL, count)
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(Param::BigInts(retries.iter().map(|(event, _)| event.0).collect()))
        .bind(Param::BigInts(retries.iter().map(|(_, seconds)| (*seconds).into()).collect()))
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
    retries: &[(EventId, i32)],
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
        .bind(Param::BigInts(retries.iter().map(|(event, _)| event.0).collect()))
        .bind(Param::BigInts(retries.iter().map(|(_, seconds)| (*seconds).into()).collect()))
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

fn own_txid(expression: &str, from: &str) -> String {
    format!("{OWN_TXID} SELECT isolation, CASE WHEN txid IS NOT NULL THEN {expression} END FROM own {from}")
}

fn inserted(answer: Answer<'_>) -> Result<EventId> {
    let subject = answer.subject;
    let (row, function) = answer.one()?;
    read_inserted(&mut Columns::of(&row, function), subject).map(EventId)
}

fn inserted_many(answer: Answer<'_>) -> Result<Vec<EventId>> {
    let id = |row: &Row| read_inserted(&mut Columns::of(row, answer.function), answer.subject).map(EventId);
    answer.rows.iter().map(id).collect()
}

fn read_inserted<'r, T>(columns: &mut Columns<'r>, subject: &Subject<'_>) -> Result<T>
where
    T: tokio_postgres::types::FromSql<'r>,
{
    let isolation: String = columns.next()?;
    let value: Option<T> = columns.next()?;
    value.ok_or_else(|| Error::NoTransactionId {
        queue: subject.queue.unwrap_or_default().to_owned(),
        isolation,
    })
}

fn count(answer: Answer<'_>) -> Result<u64> {
    Ok(answer.value::<Option<i64>>()?.unwrap_or_default().unsigned_abs())
}
