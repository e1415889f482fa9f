//! Servers and databases as their users see them, with real servers.

mod database;
mod existing;
#[cfg(test)]
mod footprint;
#[cfg(test)]
mod rerun;
mod server;
