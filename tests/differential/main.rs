//! The portable engine beside the C extension, with made-up input: both must give the same answers.
//!
//! Each test takes 20 seconds; `PGQ_TEST_SECONDS` gives it more, and `PGQ_TEST_SEED` repeats a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod changes;
mod history;
mod queues;
mod runner;
mod triggers;
mod values;
mod world;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
