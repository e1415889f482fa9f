#![doc = include_str!("../README.md")]

#[cfg(feature = "async")]
pub use pgq_async as aio;
pub use pgq_core::*;
#[cfg(feature = "sync")]
pub use pgq_sync as sync;
#[cfg(feature = "ticker")]
pub use pgq_ticker as ticker;
