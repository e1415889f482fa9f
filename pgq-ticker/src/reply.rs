use pgq_core::maintenance::Operation;
use pgq_core::{QueueInfo, TickId, TxId};

/// What the calls of a [`Routine`](crate::routine::Routine) are answered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Prepared,
    Checked(Option<String>),
    Lead(bool),
    Ticked(u64),
    Queues(Vec<QueueInfo>),
    TickedQueue(Option<TickId>),
    Moved(u64),
    Operations(Vec<Operation>),
    Ran(i64),
    Marked(TxId),
    Forced(Option<TickId>),
    Covered(bool),
}
