use crate::batch::{OpenBatch, Reader};
use crate::ext::{self, Recorded};
use crate::{BatchId, BatchInfo, Call, EventId, Result};

use super::WorkerOptions;

/// Where the transaction of a batch is committed before its end, and what of a batch that came again was committed before. Kept in
/// pgq_ext of the same database.
#[derive(Debug)]
pub struct Slices {
    name: String,
    events: usize,
    handled: Vec<EventId>,
    skipping: bool,
}

impl Slices {
    /// Those of a batch that was just opened; `None` where it is to be committed as a whole.
    pub fn new(options: &WorkerOptions, reader: &Reader) -> Option<Self> {
        let events = usize::try_from(options.slice?.get()).unwrap_or(usize::MAX);
        let name = format!("pgq worker: {}: {}", reader.queue(), reader.name());
        Some(Self { name, events, handled: Vec::new(), skipping: true })
    }

    /// Keeps out others of the same name; to be run first in each transaction.
    pub fn lock(&self) -> Call<'_, ()> {
        ext::lock(&self.name, "")
    }

    /// Asks which of the events that were received are committed, until one is not. The answer goes to [`skip`](Self::skip).
    pub fn committed(&self, open: &OpenBatch) -> Option<Call<'_, Vec<EventId>>> {
        let events: Vec<_> = open.buffered().iter().map(|event| event.id).collect();
        let asks = self.skipping && !events.is_empty();
        asks.then(|| ext::events_done(&self.name, "", open.info().id, &events))
    }

    /// Passes over the events that were committed.
    pub fn skip(&mut self, open: &mut OpenBatch, committed: &[EventId]) {
        while open.buffered().first().is_some_and(|next| committed.contains(&next.id)) {
            open.pop();
        }
        self.skipping = open.buffered().is_empty();
    }

    /// Takes down that an event was handled.
    pub fn handled(&mut self, event: EventId) {
        // One that is in the batch twice, after a rewind, can be recorded once only.
        if self.handled.last() != Some(&event) {
            self.handled.push(event);
        }
    }

    /// Whether enough events were handled for a commit, which then takes [`OpenBatch::at_boundary`].
    pub fn is_full(&self) -> bool {
        self.handled.len() >= self.events
    }

    /// Records what was handled; the answer goes to [`recorded`](Self::recorded).
    pub fn record(&self, batch: BatchId) -> Call<'_, Recorded> {
        ext::set_events_done(&self.name, "", batch, &self.handled)
    }

    /// Checks that nobody else handled the same, and that the batch is still open. To be committed then.
    ///
    /// # Errors
    /// [`Error::BatchLost`](crate::Error::BatchLost): roll back.
    pub fn recorded(
        &mut self,
        reader: &Reader,
        batch: BatchId,
        recorded: Recorded,
        info: Option<&BatchInfo>,
    ) -> Result<()> {
        self.handled.clear();
        match (recorded, info) {
            (Recorded::Now, Some(_)) => Ok(()),
            _ => Err(reader.lost(batch)),
        }
    }
}
