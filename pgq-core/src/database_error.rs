use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

/// What the driver or the server reported, as the cause of an [`Error`](crate::Error).
///
/// `Display` and `Debug` show the server's message, SQLSTATE and constraint, but never its DETAIL, HINT or CONTEXT:
/// those quote rows. [`driver`](Self::driver) has everything.
pub struct DatabaseError(tokio_postgres::Error);

impl DatabaseError {
    /// The SQLSTATE, if the server reported one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.0.code()
    }

    /// The server's message, if it was the server that failed.
    pub fn message(&self) -> Option<&str> {
        self.0.as_db_error().map(DbError::message)
    }

    /// The name of the violated constraint, if the server named one.
    pub fn constraint(&self) -> Option<&str> {
        self.0.as_db_error().and_then(DbError::constraint)
    }

    /// The driver's own error. Its DETAIL may quote values of rows: think before you log it.
    pub fn driver(&self) -> &tokio_postgres::Error {
        &self.0
    }

    /// Whether the connection is gone, or the server refuses to serve one now.
    pub(crate) fn is_connection(&self) -> bool {
        is_connection(&self.0)
    }

    /// Whether the same transaction may succeed when it is tried again.
    pub(crate) fn is_conflict(&self) -> bool {
        is_conflict(&self.0)
    }
}

/// Whether an error of the driver says that the connection is gone, or that the server refuses to serve one now.
pub(crate) fn is_connection(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else {
        let io = || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
        return error.is_closed() || io();
    };
    state.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::DATABASE_DROPPED,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::IDLE_SESSION_TIMEOUT,
        ]
        .contains(state)
}

/// Whether an error of the driver says that the same transaction may succeed when it is tried again: for another one's sake, or for want
/// of room.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let retryable = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::DISK_FULL,
        SqlState::OUT_OF_MEMORY,
    ];
    error.code().is_some_and(|state| retryable.contains(state))
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(db) = self.0.as_db_error() else {
            return self.0.fmt(f);
        };
        write!(f, "{} (SQLSTATE {}", db.message(), db.code().code())?;
        if let Some(constraint) = db.constraint() {
            write!(f, ", constraint {constraint:?}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseError({self})")
    }
}

impl StdError for DatabaseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.as_db_error() {
            Some(_) => None,
            None => self.0.source(),
        }
    }
}
