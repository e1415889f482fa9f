//! Programs of others on the same queues as ours: python3-pgq, pgqueue and pgqd. They know nothing of the engine that serves them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod bed;
mod mixed;
mod pgqd;
mod pgqueue;
mod program;
mod python3_pgq;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
