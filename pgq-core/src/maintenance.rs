//! Maintenance: retry queue, rotation, vacuum.

use tokio_postgres::Row;

use crate::answer::Columns;
use crate::call::Answer;
pub use crate::long_transaction::{Held, LongTransaction, long_transactions};
use crate::queue::nothing;
use crate::subject::Subject;
use crate::{Call, Result, Role, quote};

/// A row of `pgq.maint_operations`: something that [`run`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The function to call, or `vacuum`.
    pub function: String,
    /// What to call it with: a queue, or the table to vacuum.
    pub argument: Option<String>,
}

/// Lists what is to be done now, in order. Wraps `pgq.maint_operations()`.
///
/// Each row is to be [`run`] in a transaction of its own (step 2 of a rotation must not run in that of step 1, or events are
/// lost), again for as long as it answers other than 0, and the others also when one fails.
pub fn operations() -> Call<'static, Vec<Operation>> {
    const SQL: &str = "SELECT func_name, func_arg FROM pgq.maint_operations()";
    Call::new("pgq.maint_operations", Role::Admin, SQL, |answer| {
        let decode = |row: &Row| {
            let mut columns = Columns::of(row, answer.function);
            Ok(Operation { function: columns.next()?, argument: columns.next()? })
        };
        answer.rows.iter().map(decode).collect()
    })
}

/// Runs one operation, in autocommit. Answers with what the function returned: run it again while that is not 0. A vacuum
/// answers 0.
pub fn run(operation: &Operation) -> Call<'_, i64> {
    let Operation { function, argument } = operation;
    if function.eq_ignore_ascii_case("vacuum") || function.eq_ignore_ascii_case("vacuum analyze") {
        let table = quote::qualified(argument.as_deref().unwrap_or_default());
        return Call::new("vacuum", Role::Admin, format!("{} {table}", function.to_uppercase()), |_| Ok(0));
    }
    let subject = Subject { queue: argument.as_deref(), ..Subject::default() };
    let function = quote::qualified(function);
    match argument {
        Some(argument) => {
            Call::new("pgq.maint_operations", Role::Admin, format!("SELECT {function}($1)"), returned)
                .about(subject)
                .bind(argument.as_str())
        }
        None => Call::new("pgq.maint_operations", Role::Admin, format!("SELECT {function}()"), returned),
    }
}

/// Moves due events from the retry queue back into their queues, up to ten times `rounds` of them, and tells how many. Wraps
/// `pgq.maint_retry_events()`, called `rounds` times in one statement.
///
/// # Errors
/// [`Error::InsertDisabled`](crate::Error::InsertDisabled) if one of the queues is disabled: nothing is moved then.
pub fn retry_events(rounds: u32) -> Call<'static, u64> {
    const SQL: &str = "WITH own AS MATERIALIZED (SELECT txid_current()) \
         SELECT sum(pgq.maint_retry_events()) FROM own, generate_series(1, $1)";
    let moved = |answer: Answer<'_>| Ok(answer.value::<Option<i64>>()?.unwrap_or_default().unsigned_abs());
    Call::new("pgq.maint_retry_events", Role::Admin, SQL, moved)
        .bind(i32::try_from(rounds).unwrap_or(i32::MAX))
}

/// Like [`retry_events`], but leaves alone the events of disabled queues instead of failing, and moves up to `limit` events. Wraps
/// `pgq.insert_event_raw` over `pgq.retry_queue`.
pub fn retry_events_enabled(limit: u32) -> Call<'static, u64> {
    const SQL: &str = "WITH own AS MATERIALIZED (SELECT txid_current()), \
         turn AS MATERIALIZED (SELECT ev_owner AS owner, ev_id AS id, queue_name \
         FROM own, pgq.retry_queue JOIN pgq.queue ON queue_id = ev_queue \
         WHERE ev_retry_after <= now() AND NOT queue_disable_insert ORDER BY ev_retry_after LIMIT $1), \
         moved AS (DELETE FROM pgq.retry_queue USING turn WHERE ev_owner = owner AND ev_id = id \
         RETURNING queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) \
         SELECT count(pgq.insert_event_raw(queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, \
         ev_extra2, ev_extra3, ev_extra4)) FROM moved";
    let moved = |answer: Answer<'_>| Ok(answer.value::<i64>()?.unsigned_abs());
    Call::new("pgq.insert_event_raw", Role::Admin, SQL, moved).bind(i64::from(limit))
}

/// Begins a rotation of the queue's event tables, if its period has passed and all consumers are past the oldest one. Wraps
/// `pgq.maint_rotate_tables_step1(text)`.
///
/// Gives up without an error when somebody reads the table that is to be emptied. [`rotate_step2`] must follow in a later
/// transaction, never in the same: that loses events.
pub fn rotate_step1(queue: &str) -> Call<'_, ()> {
    const SQL: &str = "SELECT pgq.maint_rotate_tables_step1($1)";
    Call::new("pgq.maint_rotate_tables_step1", Role::Admin, SQL, nothing)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Completes the rotations that [`rotate_step1`] began, on all queues. Wraps `pgq.maint_rotate_tables_step2()`.
pub fn rotate_step2() -> Call<'static, ()> {
    Call::new("pgq.maint_rotate_tables_step2", Role::Admin, "SELECT pgq.maint_rotate_tables_step2()", nothing)
}

/// Lists the tables that want a vacuum; none where autovacuum is on. Wraps `pgq.maint_tables_to_vacuum()`.
pub fn tables_to_vacuum() -> Call<'static, Vec<String>> {
    const SQL: &str = "SELECT t FROM pgq.maint_tables_to_vacuum() AS t";
    Call::new("pgq.maint_tables_to_vacuum", Role::Admin, SQL, |answer| {
        answer.rows.iter().map(|row| Columns::of(row, answer.function).next()).collect()
    })
}

/// Sets the storage options that event tables should have. Wraps `pgq.tune_storage(text)`; takes the owner of the tables.
pub fn tune_storage(queue: &str) -> Call<'_, ()> {
    Call::new("pgq.tune_storage", Role::Admin, "SELECT pgq.tune_storage($1)", nothing)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Brings PgQ's tables and roles to the shape of the installed version. Wraps `pgq.upgrade_schema()`; takes the owner of the
/// tables.
pub fn upgrade_schema() -> Call<'static, ()> {
    Call::new("pgq.upgrade_schema", Role::Admin, "SELECT pgq.upgrade_schema()", nothing)
}

fn returned(answer: Answer<'_>) -> Result<i64> {
    let (row, function) = answer.one()?;
    let mut columns = Columns::of(&row, function);
    match row.columns().first().map(|column| column.type_().name()) {
        Some("int4") => Ok(columns.next::<Option<i32>>()?.unwrap_or_default().into()),
        Some("int8") => Ok(columns.next::<Option<i64>>()?.unwrap_or_default()),
        _ => Ok(0),
    }
}
