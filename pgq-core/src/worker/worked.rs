use std::time::Duration;

use super::Failure;
use crate::{BatchId, Error, NextBatch};

/// What came of asking for a batch and handling it.
#[derive(Debug)]
pub enum Worked {
    /// There was none.
    Nothing,
    /// It is finished.
    Finished(NextBatch),
    /// It was not finished: its transaction is rolled back, and it stays open.
    Not {
        /// The batch, if one was open.
        batch: Option<BatchId>,
        /// Why.
        because: Unfinished,
    },
}

/// Why a batch was not finished.
#[derive(Debug)]
pub enum Unfinished {
    /// The server or the connection failed.
    Server(Error),
    /// The database failed a handler, in a way that may pass.
    Handler(Failure),
    /// The handler of whole batches failed: the batch is to be done again after this time.
    Batch(Failure, Duration),
    /// It is to be done again at once, with savepoints.
    Redo,
    /// An event failed in a way that is to end the worker: [`Error::EventFailed`], [`Error::BatchFailed`].
    Stop(Error),
    /// The worker had to stop, and its time was over.
    GaveUp,
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}
