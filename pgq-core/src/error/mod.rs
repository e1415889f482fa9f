mod installation;
mod payload;
mod predicates;
mod words;

use std::time::Duration;

pub use self::installation::Installation;
pub(crate) use self::payload::payload_error;
use self::words::{failed, gap, installs, named, no_answer, of};
use crate::{BatchId, DatabaseError, EventId, Role, TickId};

/// What can go wrong, in all crates of the workspace.
///
/// One type, because errors travel: a consumer loop meets the errors of the connection, of PgQ and of decoding, and hands them on
/// with one `?`. Ask the predicates first: [`is_connection`](Self::is_connection) (connect again),
/// [`is_transient`](Self::is_transient) (the same work may succeed when it is tried again), [`sqlstate`](Self::sqlstate). `Display`
/// says what is wrong, on what, and what to do; the cause is in `source()` and not repeated. `Debug` has both: it is what `unwrap`, and
/// `?` in a `main`, show.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue is not in this database.
    #[error(
        "queue {queue:?} does not exist: create it with `Queue::create` or `SELECT pgq.create_queue(...)`"
    )]
    #[non_exhaustive]
    QueueNotFound {
        /// The queue that was asked for.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The queue still has consumers, and it was not to be dropped with them.
    #[error(
        "queue {queue:?} still has consumers: unregister them, or drop it with `Queue::drop_with_consumers`"
    )]
    #[non_exhaustive]
    QueueHasConsumers {
        /// The queue that was to be dropped.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// Somebody created the same queue, or registered the same consumer, at the same moment. Try again: it exists by then.
    #[error("somebody else created the queue or registered the consumer at the same moment: try again")]
    #[non_exhaustive]
    CreatedMeanwhile {
        /// What the server said.
        source: DatabaseError,
    },

    /// The consumer is not registered on the queue.
    #[error(
        "consumer {consumer:?} is not registered on queue {queue:?}, or there is no such queue: register it with `Consumer::register`"
    )]
    #[non_exhaustive]
    NotSubscribed {
        /// The queue.
        queue: String,
        /// The consumer that is not on it.
        consumer: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The consumer's position is gone: its tick was removed, or a wrong finish function destroyed it.
    #[error(
        "consumer {consumer:?} has no valid position on queue {queue:?}: give it one with `Consumer::register_at`"
    )]
    #[non_exhaustive]
    PositionLost {
        /// The queue.
        queue: String,
        /// The consumer whose position is gone.
        consumer: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The queue has no tick yet, so a consumer has nowhere to start.
    #[error("queue {queue:?} has no ticks yet: run a ticker on this database")]
    #[non_exhaustive]
    NoTicks {
        /// The queue without ticks.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The tick to start from is not there (any more).
    #[error("tick {tick} of queue {queue:?} does not exist: ticks are kept for about two rotation periods")]
    #[non_exhaustive]
    TickNotFound {
        /// The queue.
        queue: String,
        /// The tick that was asked for.
        tick: TickId,
        /// What the server said.
        source: DatabaseError,
    },

    /// No open batch has this id: it was finished, or somebody else took its place.
    #[error("batch {batch} is not open: it was finished, or given up for another one")]
    #[non_exhaustive]
    BatchNotFound {
        /// The batch that was asked for.
        batch: BatchId,
        /// What the server said.
        source: DatabaseError,
    },

    /// The batch was taken away while it was worked on; everything done in its transaction is rolled back.
    #[error(
        "batch {batch} of consumer {consumer:?} on queue {queue:?} was taken away meanwhile (does another process \
         use the same name, was this one silent for too long, or does its heartbeat go to another database?): its transaction is rolled back"
    )]
    #[non_exhaustive]
    BatchLost {
        /// The queue.
        queue: String,
        /// The consumer that held the batch.
        consumer: String,
        /// The batch that is lost.
        batch: BatchId,
    },

    /// The main consumer of a group has a batch open, so its subconsumers get none.
    #[error(
        "consumer {consumer:?} on queue {queue:?} has a batch open itself: finish that with `Consumer`, and then let subconsumers read only"
    )]
    #[non_exhaustive]
    MainConsumerBusy {
        /// The queue.
        queue: String,
        /// The main consumer.
        consumer: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The subconsumer has a batch open, so it was not unregistered.
    #[error(
        "subconsumer {consumer:?} on queue {queue:?} has a batch open: finish it, or hand it back with `IfBusy::GiveBack`"
    )]
    #[non_exhaustive]
    SubConsumerBusy {
        /// The queue.
        queue: String,
        /// The subconsumer, as `main.sub`.
        consumer: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// A consumer that is not of the group has the name of a subconsumer.
    #[error(
        "consumer {consumer:?} on queue {queue:?} is not a subconsumer of {main:?}: choose another name for the subconsumer"
    )]
    #[non_exhaustive]
    NotInGroup {
        /// The queue.
        queue: String,
        /// The name that is taken, `main.sub`.
        consumer: String,
        /// The main consumer.
        main: String,
        /// What the server said, if it was the server that noticed.
        source: Option<DatabaseError>,
    },

    /// Another session has claimed the consumer.
    #[error("consumer {consumer:?} on queue {queue:?} is claimed by another session")]
    #[non_exhaustive]
    ConsumerClaimed {
        /// The queue.
        queue: String,
        /// The consumer.
        consumer: String,
    },

    /// The database that batches are applied to is not where the batch begins: events would be missing in it, or be applied again.
    ///
    /// Most often the consumer passes empty batches, which are then not recorded: set
    /// [`EmptyBatches::HandOver`](crate::EmptyBatches::HandOver). To go on, move the consumer with `Consumer::register_at` to the tick
    /// that was recorded: what is missing is delivered again, what was applied is not. Moving the record by
    /// [`set_last_tick`](crate::ext::set_last_tick) instead gives up what is missing, or applies again what was applied.
    #[error(
        "lost position: {consumer:?} has applied its queue up to tick {applied}, and the batch goes from tick {begin} to tick {end}: {}",
        gap(*applied, *begin)
    )]
    #[non_exhaustive]
    PositionGap {
        /// The name that the record is kept by.
        consumer: String,
        /// The tick that was recorded.
        applied: TickId,
        /// The tick that the batch begins at.
        begin: TickId,
        /// The tick that the batch ends at.
        end: TickId,
    },

    /// The batch has events that were not read yet, so finishing it would lose them.
    #[error(
        "batch {batch} has events that were not read: read them all, or say so with `Batch::finish_unread`"
    )]
    #[non_exhaustive]
    BatchUnread {
        /// The batch that was to be finished.
        batch: BatchId,
    },

    /// An event failed, and its worker was told to stop then. The batch stays open and comes again.
    #[error(
        "event {event} of queue {queue:?} failed in consumer {consumer:?}, which was told to stop then: {failure}"
    )]
    #[non_exhaustive]
    EventFailed {
        /// The queue.
        queue: String,
        /// The consumer.
        consumer: String,
        /// The event.
        event: EventId,
        /// The kind of failure, and what the handler said.
        failure: String,
    },

    /// The handler of whole batches failed, and its worker was told to stop then. The batch stays open and comes again.
    #[error(
        "batch {batch} of queue {queue:?} failed in consumer {consumer:?}, which was told to stop then: {failure}"
    )]
    #[non_exhaustive]
    BatchFailed {
        /// The queue.
        queue: String,
        /// The consumer.
        consumer: String,
        /// The batch.
        batch: BatchId,
        /// The kind of failure, and what the handler said.
        failure: String,
    },

    /// A handler ended the transaction of its batch. What was written before may be committed though the batch is not finished, or is rolled
    /// back though its events count as done; the batch comes again.
    #[error(
        "{}a handler ended the transaction of its batch (`COMMIT` or `ROLLBACK`): leave that to the worker; a savepoint \
         (`Transaction::transaction`) undoes a part, and `WorkerBuilder::outside` is for work that is to commit by itself",
        of(event)
    )]
    #[non_exhaustive]
    TransactionEnded {
        /// The event that was handled, if it is known which.
        event: Option<EventId>,
        /// What the server said.
        source: DatabaseError,
    },

    /// A worker could need dead letters, and there are none.
    #[error(
        "events that fail for good become dead letters, but this user cannot add to the schema `pgq_dead`: where it is missing, install it \
         (`Installer::new().only(Schema::ALL)`); where it is not, grant this user the role `pgq_reader`; or choose other `RetryPolicy::exhausted`, `WorkerOptions::unknown` and \
         `WorkerOptions::undecodable`"
    )]
    NoDeadLetters,

    /// A worker was to stop, and a handler that cannot be interrupted went on beyond the time that it had.
    #[error(
        "a handler is still at work {waited:?} after its worker was told to stop; its batch will be given back"
    )]
    StillWorking {
        /// How long it was waited for.
        waited: Duration,
    },

    /// A worker ended without being told to: the callback for its notices, or something in the worker itself, panicked, or its runtime
    /// was shut down. The batch that it had in hand comes again.
    #[error("the worker ended by itself: {problem}")]
    WorkerEnded {
        /// What the panic said.
        problem: String,
    },

    /// The rest of a batch cannot be read in this transaction; it comes again when the batch is dropped.
    #[error("the events of batch {batch} were left in the middle of a chunk: drop the batch, it comes again")]
    #[non_exhaustive]
    ReadInterrupted {
        /// The batch that was being read.
        batch: BatchId,
    },

    /// The batch has no event of this id.
    #[error("{} is not in batch {batch}", event.map_or("an event that was named".into(), |event| format!("event {event}")))]
    #[non_exhaustive]
    EventNotFound {
        /// The batch.
        batch: BatchId,
        /// The event that is not in it, if it is known which.
        event: Option<EventId>,
        /// What the server said, if it was the server that missed it.
        source: Option<DatabaseError>,
    },

    /// An event was to be retried when its batch was finished, or about to be.
    #[error("event {event} cannot be retried any more: say so before you ask for the next event")]
    RetryTooLate {
        /// The event.
        event: EventId,
    },

    /// The queue accepts no events now (`queue_disable_insert`).
    #[error("{} accepts no events: its `queue_disable_insert` is set", named(queue))]
    #[non_exhaustive]
    InsertDisabled {
        /// The queue; empty where the call was not about one queue.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// One transaction inserted more events than the queue allows (`queue_per_tx_limit`).
    #[error(
        "too many events in one transaction for queue {queue:?}: commit more often, or raise its `queue_per_tx_limit`"
    )]
    #[non_exhaustive]
    TransactionLimit {
        /// The queue.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The event tables were rotated between the snapshot of a repeatable read or serializable transaction and its first write: an
    /// event that it inserts would be lost. Run the transaction again.
    #[error(
        "queue {queue:?} was rotated after the snapshot of this transaction and before its first write, so the event \
         would be lost: run the transaction again, in read committed or with `SELECT txid_current()` as first statement"
    )]
    #[non_exhaustive]
    RotatedMeanwhile {
        /// The queue.
        queue: String,
        /// What the server said, if it was the server that noticed.
        source: Option<DatabaseError>,
    },

    /// An event larger than the limit was to be inserted.
    #[error(
        "event of {size} bytes is over the limit of {limit} bytes: store the payload elsewhere, or raise the limit"
    )]
    #[non_exhaustive]
    EventTooLarge {
        /// Bytes in type, data and extras.
        size: usize,
        /// The limit that holds.
        limit: usize,
    },

    /// The queue's ticker is paused.
    #[error("the ticker of queue {queue:?} is paused: set `ticker_paused` to false")]
    #[non_exhaustive]
    TickerPaused {
        /// The queue.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// The queue takes its ticks from elsewhere (`external_ticker`).
    #[error("queue {queue:?} has an external ticker: its ticks come with their ids from another database")]
    #[non_exhaustive]
    ExternalTicker {
        /// The queue.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// A tick with an id was given to a queue that is unknown, paused, or not set to an external ticker.
    #[error(
        "queue {queue:?} takes no external ticks: it does not exist, is paused, or has `external_ticker` off"
    )]
    #[non_exhaustive]
    NotExternalTicker {
        /// The queue.
        queue: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// No tick that covers the events came in time.
    #[error("queue {queue:?} got no tick within {waited:?}: {}", trouble.as_deref().unwrap_or("is its ticker running?"))]
    NoTickInTime {
        /// The queue.
        queue: String,
        /// How long it was waited for.
        waited: Duration,
        /// What troubles the ticker that was asked.
        trouble: Option<String>,
    },

    /// The server did not answer in time; the connection is given up.
    #[error("{}", no_answer(*waited))]
    NoAnswerInTime {
        /// How long it was waited for; not at all where the connection had ended without a word.
        waited: Duration,
    },

    /// A statement reached another session than the one that holds the ticker's lock.
    #[error(
        "the statements of this ticker reach several sessions: connect it directly, not through a pooler"
    )]
    OtherSession,

    /// The ticker was stopped, so it cannot do what was asked of it.
    #[error("the ticker is stopped")]
    TickerStopped,

    /// The queue's ticks are from another cluster: a dump was restored on a server with younger transaction ids.
    #[error(
        "the ticks of this database are from another cluster (restored from a dump?): drop and create its queues"
    )]
    #[non_exhaustive]
    ForeignTicks {
        /// What the server said.
        source: DatabaseError,
    },

    /// The queue has no parameter of this name.
    #[error("queues have no parameter {parameter:?}")]
    #[non_exhaustive]
    UnknownParameter {
        /// The name that was given.
        parameter: String,
        /// What the server said.
        source: DatabaseError,
    },

    /// A value is refused before the server would refuse it, or take it and fail later.
    #[error("{name} cannot be {value}: {reason}")]
    #[non_exhaustive]
    InvalidValue {
        /// What the value is for.
        name: &'static str,
        /// The value.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },

    /// PgQ, or a function of it, is not installed in this database.
    #[error("`{function}` does not exist in this database: {}", installs(function))]
    #[non_exhaustive]
    NotInstalled {
        /// The function that was called.
        function: &'static str,
        /// What the server said.
        source: DatabaseError,
    },

    /// PgQ's schemas cannot be installed, upgraded, checked or removed.
    #[error(transparent)]
    Installation(#[from] Installation),

    /// The database user may not call the function.
    #[error("no permission for `{function}`: it takes the role {role} (`GRANT {role} TO ...`)")]
    #[non_exhaustive]
    MissingPrivilege {
        /// The function that was called.
        function: &'static str,
        /// The role it is granted to.
        role: Role,
        /// What the server said, if it refused something.
        source: Option<DatabaseError>,
    },

    /// The session cannot write: it is on a standby, or its transactions are read-only.
    #[error(
        "the session is read-only (a standby?): connect to the primary, with `target_session_attrs=read-write`"
    )]
    #[non_exhaustive]
    ReadOnly {
        /// What the server said, if it refused something.
        source: Option<DatabaseError>,
    },

    /// A text cannot be stored in, or read from, the database: a NUL character, or one its encoding does not have.
    #[error("text that the encoding of the database does not have, or a NUL character in it")]
    #[non_exhaustive]
    Encoding {
        /// What the server said.
        source: DatabaseError,
    },

    /// A timestamp is infinite or beyond what `chrono` can hold.
    #[error("{column} of event {event} is infinite or out of range")]
    #[non_exhaustive]
    EventTimestamp {
        /// The event, if its id could be read.
        event: EventId,
        /// The column that holds the timestamp.
        column: &'static str,
        /// What the driver said.
        source: DatabaseError,
    },

    /// A result has another shape than PgQ's function gives it.
    #[error("`{function}` answered in an unexpected way: {problem}")]
    #[non_exhaustive]
    UnexpectedAnswer {
        /// The function that was called.
        function: &'static str,
        /// What was unexpected.
        problem: &'static str,
        /// What the driver said, if it failed to read a column.
        source: Option<DatabaseError>,
    },

    /// The event is not one that `logutriga`, `jsontriga` or `sqltriga` wrote.
    #[error("{}type {} is not that of a row change", of(event), event_type.as_deref().map_or_else(|| "NULL".into(), |t| format!("{t:?}")))]
    #[non_exhaustive]
    NotAChange {
        /// The event, if it is known.
        event: Option<EventId>,
        /// The type of the event.
        event_type: Option<String>,
    },

    /// The text of an event cannot be decoded.
    #[error("{}malformed {what} at byte {offset}: {problem}", of(event))]
    #[non_exhaustive]
    Malformed {
        /// The event, if it is known.
        event: Option<EventId>,
        /// What was decoded.
        what: &'static str,
        /// Where the problem is, in bytes from the start of the text.
        offset: usize,
        /// What is wrong there.
        problem: &'static str,
    },

    /// A row or payload does not fit the type it was to become.
    #[error("{}cannot deserialize{}: {message}", of(event), column.as_ref().map(|c| format!(" column {c:?}")).unwrap_or_default())]
    #[non_exhaustive]
    Deserialize {
        /// The event, if it is known.
        event: Option<EventId>,
        /// The column it failed at, if it was a column.
        column: Option<String>,
        /// What serde said.
        message: String,
    },

    /// A payload cannot be turned into text.
    #[error("cannot serialize the payload as {format}")]
    #[non_exhaustive]
    Serialize {
        /// The format.
        format: &'static str,
        /// What the serializer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Any other failure of the server or the connection.
    #[error("{}", failed(*function, table.as_deref(), source))]
    #[non_exhaustive]
    Database {
        /// The function that was called, if it was one of PgQ's, or the statement, if it was one of this library's.
        function: Option<&'static str>,
        /// The table that it was about, if it was about one of yours.
        table: Option<String>,
        /// What the driver or the server said.
        source: DatabaseError,
    },
}
