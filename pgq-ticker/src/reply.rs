use pgq_core::maintenance::{LongTransaction, Operation};
use pgq_core::{SessionId, TickId, TxId};

/// What the calls of a [`Routine`](crate::routine::Routine) are answered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Prepared,
    Checked,
    /// The session that has the lock now.
    Lead(Option<SessionId>),
    Ticked(u64),
    /// The queues that get ticks.
    Queues(Vec<String>),
    TickedQueue(Option<TickId>),
    /// Whether it was this call that did it, not the engine.
    Notified(bool),
    Moved(u64),
    ForcedAhead(u64),
    Operations(Vec<Operation>),
    Ran(i64),
    LongTransactions(Vec<LongTransaction>),
    Marked(TxId),
    Forced(Option<TickId>),
    NotRefused,
    Covered(bool),
}
