use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::{Copy, MAX_SIZE, NewEvent, new_event};
use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{Call, Error, EventId, Param, Result, Role};

/// The transaction gets its id before PgQ reads which event table takes inserts; else a rotation in between loses the event. A
/// transaction that keeps its snapshot (repeatable read, serializable) gets nothing from this one.
const OWN_TXID: &str = "WITH own AS MATERIALIZED (SELECT CASE \
     WHEN current_setting('transaction_isolation') LIKE 'read%' THEN txid_current() END AS txid)";

/// For a transaction that keeps its snapshot: after it has its id, looks whether the tables were rotated since the snapshot. A rotation
/// empties the table after the current one, so the row of that table in `pg_class`, as the snapshot sees it, names another file than
/// the one in use, and was superseded by the transaction that rotated. If that one is the older, the event would be lost. The size is
/// asked for because it takes a lock, and so notices what other sessions have done.
const OWN_TXID_CHECKED: &str = "WITH mine AS MATERIALIZED (SELECT txid_current() AS id), \
     own AS MATERIALIZED (SELECT CASE WHEN NOT EXISTS (SELECT FROM pgq.queue JOIN pg_catalog.pg_class c \
     ON c.oid = to_regclass(queue_data_pfx || '_' || (queue_cur_table + 1) % queue_ntables) WHERE queue_name = $1 AND \
     CASE WHEN pg_relation_size(c.oid) >= 0 THEN c.relfilenode <> pg_relation_filenode(c.oid) END AND \
     ((id - c.xmax::text::bigint) % 4294967296 + 4294967296) % 4294967296 < 2147483648) THEN id END AS txid FROM mine)";

/// Inserts an event of type and data. Wraps `pgq.insert_event(text, text, text)`.
///
/// The event is delivered when, and only if, the transaction commits and a tick comes after that.
///
/// # Errors
/// [`Error::QueueNotFound`], [`Error::InsertDisabled`], [`Error::TransactionLimit`], [`Error::EventTooLarge`], and
/// [`Error::RotatedMeanwhile`] in a repeatable read or serializable transaction, where a second round trip looks for that.
pub fn insert<'a>(queue: &'a str, event_type: &'a str, data: &'a str) -> Call<'a, EventId> {
    own_txid("pgq.insert_event", Role::Writer, ["pgq.insert_event($1, $2, $3)", ""], inserted)
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
    let expression = "pgq.insert_event($1, $2, $3, $4, $5, $6, $7)";
    let call = own_txid("pgq.insert_event", Role::Writer, [expression, ""], inserted)
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
    if events.is_empty() {
        return Call::new("pgq.insert_event", Role::Writer, "SELECT WHERE false", |_| Ok(Vec::new()));
    }
    let many = [
        "pgq.insert_event($1, e.type, e.data, e.x1, e.x2, e.x3, e.x4)",
        "CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
         AS e (type, data, x1, x2, x3, x4)",
    ];
    let call = own_txid("pgq.insert_event", Role::Writer, many, inserted_many)
        .about(Subject::queue(queue))
        .refuse(events.iter().find_map(NewEvent::check_size))
        .bind(queue);
    columns(events).fold(call, Call::bind)
}

/// Like [`insert_many`], but for the server it is one insert. Wraps `pgq.insert_events`, which the portable engine has; it notices
/// itself what [`Error::RotatedMeanwhile`] stands for. [`can_insert_all`] tells whether it is there.
///
/// # Errors
/// Like [`insert`]; [`Error::NotInstalled`] on PgQ's own engine.
pub fn insert_all<'a>(queue: &'a str, events: &'a [NewEvent<'_>]) -> Call<'a, Vec<EventId>> {
    const SQL: &str = "SELECT pgq.insert_events($1, $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])";
    let inserted = |answer: Answer<'_>| {
        answer.rows.iter().map(|row| Columns::of(row, answer.function).next().map(EventId)).collect()
    };
    let call = Call::new("pgq.insert_events", Role::Writer, SQL, inserted)
        .about(Subject::queue(queue))
        .refuse(events.iter().find_map(NewEvent::check_size))
        .bind(queue);
    columns(events).fold(call, Call::bind)
}

