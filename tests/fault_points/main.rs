//! The fault points of the drivers lie where they are said to, and whatever goes wrong at one of them, each event takes effect once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod bed;
mod on_a_task;
mod on_a_thread;

use pgq_core::fault_point::Point;
use pgq_core::fault_point::Point::*;

/// Those of the drivers. The others are the worker's.
const POINTS: [Point; 10] = [
    AfterNext,
    AfterNextCommit,
    AfterDeclare,
    MidFetch,
    BeforeFence,
    AfterFence,
    AfterFinish,
    BeforeCommit,
    CommitSent,
    AfterCommit,
];

/// What a batch of [`bed::EVENTS`] comes by, with [`bed::chunk`]: the last chunk is empty.
const BATCH: [Point; 12] = [
    AfterNext,
    AfterNextCommit,
    AfterDeclare,
    MidFetch,
    MidFetch,
    MidFetch,
    BeforeFence,
    AfterFence,
    AfterFinish,
    BeforeCommit,
    CommitSent,
    AfterCommit,
];
