use std::num::NonZeroU32;
use std::time::Duration;

use super::{RetryPolicy, Undecodable, UnknownType};
use crate::{Error, Result};

/// How a worker behaves. What it does with events is said to its builder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// What becomes of events that fail.
    pub retries: RetryPolicy,
    /// What becomes of events of a type that no handler is there for.
    pub unknown: UnknownType,
    /// What becomes of events whose payload is not what their handler takes.
    pub undecodable: Undecodable,
    /// What is undone when an event fails.
    pub undo: Undo,
    /// How the worker learns of new batches.
    pub wakeup: Wakeup,
    /// The time between two looks for a new batch, or up to a quarter more: 1 second. Where notifications come, they only confirm.
    pub poll: Duration,
    /// Whether workers of one name stand by for each other.
    pub claim: Claim,
    /// What happens on an error that will not pass by itself.
    pub permanent: Permanent,
    /// What happens when the consumer is not registered at the start.
    pub registration: Registration,
    /// How long the server may take for an answer: 30 seconds. Then the connection is given up. For the statements of handlers
    /// it is theirs to set.
    pub answer_limit: Duration,
    /// How long a handler may take for an event; no limit unless set. See the builders for what becomes of one that takes longer.
    pub handler_limit: Option<Duration>,
    /// After what time with one event there is a [`Notice::Stuck`](super::Notice::Stuck): 5 minutes.
    pub stuck_after: Duration,
    /// How long a worker that is to stop may go on with the batch in hand: 10 seconds.
    pub grace: Duration,
    /// After how many events the transaction of a batch is committed, with its position kept; only at the batch's end unless set.
    /// Takes the schema `pgq_ext` in the same database, and the role `pgq_writer` besides `pgq_reader`. Not for subconsumers.
    pub slice: Option<NonZeroU32>,
    /// After what time with events and without a tick there is a [`Notice::NoTicks`](super::Notice::NoTicks): 30 seconds.
    /// It is looked for as often as this says, and no sooner than twice the queue's `ticker_max_lag` without a tick.
    pub no_ticks_after: Duration,
    /// The field of events that carries a W3C `traceparent`; none unless set.
    pub trace_parent: Option<Extra>,
}

/// What is undone when an event fails in the transaction of its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Undo {
    /// Its own writes: there is a savepoint before each event, a round trip each.
    #[default]
    Event,
    /// The batch: all of it is rolled back and done once more, with savepoints this time. Without a failure there are none, so it
    /// is the faster way where few events fail.
    Batch,
}

/// How a worker learns of new batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wakeup {
    /// It listens on `pgq_tick`, and looks from time to time all the same.
    #[default]
    Listen,
    /// It looks from time to time. The choice behind a pooler that hands connections on.
    Poll,
}

/// Whether workers of one name stand by for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Claim {
    /// One works, the others wait until its session ends. See [`consumer::claim`](crate::consumer::claim). A process that only stands
    /// still, its connection open, keeps its claim: in a group with a dead interval others take over from such a one.
    #[default]
    StandBy,
    /// All work, and who finishes a batch second loses its work. Behind a pooler that hands connections on there is no other way.
    Share,
}

/// What happens on an error that will not pass by itself, such as a missing right, no PgQ, no such queue, a consumer that is not
/// registered (any more). A connection that cannot be made is none of them: it is tried again for ever, and
/// [`WorkerStats::trouble`](field@super::WorkerStats::trouble) says why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Permanent {
    /// The worker ends with the error.
    #[default]
    Stop,
    /// The worker looks again every 8 seconds or so, and says so once.
    Wait,
}

/// What happens when the consumer is not registered at the start. A subconsumer registers itself whenever it asks for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Registration {
    /// It is a permanent error.
    #[default]
    Expected,
    /// The worker registers it, at the newest tick. Only at the start: who is unregistered later would skip events.
    IfMissing,
}

