//! Privileges on the event tables.

use crate::queue::nothing;
use crate::subject::Subject;
use crate::{Call, Role};

/// Gives the queue's tables and sequences the privileges they should have: those of `pgq.event_template`, as they are now. Wraps
/// `pgq.grant_perms(text)`.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound).
pub fn apply(queue: &str) -> Call<'_, ()> {
    Call::new("pgq.grant_perms", Role::Admin, "SELECT pgq.grant_perms($1)", nothing)
        .about(Subject::queue(queue))
        .bind(queue)
}
