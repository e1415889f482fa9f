#![cfg_attr(all(feature = "sync", feature = "ticker"), doc = include_str!("../README.md"))]
#![cfg_attr(not(all(feature = "sync", feature = "ticker")), doc = "The Rust SDK for PgQ.")]

#[cfg(feature = "async")]
pub use pgq_async as aio;
pub use pgq_core::*;
pub use pgq_schema as schema;
#[cfg(feature = "sync")]
pub use pgq_sync as sync;
#[cfg(feature = "ticker")]
pub use pgq_ticker as ticker;