/// One of the free fields of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extra {
    /// `ev_extra1`
    One,
    /// `ev_extra2`
    Two,
    /// `ev_extra3`
    Three,
    /// `ev_extra4`
    Four,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            retries: RetryPolicy::default(),
            unknown: UnknownType::default(),
            undecodable: Undecodable::default(),
            undo: Undo::default(),
            wakeup: Wakeup::default(),
            poll: Duration::from_secs(1),
            claim: Claim::default(),
            permanent: Permanent::default(),
            registration: Registration::default(),
            answer_limit: Duration::from_secs(30),
            handler_limit: None,
            stuck_after: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            slice: None,
            no_ticks_after: Duration::from_secs(30),
            trace_parent: None,
        }
    }
}

impl WorkerOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`retries`](field@Self::retries).
    #[must_use]
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Sets [`unknown`](field@Self::unknown).
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownType) -> Self {
        self.unknown = unknown;
        self
    }

    /// Sets [`undecodable`](field@Self::undecodable).
    #[must_use]
    pub fn undecodable(mut self, undecodable: Undecodable) -> Self {
        self.undecodable = undecodable;
        self
    }

    /// Sets [`undo`](field@Self::undo).
    #[must_use]
    pub fn undo(mut self, undo: Undo) -> Self {
        self.undo = undo;
        self
    }

    /// Sets [`wakeup`](field@Self::wakeup).
    #[must_use]
    pub fn wakeup(mut self, wakeup: Wakeup) -> Self {
        self.wakeup = wakeup;
        self
    }

    /// Sets [`poll`](field@Self::poll).
    #[must_use]
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Sets [`claim`](field@Self::claim).
    #[must_use]
    pub fn claim(mut self, claim: Claim) -> Self {
        self.claim = claim;
        self
    }

    /// Sets [`permanent`](field@Self::permanent).
    #[must_use]
    pub fn permanent(mut self, permanent: Permanent) -> Self {
        self.permanent = permanent;
        self
    }

    /// Sets [`registration`](field@Self::registration).
    #[must_use]
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = registration;
        self
    }

    /// Sets [`answer_limit`](field@Self::answer_limit).
    #[must_use]
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.answer_limit = limit;
        self
    }

    /// Sets [`handler_limit`](field@Self::handler_limit).
    #[must_use]
    pub fn handler_limit(mut self, limit: Duration) -> Self {
        self.handler_limit = Some(limit);
        self
    }

    /// Sets [`stuck_after`](field@Self::stuck_after).
    #[must_use]
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.stuck_after = time;
        self
    }

    /// Sets [`grace`](field@Self::grace).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets [`slice`](field@Self::slice).
    #[must_use]
    pub fn slice(mut self, events: NonZeroU32) -> Self {
        self.slice = Some(events);
        self
    }

    /// Sets [`no_ticks_after`](field@Self::no_ticks_after).
    #[must_use]
    pub fn no_ticks_after(mut self, time: Duration) -> Self {
        self.no_ticks_after = time;
        self
    }

    /// Sets [`trace_parent`](field@Self::trace_parent).
    #[must_use]
    pub fn trace_parent(mut self, extra: Extra) -> Self {
        self.trace_parent = Some(extra);
        self
    }

    /// Checks that each value makes sense by itself.
    ///
    /// # Errors
    /// [`Error::InvalidValue`]
    pub(super) fn check(&self) -> Result<()> {
        let times = [
            ("WorkerOptions::poll", Some(self.poll), "the worker would ask without a pause"),
            ("WorkerOptions::answer_limit", Some(self.answer_limit), "no answer comes in no time"),
            (
                "WorkerOptions::handler_limit",
                self.handler_limit,
                "no handler ends in no time: leave it out to set none",
            ),
            ("WorkerOptions::stuck_after", Some(self.stuck_after), "there would be notices without a pause"),
            (
                "WorkerOptions::no_ticks_after",
                Some(self.no_ticks_after),
                "the worker would look without a pause",
            ),
        ];
        match times.into_iter().find(|(_, time, _)| time.is_some_and(|time| time.is_zero())) {
            Some((name, _, reason)) => Err(Error::InvalidValue { name, value: "zero".to_owned(), reason }),
            None => self.retries.check(),
        }
    }
}
