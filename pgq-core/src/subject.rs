use tokio_postgres::error::SqlState;

use crate::{BatchId, DatabaseError, Error, EventId, Role, TickId};

/// What a call is about, so that an error can name it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) queue: Option<&'a str>,
    pub(crate) consumer: Option<&'a str>,
    /// Then `consumer` is the main one.
    pub(crate) subconsumer: Option<&'a str>,
    pub(crate) parameter: Option<&'a str>,
    pub(crate) tick: Option<TickId>,
    pub(crate) batch: Option<BatchId>,
    pub(crate) event: Option<EventId>,
}

/// The conditions that PgQ reports by text alone, under P0001 (PL/pgSQL) or XX000 (C): how the text starts, and what follows in it.
const CONDITIONS: &[(&str, &str, Condition)] = &[
    ("No such event queue", "", Condition::QueueNotFound),
    ("No such queue", "", Condition::QueueNotFound),
    ("no such queue", "", Condition::QueueNotFound),
    ("Event queue not created yet", "", Condition::QueueNotFound),
    ("Event queue not found", "", Condition::QueueNotFound),
    ("Queue not found", "", Condition::QueueNotFound),
    ("cannot drop queue, consumers still attached", "", Condition::QueueHasConsumers),
    ("Not subscriber to queue: ", "", Condition::NotSubscribed),
    ("consumer not registered", "", Condition::NotSubscribed),
    ("PgQ corruption: Consumer ", "does not see tick <NULL>", Condition::PositionLost),
    ("No ticks for this queue", "", Condition::NoTicks),
    ("cannot reposition, tick not found: ", "", Condition::TickNotFound),
    ("batch not found", "", Condition::BatchNotFound),
    ("Cannot find data for batch ", "", Condition::BatchNotFound),
    ("batch_retry: batch ", " not found", Condition::BatchNotFound),
    ("event not found", "", Condition::EventNotFound),
    ("Insert into queue disallowed", "", Condition::InsertDisabled),
    ("Writing to queue disabled", "", Condition::InsertDisabled),
    ("Queue '", " events from one TX", Condition::TransactionLimit),
    ("Ticker has been paused for this queue", "", Condition::TickerPaused),
    ("This queue has external tick source.", "", Condition::ExternalTicker),
    ("queue not found or ticker disabled: ", "", Condition::NotExternalTicker),
    ("Invalid PgQ state: ", "", Condition::ForeignTicks),
    ("cannot change parameter ", "", Condition::UnknownParameter),
    ("could not serialize access: the event tables of queue ", "", Condition::RotatedMeanwhile),
    ("main consumer has batch open?", "", Condition::MainConsumerBusy),
    ("subconsumer has active batch", "", Condition::SubConsumerBusy),
    ("consumer \"", "\" is not a subconsumer of \"", Condition::NotInGroup),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    QueueNotFound,
    QueueHasConsumers,
    NotSubscribed,
    PositionLost,
    NoTicks,
    TickNotFound,
    BatchNotFound,
    EventNotFound,
    InsertDisabled,
    TransactionLimit,
    TickerPaused,
    ExternalTicker,
    NotExternalTicker,
    ForeignTicks,
    UnknownParameter,
    RotatedMeanwhile,
    MainConsumerBusy,
    SubConsumerBusy,
    NotInGroup,
}

impl<'a> Subject<'a> {
    pub(crate) fn queue(queue: &'a str) -> Self {
        Self { queue: Some(queue), ..Self::default() }
    }

    pub(crate) fn consumer(queue: &'a str, consumer: &'a str) -> Self {
        Self { consumer: Some(consumer), ..Self::queue(queue) }
    }

    pub(crate) fn batch(batch: BatchId) -> Self {
        Self { batch: Some(batch), ..Self::default() }
    }

    /// The error that `source` stands for when `function` failed with it.
    pub(crate) fn error(&self, function: &'static str, role: Role, source: DatabaseError) -> Error {
        let Some(state) = source.sqlstate() else {
            return Error::Database { function: Some(function), table: None, source };
        };
        match *state {
            SqlState::INSUFFICIENT_PRIVILEGE => {
                Error::MissingPrivilege { function, role, source: Some(source) }
            }
            SqlState::INVALID_SCHEMA_NAME | SqlState::UNDEFINED_FUNCTION => {
                Error::NotInstalled { function, source }
            }
            SqlState::READ_ONLY_SQL_TRANSACTION => Error::ReadOnly { source: Some(source) },
            SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER => {
                Error::Encoding { source }
            }
            SqlState::UNIQUE_VIOLATION if self.is_creation_race(&source) => {
                Error::CreatedMeanwhile { source }
            }
            SqlState::RAISE_EXCEPTION
            | SqlState::INTERNAL_ERROR
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => self.condition(function, source),
            _ => Error::Database { function: Some(function), table: None, source },
        }
    }

