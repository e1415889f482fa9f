//! What the two drivers do, on a real server. Every case is written once, against the traits of [`driver`], and runs on
//! `pgq-sync` and on `pgq-async`; only what a dropped future does has a driver of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

#[macro_use]
mod bed;
mod driver;

mod batches;
mod conditions;
mod consumers;
mod dropped_futures;
mod events;
mod isolation;
mod killed;
mod lost;
mod maintenance;
mod memory;
mod privileges;
mod queues;
mod races;
mod reading;
mod redelivery;
mod retries;
mod rotation;
mod secrets;
mod texts;
mod ticks;
mod timestamps;
mod visibility;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
