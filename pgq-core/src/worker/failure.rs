use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};

use crate::{Error, database_error};

/// Why an event was not handled.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    error: Box<dyn StdError + Send + Sync>,
}

/// The kinds of [`Failure`]. As reasons of dead letters they are `error`, `panic`, `timeout`, `decode`, `unknown type` and
/// `asked for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
    /// The handler took longer than its limit.
    Timeout,
    /// The payload is not what the handler takes.
    Decode,
    /// There is no handler for the type of the event.
    UnknownType,
    /// The handler asked for it: [`Outcome::Dead`](super::Outcome::Dead).
    Asked,
}

impl Failure {
    /// What a handler returned.
    pub fn error(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Error, error: error.into() }
    }

    /// What a handler panicked with.
    pub fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a text".to_owned());
        Self { kind: FailureKind::Panic, error: text.into() }
    }

    /// A handler that took longer than it may.
    pub fn timeout(limit: Duration) -> Self {
        let text = format!("the handler did not end within {limit:?}");
        Self { kind: FailureKind::Timeout, error: text.into() }
    }

    /// A payload that is not what the handler takes.
    pub fn decode(error: Error) -> Self {
        Self { kind: FailureKind::Decode, error: error.into() }
    }

    /// An event of a type that no handler is there for.
    pub fn unknown_type(event_type: Option<&str>) -> Self {
        let text = match event_type {
            Some(event_type) => format!("there is no handler for events of type {event_type:?}"),
            None => "there is no handler for events without a type".to_owned(),
        };
        Self { kind: FailureKind::UnknownType, error: text.into() }
    }

    pub(super) fn asked(reason: String) -> Self {
        Self { kind: FailureKind::Asked, error: reason.into() }
    }

    /// The kind.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether the handler took longer than it may.
    pub fn is_timeout(&self) -> bool {
        self.kind == FailureKind::Timeout
    }

    /// Whether it was the database that failed the handler, in a way that may pass: a lost connection, a conflict with another
    /// transaction, a time limit. That says nothing about the event.
    pub fn is_transient(&self) -> bool {
        self.kind == FailureKind::Error && causes(&*self.error).any(|error| database(error, Transient::Any))
    }

    /// Whether the handler lost its connection.
    pub fn is_connection(&self) -> bool {
        self.kind == FailureKind::Error
            && causes(&*self.error).any(|error| database(error, Transient::Connection))
    }

    /// Whether the batch's cursor was gone when the handler went on reading.
    pub(super) fn has_lost_cursor(&self) -> bool {
        causes(&*self.error).filter_map(|error| error.downcast_ref::<Error>()).any(|error| {
            let is_fetch = matches!(error, Error::Database { function: Some("FETCH"), .. });
            is_fetch && error.sqlstate() == Some(&SqlState::INVALID_CURSOR_NAME)
        })
    }

    /// The error and its causes, in one line. Of one of the server's only the message and the SQLSTATE: its DETAIL quotes rows.
    pub fn text(&self) -> String {
        let texts: Vec<_> = causes(&*self.error).map(told).collect();
        texts.join(": ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text())
    }
}

impl FailureKind {
    const ALL: [Self; 6] =
        [Self::Error, Self::Panic, Self::Timeout, Self::Decode, Self::UnknownType, Self::Asked];

    /// The one that is meant by the reason of a dead letter.
    pub(crate) fn of_reason(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.reason() == reason)
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Decode => "decode",
            Self::UnknownType => "unknown type",
            Self::Asked => "asked for",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

#[derive(Clone, Copy)]
enum Transient {
    Any,
    Connection,
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn told(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<DbError>() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// Whether this one of the causes is the database's, and of that kind.
fn database(error: &(dyn StdError + 'static), transient: Transient) -> bool {
    if let Some(error) = error.downcast_ref::<Error>() {
        return match transient {
            Transient::Any => error.is_transient(),
            Transient::Connection => error.is_connection() || matches!(error, Error::ReadOnly { .. }),
        };
    }
    let Some(error) = error.downcast_ref::<tokio_postgres::Error>() else { return false };
    // A server that cannot be written to any more is to be left like one that is gone.
    let gone =
        || database_error::is_connection(error) || error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
    match transient {
        Transient::Any => gone() || database_error::is_conflict(error),
        Transient::Connection => gone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_transient_cause_at_any_depth() {
        #[derive(Debug)]
        struct Outer(Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let gone = Failure::error(Outer(Error::NoAnswerInTime { waited: Duration::from_secs(1) }));
        assert!(gone.is_transient() && gone.is_connection());
        let own = Failure::error(Outer(Error::TickerStopped));
        assert!(!own.is_transient() && !own.is_connection());
        assert_eq!(own.text(), "outer: the ticker is stopped");
    }

    #[test]
    fn the_reason_of_a_letter_tells_the_kind() {
        for kind in FailureKind::ALL {
            // One more here is one more in `ALL`.
            match kind {
                FailureKind::Error
                | FailureKind::Panic
                | FailureKind::Timeout
                | FailureKind::Decode
                | FailureKind::UnknownType
                | FailureKind::Asked => {}
            }
            assert_eq!(FailureKind::of_reason(&kind.to_string()), Some(kind));
        }
        assert_eq!(FailureKind::of_reason("nobody wants it"), None);
    }

    #[test]
    fn keeps_the_text_of_a_panic() {
        let payload = std::panic::catch_unwind(|| std::panic::panic_any("no such customer".to_owned()));
        assert_eq!(Failure::panic(&*payload.unwrap_err()).to_string(), "panic: no such customer");
    }
}
