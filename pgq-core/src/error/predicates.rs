use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::SqlState;

use super::Installation;
use crate::{DatabaseError, Error, EventId};

impl Error {
    /// Whether the connection is gone or could not be made. Connect again, with a growing pause; what was open is rolled back.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::NoAnswerInTime { .. })
            || self.database().is_some_and(DatabaseError::is_connection)
    }

    /// Whether the same work may succeed when it is tried again: a lost connection, a conflict with another transaction, a time
    /// limit, a server that is read-only or out of room for now.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly { .. }
                | Self::CreatedMeanwhile { .. }
                | Self::BatchLost { .. }
                | Self::ConsumerClaimed { .. }
                | Self::RotatedMeanwhile { .. }
        ) || self.is_connection()
            || self.database().is_some_and(DatabaseError::is_conflict)
    }

    /// The same error, naming the event that was decoded.
    pub(crate) fn of_event(mut self, id: EventId) -> Self {
        match &mut self {
            Self::NotAChange { event, .. }
            | Self::Malformed { event, .. }
            | Self::Deserialize { event, .. } => {
                *event = Some(id);
            }
            _ => {}
        }
        self
    }

    /// The SQLSTATE, if the server reported one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.database()?.sqlstate()
    }

    /// What the driver or the server said, if it was one of them that failed.
    pub fn database(&self) -> Option<&DatabaseError> {
        match self {
            Self::QueueNotFound { source, .. }
            | Self::QueueHasConsumers { source, .. }
            | Self::CreatedMeanwhile { source }
            | Self::NotSubscribed { source, .. }
            | Self::PositionLost { source, .. }
            | Self::NoTicks { source, .. }
            | Self::TickNotFound { source, .. }
            | Self::BatchNotFound { source, .. }
            | Self::InsertDisabled { source, .. }
            | Self::TransactionLimit { source, .. }
            | Self::TickerPaused { source, .. }
            | Self::ExternalTicker { source, .. }
            | Self::NotExternalTicker { source, .. }
            | Self::ForeignTicks { source }
            | Self::UnknownParameter { source, .. }
            | Self::MainConsumerBusy { source, .. }
            | Self::SubConsumerBusy { source, .. }
            | Self::NotInstalled { source, .. }
            | Self::Encoding { source }
            | Self::EventTimestamp { source, .. }
            | Self::TransactionEnded { source, .. }
            | Self::Installation(Installation::Step { source, .. })
            | Self::Database { source, .. } => Some(source),
            Self::ReadOnly { source }
            | Self::RotatedMeanwhile { source, .. }
            | Self::NotInGroup { source, .. }
            | Self::UnexpectedAnswer { source, .. }
            | Self::EventNotFound { source, .. }
            | Self::MissingPrivilege { source, .. } => source.as_ref(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database { function: None, table: None, source: error.into() }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
