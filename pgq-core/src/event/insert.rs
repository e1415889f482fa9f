use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::{Copy, MAX_SIZE, NewEvent, new_event};
use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{Call, Error, EventId, Param, Result, Role};

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
    let column =
        |field: usize| Param::Texts(events.iter().map(|event| event.field(field).map(Into::into)).collect());
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
    T: FromSql<'r>,
{
    let isolation: String = columns.next()?;
    let value: Option<T> = columns.next()?;
    value.ok_or_else(|| Error::NoTransactionId {
        queue: subject.queue.unwrap_or_default().to_owned(),
        isolation,
    })
}
