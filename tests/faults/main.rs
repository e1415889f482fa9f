//! Nothing that was committed is lost, nothing takes effect twice that must not, and all goes on by itself, whatever breaks: servers,
//! sessions, networks, workers. Each scenario says its criterion in numbers and prints a line of figures. They are small unless
//! `PGQ_TEST_SOAK=1` asks for all; `PGQ_TEST_SEED` repeats what was random.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[macro_use]
mod bed;

mod cancellation;
mod clocks;
mod commits;
mod controls;
mod crashes;
mod duplicates;
mod failover;
mod floods;
mod giants;
mod idle;
mod long_transactions;
mod network;
mod outside_sink;
mod points;
mod poison;
mod pooler;
mod reinstallation;
mod restarts;
mod signals;
mod skips;
mod soak;
mod sqlstates;
mod stage;
mod tickers;
mod zombies;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
