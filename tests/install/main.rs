//! Installs, upgrades, checks and removes PgQ's schemas on real servers. Every case is written once, against the trait of [`driver`],
//! and runs with the `Installer` of `pgq-sync` and with that of `pgq-async`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[macro_use]
mod bed;
mod driver;

mod checks;
mod dead_letters;
mod engines;
mod fresh;
mod inventories;
mod planted;
mod races;
mod rights;
mod scripts;
mod uninstalls;
mod upgrades;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
