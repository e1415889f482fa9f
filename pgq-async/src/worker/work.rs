use pgq_core::batch::Reader;
use pgq_core::worker::{Handling, Judge, Worked, WorkerOptions};
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
    /// Checks that there are handlers, and that the options befit them. Tells what those are.
    pub(super) fn check(&self, options: &WorkerOptions, reader: &Reader) -> Result<Handling> {
        let Self { in_transaction, outside } = self;
        let handling = match outside {
            Some(_) if !in_transaction.is_empty() => return Err(Handling::misplaced()),
            Some(outside::Handlers { routes, window, at_once, key }) => {
                Handling::outside(routes, window.as_ref(), *at_once, key.as_ref())?
            }
            None => Handling::in_transaction(&in_transaction.routes, in_transaction.batch.as_ref())?,
        };
        handling.check(options, reader)?;
        Ok(handling)
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
