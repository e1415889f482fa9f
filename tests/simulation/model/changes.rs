use std::collections::{BTreeMap, BTreeSet};

use super::Event;
use super::consumer::Subscription;
use super::view::Key;

/// What a transaction has done so far, and holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// `None` is a row that was deleted.
    pub(super) subscriptions: BTreeMap<Key, Option<Subscription>>,
    pub(super) locked: BTreeSet<Key>,
    pub(super) retries: BTreeMap<(i32, i64), Waiting>,
    pub(super) events: Vec<(String, Event)>,
    pub(super) sink: Vec<SinkRow>,
    pub(super) letters: Vec<Letter>,
    pub(super) finished: Vec<Finished>,
    /// What pgq_ext records: its consumer, the batch and the event.
    pub(super) applied: BTreeSet<Applied>,
    pub(super) cursors: BTreeMap<String, Vec<Event>>,
}

pub(super) type Applied = (String, i64, i64);

/// An event that waits for its retry.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(super) queue: String,
    pub(super) due: i64,
    pub(super) event: Event,
}

/// What a handler wrote for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SinkRow {
    pub(crate) event: i64,
    pub(crate) worker: String,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) queue: String,
    pub(crate) consumer: String,
    pub(crate) event: i64,
    pub(crate) reason: String,
    pub(crate) error: Option<String>,
    pub(crate) attempts: i32,
}

/// A batch that was finished, with what was in it.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) batch: i64,
    pub(crate) key: Key,
    /// What the sessions of the finisher are called.
    pub(crate) by: String,
    pub(crate) ticks: (i64, i64),
    /// Id and retry of each event.
    pub(crate) events: Vec<(i64, i32)>,
}
