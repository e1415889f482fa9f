//! The savepoint before an event in the transaction of its batch. Each text is for the simple protocol: one round trip, no answer.

/// Sets it before the first event.
pub const SET: &str = "SAVEPOINT pgq_event";

/// Keeps what the last event wrote, and sets it before the next one. Fails where the transaction is aborted.
pub const NEXT: &str = "RELEASE SAVEPOINT pgq_event; SAVEPOINT pgq_event";

/// Like [`NEXT`], and checks constraints that are deferred to the commit, which would not tell whose writes they refuse.
pub const NEXT_CHECKED: &str = "SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT pgq_event; SET CONSTRAINTS ALL DEFERRED; SAVEPOINT pgq_event";

/// Undoes what the last event wrote; it is set before the next one then.
pub const UNDO: &str = "ROLLBACK TO SAVEPOINT pgq_event";
