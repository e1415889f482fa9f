//! Limits for the connection of a ticker, where the caller's configuration has none.

use std::time::Duration;

/// For how long a call may take, unless the caller says otherwise.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);

/// The name of its sessions, likewise.
pub(crate) const APPLICATION: &str = "pgq ticker";

/// For how long the server waits to be asked something before it ends the session of a ticker that is gone without a word.
pub(crate) fn silence(answer: Duration) -> Duration {
    answer / 4
}

/// For how long to wait for an answer: a little longer than the server works on one, whose error says more.
#[cfg(feature = "async")]
pub(crate) fn patience(answer: Duration) -> Duration {
    answer.saturating_add(answer / 6)
}
