use crate::EventId;

/// `event 7: `, for the beginning of a message.
pub(super) fn of(event: &Option<EventId>) -> String {
    event.map_or_else(String::new, |event| format!("event {event}: "))
}

pub(super) fn named(queue: &str) -> String {
    if queue.is_empty() { "a queue".to_owned() } else { format!("queue {queue:?}") }
}

/// What installs the schema that the function is of.
pub(super) fn installs(function: &str) -> &'static str {
    match function.split_once('.') {
        Some(("pgq_coop", _)) => "install the schema pgq_coop beside pgq, with `Installer::install`",
        Some(("pgq_ext", _)) => {
            "install the schema pgq_ext in the database that is written to, with `Installer::install`"
        }
        _ => "install PgQ with `Installer::install` or `CREATE EXTENSION pgq`",
    }
}
