use pgq_core::worker::{Handling, Judge, Worked};
use pgq_core::{NextBatch, Result};
use tokio_postgres::Client;

use super::desk::Desk;
use super::{in_transaction, outside};

/// What a worker does with batches.
#[derive(Default)]
pub(super) struct Work {
    pub(super) in_transaction: in_transaction::Handlers,
    /// In place of the others, if it is there.
    pub(super) outside: Option<outside::Handlers>,
}

impl Work {
    /// Checks that there are handlers, and that the options befit them.
    pub(super) fn check(&self, desk: &Desk) -> Result<()> {
        let Self { in_transaction, outside } = self;
        let handling = match outside {
            Some(_) if !in_transaction.is_empty() => return Err(Handling::misplaced()),
            Some(outside) => {
                Handling::of(&outside.routes, outside.window.as_ref()).map(|_| Handling::Outside)?
            }
            None => Handling::of(&in_transaction.routes, in_transaction.batch.as_ref())?,
        };
        desk.options.check(&desk.reader, handling)
    }

    /// Handles a batch and finishes it.
    pub(super) async fn work(
        &mut self,
        client: &mut Client,
        found: NextBatch,
        desk: &Desk,
        judge: &mut Judge,
    ) -> Worked {
        let id = found.id;
        let worked = match &self.outside {
            Some(handlers) => handlers.work(client, found.clone(), desk, judge).await,
            None => self.in_transaction.work(client, found.clone(), desk, judge).await,
        };
        match worked {
            Ok(()) => {
                judge.finished();
                Worked::Finished(found)
            }
            Err(because) => Worked::Not { batch: Some(id), because },
        }
    }
}
