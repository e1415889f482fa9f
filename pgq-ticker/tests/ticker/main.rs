//! Both tickers on real servers. Every case is written once, against the trait of [`bed`], and runs on the thread and on the task.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[macro_use]
mod bed;

mod cut_off;
mod leadership;
mod maintenance;
mod not_yet;
mod notifications;
mod outages;
mod pooler;
mod queues;
mod stopping;
mod ticks;