    pub(crate) fn not_in_group(&self, source: Option<DatabaseError>) -> Error {
        let (queue, main) =
            (self.queue.unwrap_or_default().to_owned(), self.consumer.unwrap_or_default().to_owned());
        Error::NotInGroup { queue, consumer: self.member(), main, source }
    }

    /// The name that PgQ knows the subconsumer by.
    fn member(&self) -> String {
        format!("{}.{}", self.consumer.unwrap_or_default(), self.subconsumer.unwrap_or_default())
    }

    fn is_creation_race(&self, source: &DatabaseError) -> bool {
        matches!(source.constraint(), Some("queue_name_uq" | "consumer_name_uq" | "subscription_pkey"))
    }

    fn condition(&self, function: &'static str, source: DatabaseError) -> Error {
        let message = source.message().unwrap_or_default();
        match reported(message) {
            Some(condition) => self.known(condition, source),
            None => Error::Database { function: Some(function), table: None, source },
        }
    }

    fn known(&self, condition: Condition, source: DatabaseError) -> Error {
        let (named_queue, named_consumer) = named(source.message().unwrap_or_default());
        let queue = self.queue.unwrap_or(named_queue).to_owned();
        let consumer = self.consumer.unwrap_or(named_consumer).to_owned();
        let batch = self.batch.unwrap_or(BatchId(0));
        match condition {
            Condition::QueueNotFound => Error::QueueNotFound { queue, source },
            Condition::QueueHasConsumers => Error::QueueHasConsumers { queue, source },
            Condition::NotSubscribed => Error::NotSubscribed { queue, consumer, source },
            Condition::PositionLost => Error::PositionLost { queue, consumer, source },
            Condition::NoTicks => Error::NoTicks { queue, source },
            Condition::TickNotFound => {
                Error::TickNotFound { queue, tick: self.tick.unwrap_or(TickId(0)), source }
            }
            Condition::BatchNotFound => Error::BatchNotFound { batch, source },
            Condition::EventNotFound => {
                Error::EventNotFound { batch, event: self.event, source: Some(source) }
            }
            Condition::InsertDisabled => Error::InsertDisabled { queue, source },
            Condition::TransactionLimit => Error::TransactionLimit { queue, source },
            Condition::TickerPaused => Error::TickerPaused { queue, source },
            Condition::ExternalTicker => Error::ExternalTicker { queue, source },
            Condition::NotExternalTicker => Error::NotExternalTicker { queue, source },
            Condition::ForeignTicks => Error::ForeignTicks { source },
            Condition::UnknownParameter => {
                Error::UnknownParameter { parameter: self.parameter.unwrap_or_default().to_owned(), source }
            }
            Condition::RotatedMeanwhile => Error::RotatedMeanwhile { queue, source: Some(source) },
            Condition::MainConsumerBusy => Error::MainConsumerBusy { queue, consumer, source },
            Condition::SubConsumerBusy => Error::SubConsumerBusy { queue, consumer: self.member(), source },
            Condition::NotInGroup => self.not_in_group(Some(source)),
        }
    }
}

/// The queue and the consumer that a message names, for a call that was about several of them.
fn named(message: &str) -> (&str, &str) {
    match (message.strip_prefix("No such queue: "), message.strip_prefix("Not subscriber to queue: ")) {
        (Some(queue), _) => (queue, ""),
        (_, Some(names)) => names.rsplit_once('/').unwrap_or_default(),
        _ => ("", ""),
    }
}

fn reported(message: &str) -> Option<Condition> {
    let is_it = |(start, part, _): &&(&str, &str, _)| {
        message.strip_prefix(start).is_some_and(|rest| rest.contains(part))
    };
    CONDITIONS.iter().find(is_it).map(|&(_, _, condition)| condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_as_main_consumer_is_another_condition() {
        let taken = "consumer \"m.a\" of queue \"q\" is not a subconsumer of \"m\"";
        assert_eq!(reported(taken), Some(Condition::NotInGroup));
        assert_eq!(reported("consumer \"m.a\" of queue \"q\" is a subconsumer of \"m\""), None);
    }
}
