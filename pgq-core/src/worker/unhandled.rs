/// What becomes of events of a type that no handler is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownType {
    /// They become dead letters at once. Takes the schema `pgq_dead`. A consumer gets the events of all types: where only some are meant for
    /// it, choose those by a filter of the consumer, or [`Finish`](Self::Finish) the others.
    #[default]
    DeadLetter,
    /// They are retried like those that fail: another version of the program may know them.
    Retry,
    /// They count as done.
    Finish,
    /// The worker ends with [`Error::EventFailed`](crate::Error::EventFailed), and the batch stays open.
    Stop,
}

/// What becomes of events whose payload is not what their handler takes. The handler is not called for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Undecodable {
    /// They become dead letters at once, for they would fail in the same way each time. Takes the schema `pgq_dead`. When it was the program
    /// that was too old for them, the next one replays the letters.
    #[default]
    DeadLetter,
    /// They are retried like those that fail: the choice where programs are replaced one by one, and an old one may meet what only the
    /// new one reads.
    Retry,
    /// The worker ends with [`Error::EventFailed`](crate::Error::EventFailed), and the batch stays open.
    Stop,
}

/// What becomes of events that no handler is called for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) unknown: UnknownType,
    pub(super) undecodable: Undecodable,
}
