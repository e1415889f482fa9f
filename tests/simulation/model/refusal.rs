use super::SessionId;

/// Why a statement has no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    Error(SqlError),
    /// The session holds a row that the statement needs.
    Wait(SessionId),
}

/// What the server says about a statement that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) state: &'static str,
    pub(crate) message: String,
}

impl SqlError {
    pub(crate) fn new(state: &'static str, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    /// Whether the server ends the session with it.
    pub(crate) fn is_fatal(&self) -> bool {
        ["57P01", "57P02", "57P03", "53300"].contains(&self.state)
    }
}

impl Refusal {
    /// What `RAISE EXCEPTION` makes of a text.
    pub(crate) fn raise<T>(message: impl Into<String>) -> Result<T, Self> {
        Self::error("P0001", message)
    }

    pub(crate) fn error<T>(state: &'static str, message: impl Into<String>) -> Result<T, Self> {
        Err(Self::Error(SqlError::new(state, message)))
    }
}
