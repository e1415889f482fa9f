use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};

use super::NewEvent;
use crate::subject::Subject;
use crate::{DatabaseError, Error, Result, Role, quote};

/// A binary `COPY` into the event table that takes the inserts of a queue in this transaction. Comes from
/// [`event::copy`](fn@super::copy); the drivers are built on it.
#[derive(Clone, Debug)]
pub struct Copy {
    queue: String,
    sql: String,
    time: DateTime<Utc>,
}

impl Copy {
    pub(super) fn new(queue: &str, table: &str, time: DateTime<Utc>) -> Self {
        let table = quote::qualified(table);
        let sql = format!(
            "COPY {table} (ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) \
             FROM STDIN (FORMAT binary)"
        );
        Self { queue: queue.to_owned(), sql, time }
    }

    /// The statement.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The types of its columns.
    pub fn types(&self) -> &'static [Type] {
        const TYPES: &[Type] =
            &[Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT];
        TYPES
    }

    /// The columns of one event.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`]
    pub fn row<'e>(&'e self, event: &'e NewEvent<'_>) -> Result<[&'e (dyn ToSql + Sync); 7]> {
        match event.check_size() {
            Some(refusal) => Err(refusal),
            None => {
                let [event_type, data, extra1, extra2, extra3, extra4] = event.columns();
                Ok([&self.time, event_type, data, extra1, extra2, extra3, extra4])
            }
        }
    }

    /// What an error of the `COPY` stands for.
    pub fn error(&self, error: tokio_postgres::Error) -> Error {
        Subject::queue(&self.queue).error("COPY", Role::Admin, DatabaseError::from(error))
    }
}
