//! The savepoint before an event in the transaction of its batch. Each text is for the simple protocol: one round trip, no answer.

use tokio_postgres::error::SqlState;

use super::Failure;
use crate::{Error, EventId, Result};

/// Sets it before the first event. Fails where there is no transaction.
pub const SET: &str = "SAVEPOINT pgq_event";

/// Keeps what the last event wrote, and sets it before the next one. Fails where the transaction is aborted.
pub const NEXT: &str = "RELEASE SAVEPOINT pgq_event; SAVEPOINT pgq_event";

/// Like [`NEXT`], and checks constraints that are deferred to the commit, which would not tell whose writes they refuse.
pub const NEXT_CHECKED: &str = "SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT pgq_event; SET CONSTRAINTS ALL DEFERRED; SAVEPOINT pgq_event";

/// Undoes what the last event wrote; it is set before the next one then.
pub const UNDO: &str = "ROLLBACK TO SAVEPOINT pgq_event";

/// Like [`UNDO`], after a handler whose statement was cancelled. Nobody tells when a cancel request has been carried out: one that is still on its way is to
/// end this, and not what comes next.
pub const UNDO_LATE: &str = "ROLLBACK TO SAVEPOINT pgq_event; SELECT pg_sleep(0.1)";

/// What it means that what an event wrote could not be kept: that the event failed.
///
/// # Errors
/// Where the batch cannot go on: the connection is gone, or [`Error::TransactionEnded`].
pub fn not_kept(event: EventId, error: Error) -> Result<Failure> {
    match explain(Some(event), error) {
        error if error.is_connection() || matches!(error, Error::TransactionEnded { .. }) => Err(error),
        error => Ok(Failure::error(error)),
    }
}

/// Names the error of a statement of the worker's that failed because a handler has ended the transaction.
pub fn explain(event: Option<EventId>, error: Error) -> Error {
    const SIGNS: [SqlState; 3] = [
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        SqlState::S_E_INVALID_SPECIFICATION,
        SqlState::INVALID_CURSOR_NAME,
    ];
    match error {
        Error::Database { source, .. } if source.sqlstate().is_some_and(|state| SIGNS.contains(state)) => {
            Error::TransactionEnded { event, source }
        }
        error => error,
    }
}