/// Whether this user has [`insert_all`].
pub fn can_insert_all() -> Call<'static, bool> {
    const SQL: &str = "SELECT coalesce(has_function_privilege(\
         to_regprocedure('pgq.insert_events(text, text[], text[], text[], text[], text[], text[])'), 'EXECUTE'), false)";
    Call::new("to_regprocedure", Role::Public, SQL, |answer| answer.value())
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
    let expression = "pgq.insert_event_raw($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let call = own_txid("pgq.insert_event_raw", Role::Admin, [expression, ""], inserted)
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
/// [`Error::QueueNotFound`], [`Error::InsertDisabled`], [`Error::RotatedMeanwhile`].
pub fn current_table(queue: &str) -> Call<'_, String> {
    let table = |answer: Answer<'_>| {
        let (row, function) = answer.or_rotated()?;
        Columns::of(&row, function).next()
    };
    own_txid("pgq.current_event_table", Role::Writer, ["pgq.current_event_table($1)", ""], table)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Prepares a [`Copy`](struct@Copy) into the table that takes the queue's inserts now; to be run in the transaction that copies. Wraps
/// `pgq.current_event_table(text)`.
///
/// # Errors
/// Like [`current_table`]; [`Error::MissingPrivilege`] for a role that may not insert into the table: it takes `pgq_admin`.
pub fn copy(queue: &str) -> Call<'_, Copy> {
    let prepare = |answer: Answer<'_>| {
        let queue = answer.subject.queue.unwrap_or_default();
        let (row, function) = answer.or_rotated()?;
        let mut columns = Columns::of(&row, function);
        let copy = Copy::new(queue, columns.next()?, columns.next()?);
        // A COPY that is refused breaks the connection: the driver answers the refusal with a message too many.
        match columns.next()? {
            true => Ok(copy),
            false => Err(Error::MissingPrivilege { function: "COPY", role: Role::Admin, source: None }),
        }
    };
    let insertable = "pgq.current_event_table($1) AS answer, now(), has_table_privilege(pgq.current_event_table($1), 'INSERT')";
    own_txid("pgq.current_event_table", Role::Admin, [insertable, ""], prepare)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// The fields of the events, an array for each.
fn columns<'a>(events: &'a [NewEvent<'_>]) -> impl Iterator<Item = Param<'a>> {
    let column =
        |field| Param::Texts(events.iter().map(|event| event.field(field).map(Into::into)).collect());
    (0..NewEvent::FIELDS).map(column)
}

/// The call that evaluates `expression` (over `from`) in a transaction that owns its id.
fn own_txid<'a, T: 'a>(
    function: &'static str,
    role: Role,
    [expression, from]: [&str; 2],
    decode: fn(Answer<'_>) -> Result<T>,
) -> Call<'a, T> {
    let sql = |own: &str| format!("{own} SELECT {expression} FROM own {from} WHERE txid IS NOT NULL");
    Call::new(function, role, sql(OWN_TXID), decode).unless_read_committed(sql(OWN_TXID_CHECKED))
}

fn inserted(answer: Answer<'_>) -> Result<EventId> {
    let (row, function) = answer.or_rotated()?;
    Columns::of(&row, function).next().map(EventId)
}

fn inserted_many(answer: Answer<'_>) -> Result<Vec<EventId>> {
    if answer.rows.is_empty() {
        return Err(answer.rotated());
    }
    answer.rows.iter().map(|row| Columns::of(row, answer.function).next().map(EventId)).collect()
}

impl Answer<'_> {
    /// The only row; where there is none, the transaction did not get as far as to insert.
    fn or_rotated(self) -> Result<(Row, &'static str)> {
        if self.rows.is_empty() { Err(self.rotated()) } else { self.one() }
    }

    fn rotated(&self) -> Error {
        Error::RotatedMeanwhile { queue: self.subject.queue.unwrap_or_default().to_owned(), source: None }
    }
}
