use super::{Notice, Tally};
use crate::BatchId;

/// What a worker does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerState {
    /// It has no connection, and tries to get one.
    #[default]
    Connecting,
    /// Another session works under its name; it takes over when that ends.
    StandingBy,
    /// It waits for batches, or works on one.
    Working,
    /// It is to stop, and works on the last batch.
    Stopping,
    /// It has ended.
    Stopped,
}

/// What a worker has done since it was started.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// What it does just now.
    pub state: WorkerState,
    /// How many batches it finished, those without events aside.
    pub batches: u64,
    /// What became of their events.
    pub events: Tally,
    /// How many batches were taken away from it.
    pub lost: u64,
    /// How many times a batch was rolled back to be handled again.
    pub rolled_back: u64,
    /// How many connections it made.
    pub connections: u64,
    /// How many panics it caught.
    pub panics: u64,
    /// The batch in hand.
    pub batch: Option<BatchId>,
    /// How many events of the batch in hand are handled, as of the last [`Notice::Progress`].
    pub progress: u64,
    /// What keeps it from working, if something does: the text of the error.
    pub trouble: Option<String>,
}

impl WorkerStats {
    pub(super) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Connected => self.connections += 1,
            Notice::Disconnected { error, .. } => {
                self.in_state(WorkerState::Connecting);
                self.trouble = Some(error.clone());
            }
            Notice::Trouble { error } => self.trouble = Some(error.clone()),
            Notice::StandingBy => {
                self.in_state(WorkerState::StandingBy);
                self.trouble = None;
            }
            Notice::Working => {
                self.in_state(WorkerState::Working);
                self.trouble = None;
            }
            Notice::Opened { batch } => (self.batch, self.progress) = (Some(*batch), 0),
            Notice::Progress { events, .. } => self.progress = *events,
            Notice::Finished { events, .. } => {
                (self.batch, self.progress, self.trouble) = (None, 0, None);
                self.batches += 1;
                self.events.add(*events);
            }
            Notice::RolledBack { error, .. } => {
                (self.batch, self.trouble) = (None, Some(error.clone()));
                self.rolled_back += 1;
            }
            Notice::Lost { .. } => {
                self.batch = None;
                self.lost += 1;
            }
            Notice::Stopping => self.in_state(WorkerState::Stopping),
            Notice::Stopped { error } => {
                (self.state, self.batch) = (WorkerState::Stopped, None);
                if error.is_some() {
                    self.trouble.clone_from(error);
                }
            }
            _ => {}
        }
        if let Notice::Retried { kind, .. } | Notice::Dead { kind, .. } = notice {
            self.panics += u64::from(*kind == super::FailureKind::Panic);
        }
    }

    /// Who is to stop stays so, whatever happens meanwhile.
    fn in_state(&mut self, state: WorkerState) {
        if self.state != WorkerState::Stopping {
            self.state = state;
        }
    }
}
