//! The real consumers and workers, on a model of PgQ that speaks the server's protocol: something goes wrong at each statement, at each answer, at
//! each poll, and in thousands of made-up combinations, and still nothing is lost and nothing happens twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod bed;
mod check;
mod controls;
mod explore;
mod fault;
mod honest;
mod host;
mod kills;
mod line;
mod model;
mod programs;
mod rival;
mod script;
mod server;
mod socket;
mod task;
mod threads;
mod wire;
mod workers;
