use pgq_core::Result;
use pgq_core::worker::WorkerStats;

use super::runtime;

/// A worker of either driver, at work.
#[derive(Debug)]
pub(crate) enum Worker {
    Sync(pgq_sync::Worker),
    Async(pgq_async::Worker),
}

impl Worker {
    pub(crate) fn stats(&self) -> WorkerStats {
        match self {
            Self::Sync(worker) => worker.stats(),
            Self::Async(worker) => worker.stats(),
        }
    }

    /// Asks it to stop after the batch in hand, and does not wait.
    pub(crate) fn stop_softly(&self) {
        match self {
            Self::Sync(worker) => worker.stopper().stop(),
            Self::Async(worker) => worker.stopper().stop(),
        }
    }

    /// Stops it in the middle of the batch in hand.
    pub(crate) fn stop_now(self) -> Result<WorkerStats> {
        match &self {
            Self::Sync(worker) => worker.stopper().stop_now(),
            Self::Async(worker) => worker.stopper().stop_now(),
        }
        self.wait()
    }

    /// Stops it after the batch in hand.
    pub(crate) fn stop(self) -> Result<WorkerStats> {
        match self {
            Self::Sync(worker) => worker.stop(),
            Self::Async(worker) => runtime().block_on(worker.stop()),
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(self) -> Result<WorkerStats> {
        match self {
            Self::Sync(worker) => worker.wait(),
            Self::Async(worker) => runtime().block_on(worker.wait()),
        }
    }
}
