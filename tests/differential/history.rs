use proptest::collection::vec;
use proptest::prelude::*;

/// What somebody does to a queue. Numbers name one of a few sessions or consumers; what makes no sense at the moment does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Begin(usize),
    /// Inserts so many events, in the session's transaction if it has one.
    Insert(usize, u8),
    Savepoint(usize),
    RollbackToSavepoint(usize),
    Commit(usize),
    Rollback(usize),
    Tick,
    Register(usize),
    Unregister(usize),
    /// Moves the consumer back to the oldest tick.
    Rewind(usize),
    /// Opens a batch, or looks at the open one again.
    Open(usize),
    Finish(usize),
    /// Retries those events of the open batch whose places have a bit in the mask.
    RetrySome(usize, u8),
    RetryAll(usize),
    MoveRetries,
    Rotate,
    /// Somebody begins to read the event tables, which keeps them from being rotated.
    Hold,
    Release,
}

/// Consumers; the first one is registered from the start and only reads.
pub(crate) const CONSUMERS: usize = 3;

pub(crate) const PRODUCERS: usize = 3;

pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    vec(steps(), 1..120)
}

fn steps() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    let consumer = 0..CONSUMERS;
    prop_oneof![
        4 => producer.clone().prop_map(Step::Begin),
        10 => (producer.clone(), 1..4_u8).prop_map(|(producer, count)| Step::Insert(producer, count)),
        2 => producer.clone().prop_map(Step::Savepoint),
        2 => producer.clone().prop_map(Step::RollbackToSavepoint),
        4 => producer.clone().prop_map(Step::Commit),
        2 => producer.prop_map(Step::Rollback),
        8 => Just(Step::Tick),
        2 => (1..CONSUMERS).prop_map(Step::Register),
        1 => (1..CONSUMERS).prop_map(Step::Unregister),
        1 => (1..CONSUMERS).prop_map(Step::Rewind),
        10 => consumer.clone().prop_map(Step::Open),
        8 => consumer.clone().prop_map(Step::Finish),
        4 => (consumer.clone(), any::<u8>()).prop_map(|(consumer, mask)| Step::RetrySome(consumer, mask)),
        2 => consumer.prop_map(Step::RetryAll),
        4 => Just(Step::MoveRetries),
        6 => Just(Step::Rotate),
        1 => Just(Step::Hold),
        2 => Just(Step::Release),
    ]
}
