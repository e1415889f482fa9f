//! The portable engine itself: what its SQL does on a real server, below the level of the drivers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod bed;
mod consuming;
mod coop;
mod coop_load;
mod dead_letters;
mod ext;
mod privileges;
mod producing;
mod reading;
mod restore;
mod retrying;
mod roles;
mod rotation;
mod rotation_load;
mod search_path;
mod session;
mod takeover;
mod ticking;
mod triggers;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
