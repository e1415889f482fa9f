use std::collections::BTreeMap;

/// What a ticker does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has no connection, or found no PgQ on it, and tries again.
    #[default]
    Connecting,
    /// Another process is the ticker of this database; this one takes over when that goes away.
    Standby,
    /// It is the ticker of this database.
    Leading,
    /// It was stopped.
    Stopped,
}

/// What a ticker has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What it does just now.
    pub state: State,
    /// How many ticks it made.
    pub ticks: u64,
    /// How many events it moved back from the retry queue.
    pub retried: u64,
    /// How many maintenance operations it ran.
    pub maintained: u64,
    /// How many of its calls failed.
    pub failures: u64,
    /// What keeps it from working, if something does: connection, installation, rights. The text of the error.
    pub trouble: Option<String>,
    /// The jobs that fail, such as `tick orders`, and the text of their last error.
    pub failing: BTreeMap<String, String>,
}
