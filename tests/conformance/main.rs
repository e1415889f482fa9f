//! What the two drivers do, on a real server with each of the two engines. Every case is written once, against the traits of [`driver`],
//! and runs on `pgq-sync` and on `pgq-async`; only what a dropped future does has a driver of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[macro_use]
mod bed;
mod driver;
mod engine;

mod additions;
mod batches;
mod claims;
mod conditions;
mod consumers;
mod dead_letters;
mod dropped_futures;
mod events;
mod exactly_once;
mod heartbeat;
mod isolation;
mod killed;
mod lost;
mod maintenance;
mod memory;
mod pooler;
mod privileges;
mod queues;
mod races;
mod reading;
mod redelivery;
mod retries;
mod retry_calls;
mod rotation;
mod secrets;
mod subconsumers;
mod takeover;
mod texts;
mod ticks;
mod timestamps;
mod triggers;
mod visibility;
mod workers;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
