use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::call::Answer;
use crate::{DatabaseError, Error, EventId, Result};

impl Answer<'_> {
    /// The only row.
    pub(crate) fn one(self) -> Result<(Row, &'static str)> {
        let function = self.function;
        match self.rows.into_iter().next() {
            Some(row) => Ok((row, function)),
            None => Err(Error::UnexpectedAnswer { function, problem: "no row", source: None }),
        }
    }

    /// The only column of the only row.
    pub(crate) fn value<T: for<'r> FromSql<'r>>(self) -> Result<T> {
        let (row, function) = self.one()?;
        Columns::of(&row, function).next()
    }
}

/// Reads the columns of a row from left to right.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    function: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row, function: &'static str) -> Self {
        Self { row, function, next: 0 }
    }

    /// Leaves out columns.
    pub(crate) fn skip(mut self, columns: usize) -> Self {
        self.next += columns;
        self
    }

    pub(crate) fn next<T: FromSql<'r>>(&mut self) -> Result<T> {
        self.read().map_err(|error| Error::UnexpectedAnswer {
            function: self.function,
            problem: "a column is missing or of another type",
            source: Some(DatabaseError::from(error)),
        })
    }

    /// A timestamp of the event `event`, which anybody with the rights may have set to infinity.
    pub(crate) fn event_time(&mut self, event: EventId, column: &'static str) -> Result<DateTime<Utc>> {
        self.read().map_err(|error| Error::EventTimestamp { event, column, source: error.into() })
    }

    fn read<T: FromSql<'r>>(&mut self) -> Result<T, tokio_postgres::Error> {
        self.next += 1;
        self.row.try_get(self.next - 1)
    }
}
