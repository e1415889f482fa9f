//! The programs under test: what a user writes around `Consumer` and `SubConsumer`, and what he should not write.

pub(crate) mod consuming;
pub(crate) mod naive;
pub(crate) mod threads;
pub(crate) mod worker_threads;
pub(crate) mod workers;
