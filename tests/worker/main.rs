//! What workers do, of both drivers and on both engines. Every case is written once, against [`driver`], and runs on `pgq-sync` and on
//! `pgq-async`. What breaks around a worker is the business of tests/faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[macro_use]
mod bed;
mod driver;

mod batches;
mod claims;
mod letters;
mod memory;
#[cfg(feature = "metrics")]
mod metrics;
mod notices;
mod outcomes;
mod outside;
mod payloads;
mod permanent;
mod privileges;
mod refusals;
mod retries;
mod routes;
mod slices;
mod spans;
mod stopping;
mod ticks;
mod undo;
mod wakeup;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
