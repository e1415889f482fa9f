use std::time::Duration;

use crate::{DatabaseError, EventId, TickId};

/// `event 7: `, for the beginning of a message.
pub(super) fn of(event: &Option<EventId>) -> String {
    event.map_or_else(String::new, |event| format!("event {event}: "))
}

pub(super) fn named(queue: &str) -> String {
    if queue.is_empty() { "a queue".to_owned() } else { format!("queue {queue:?}") }
}

/// What failed, as far as it is known. What the server says about it is the cause.
pub(super) fn failed(function: Option<&str>, table: Option<&str>, source: &DatabaseError) -> String {
    match (function, table) {
        (Some(function), Some(table)) => format!("`{function}` on table {table} failed"),
        (Some(function), None) => format!("`{function}` failed"),
        _ if source.sqlstate().is_none() || source.is_connection() => "the connection failed".to_owned(),
        _ => "the server refused the connection or a statement".to_owned(),
    }
}

/// What is between the position that was recorded and the begin of the batch, and the ways out, which differ.
pub(super) fn gap(applied: TickId, begin: TickId) -> String {
    if applied < begin {
        format!(
            "if empty batches were passed in between, have them handed over with `EmptyBatches::HandOver`; `Consumer::register_at` \
             to tick {applied} delivers again what was missed, while `ext::set_last_tick` to tick {begin} skips it for good"
        )
    } else {
        format!(
            "`Consumer::register_at` to tick {applied} goes on behind what was applied, while `ext::set_last_tick` to tick {begin} \
             has it applied again"
        )
    }
}

/// What installs the schema that the function is of.
pub(super) fn installs(function: &str) -> &'static str {
    match function.split_once('.') {
        Some(("pgq_coop", _)) => "install the schema pgq_coop beside pgq, with `Installer::install`",
        Some(("pgq_ext", _)) => {
            "install the schema pgq_ext in the database that is written to, with `Installer::install`"
        }
        Some(("pgq_dead", _)) => {
            "install the schema pgq_dead beside pgq, with `Installer::new().only(Schema::ALL)` or `print_sql --only pgq_dead`"
        }
        _ => "install PgQ with `Installer::install` or `CREATE EXTENSION pgq`",
    }
}

/// That the server said nothing for so long, or the connection was gone already.
pub(super) fn no_answer(waited: Duration) -> String {
    match waited {
        Duration::ZERO => "the connection is gone".to_owned(),
        waited => format!("the server did not answer within {waited:?}"),
    }
}
