use std::fmt;
use std::time::Duration;

use super::rough::Rough;
use super::{FailureKind, NoTicks};
use crate::{BatchId, EventId, TickId};

/// Something that a worker tells: it goes to the callback, the log, the metrics and the statistics alike.
///
/// Errors are texts: they were logged when somebody reads them. None quotes a payload, unless the handler's own error does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A connection is made, and works.
    Connected,
    /// The connection is lost or could not be made; the next try comes after `pause`.
    Disconnected {
        /// What the driver or the server said.
        error: String,
        /// How long until the next try.
        pause: Duration,
    },
    /// Another session has claimed the name; this worker waits for it.
    StandingBy,
    /// The name is claimed: this worker works.
    Working,
    /// What it asks the server fails, and will not pass by itself; it goes on asking, see
    /// [`Permanent::Wait`](super::Permanent::Wait).
    Trouble {
        /// What the server said.
        error: String,
    },
    /// A batch is in hand.
    Opened {
        /// The batch.
        batch: BatchId,
    },
    /// So much of a large batch is handled. At most once a second.
    Progress {
        /// The batch.
        batch: BatchId,
        /// How many of its events are handled.
        events: u64,
        /// About how many it has: the distance of its event ids.
        of: u64,
    },
    /// A batch is finished.
    Finished {
        /// The batch.
        batch: BatchId,
        /// What became of its events.
        events: Tally,
        /// How long it was in hand.
        took: Duration,
        /// How long its last tick had waited when it was finished.
        lag: Duration,
    },
    /// An event failed, and will be delivered again.
    Retried {
        /// The event.
        event: EventId,
        /// The number of the delivery that failed.
        attempt: u32,
        /// The pause until the next one.
        after: Duration,
        /// What kind of failure it was.
        kind: FailureKind,
        /// What the handler said.
        error: String,
    },
    /// An event became a dead letter.
    Dead {
        /// The event.
        event: EventId,
        /// The number of the last delivery.
        attempt: u32,
        /// What kind of failure it was.
        kind: FailureKind,
        /// What the handler said.
        error: String,
    },
    /// A batch was rolled back and will be handled again.
    RolledBack {
        /// The batch, if one was open.
        batch: Option<BatchId>,
        /// Why.
        error: String,
        /// How long until the next try.
        pause: Duration,
    },
    /// A batch was taken away: finished by another session, or taken over. Its work is rolled back.
    Lost {
        /// The batch.
        batch: BatchId,
    },
    /// Events wait, and no tick comes.
    NoTicks {
        /// How long ago the last one was.
        age: Duration,
        /// About how many events wait.
        waiting: u64,
        /// Why.
        cause: NoTicks,
    },
    /// Ticks come again.
    TicksAgain,
    /// Batches come, but no notification ever did: there is a pooler in between, or the ticker does not notify.
    Deaf {
        /// How often it looks instead.
        poll: Duration,
    },
    /// The consumer stands elsewhere than it was left: somebody moved it, or registered it anew.
    Moved {
        /// The tick that it was left at.
        from: TickId,
        /// The tick that the new batch begins at.
        to: TickId,
    },
    /// A handler has been at one event for long.
    Stuck {
        /// The event.
        event: EventId,
        /// How long.
        since: Duration,
    },
    /// It is to stop, and goes on with the batch in hand for as long as it may.
    Stopping,
    /// The time it had to stop in is over: the batch in hand is given back.
    GaveUp,
    /// It has ended: the last notice.
    Stopped {
        /// What it ended with, if nobody told it to stop.
        error: Option<String>,
    },
}

/// What became of the events of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many are done.
    pub done: u64,
    /// How many are to be delivered again.
    pub retried: u64,
    /// How many became dead letters.
    pub dead: u64,
}

impl Tally {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.done + self.retried + self.dead
    }

    /// Adds those of another batch.
    pub fn add(&mut self, other: Self) {
        self.done += other.done;
        self.retried += other.retried;
        self.dead += other.dead;
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Disconnected { error, .. } => write!(f, "no connection: {error}"),
            Self::StandingBy => f.write_str("standing by: another session has claimed this consumer"),
            Self::Working => f.write_str("working"),
            Self::Trouble { error } => write!(f, "cannot work: {error}"),
            Self::Opened { batch } => write!(f, "batch {batch} is in hand"),
            Self::Progress { batch, events, of } => {
                write!(f, "batch {batch}: {events} of about {of} events are handled")
            }
            Self::Finished { batch, events, took, .. } => write!(
                f,
                "batch {batch} is finished in {}: {} done, {} retried, {} dead",
                Rough(*took),
                events.done,
                events.retried,
                events.dead
            ),
            Self::Retried { event, attempt, after, kind, error } => {
                let after = Rough(*after);
                write!(f, "event {event} failed at attempt {attempt}, the next in {after}: {kind}: {error}")
            }
            Self::Dead { event, attempt, kind, error } => {
                write!(f, "event {event} is dead after attempt {attempt}: {kind}: {error}")
            }
            Self::RolledBack { error, pause, .. } => {
                write!(f, "rolled back, the next try in {}: {error}", Rough(*pause))
            }
            Self::Lost { batch } => write!(f, "batch {batch} was taken away, its work is rolled back"),
            Self::NoTicks { age, waiting, cause } => {
                write!(f, "about {waiting} events wait, and the last tick was {} ago: {cause}", Rough(*age))
            }
            Self::TicksAgain => f.write_str("ticks come again"),
            Self::Deaf { poll } => write!(
                f,
                "no notification ever comes on `pgq_tick` (a pooler in between, or a ticker that does not notify?): looking every {}",
                Rough(*poll)
            ),
            Self::Moved { from, to } => {
                write!(f, "the consumer was left at tick {from} and stands at tick {to}: somebody moved it")
            }
            Self::Stuck { event, since } => {
                write!(f, "a handler has been at event {event} for {}", Rough(*since))
            }
            Self::Stopping => f.write_str("stopping after the batch in hand"),
            Self::GaveUp => f.write_str("the batch in hand is given back: it was not done in time"),
            Self::Stopped { error: None } => f.write_str("stopped"),
            Self::Stopped { error: Some(error) } => write!(f, "stopped: {error}"),
        }
    }
}
