use std::sync::Arc;

use pgq_core::{Error, NextBatch, Result};

use super::desk::Desk;
use super::watch::Watch;
use crate::Heartbeat;

/// The heartbeat of the batch in hand, if others could take it over.
pub(super) struct Heart {
    heartbeat: Option<Heartbeat>,
    watch: Arc<Watch>,
}

impl Desk {
    pub(super) fn beat(&self, batch: &NextBatch) -> Heart {
        let dead_interval = self.reader.sub().and(self.reader.reading.dead_interval);
        let heartbeat = dead_interval.and_then(|interval| {
            let (dial, watch) = (self.dial.clone(), Arc::clone(&self.watch));
            let connect = move |limit| dial.connect_within(limit);
            let ended = move |ended: &Result<()>| {
                if matches!(ended, Err(Error::BatchLost { .. })) {
                    watch.set_lost();
                }
            };
            let heartbeat = Heartbeat::start(self.reader.clone(), batch.id, interval / 3, connect, ended);
            // Without one the batch can be taken over, and then it is not finished: nothing worse.
            heartbeat.inspect_err(|error| tracing::warn!("no thread for a heartbeat: {error}")).ok()
        });
        Heart { heartbeat, watch: Arc::clone(&self.watch) }
    }
}

impl Heart {
    /// Ends it, to be called before the batch is finished.
    ///
    /// # Errors
    /// [`Error::BatchLost`]; a beat that failed otherwise is no reason not to try the finish.
    pub(super) fn stop(&mut self) -> Result<()> {
        match self.heartbeat.take().map(Heartbeat::stop) {
            Some(Err(error @ Error::BatchLost { .. })) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        // It ends first, so that it cannot say so of the next batch.
        self.heartbeat = None;
        self.watch.found();
    }
}
