//! Servers, databases and what breaks as their users see them, with real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod database;
mod existing;
mod footprint;
mod outage;
mod pgbouncer;
mod process;
mod proxy;
mod rerun;
mod server;
mod small_disk;
mod standby;
