use pgq_core::Result;
use pgq_core::batch::Reader;
use pgq_core::worker::{Handling, Worked, WorkerOptions};
use postgres::Client;

use super::desk::Desk;
use super::{in_transaction, outside};

/// What a worker does with batches.
pub(super) enum Work {
    InTransaction(in_transaction::Handlers),
    Outside(Box<outside::Handlers>),
    /// Handlers were set for the transaction, and then it was to be outside.
    Misplaced,
}

impl Work {
    /// Checks that there are handlers, and that the options befit them. Tells what those are.
    pub(super) fn check(&self, options: &WorkerOptions, reader: &Reader) -> Result<Handling> {
        let handling = match self {
            Self::InTransaction(handlers) => {
                Handling::in_transaction(&handlers.routes, handlers.batch.as_ref())?
            }
            Self::Outside(handlers) => {
                let outside::Handlers { routes, window, at_once, key, .. } = &**handlers;
                Handling::outside(routes, window.as_ref(), *at_once, key.as_ref())?
            }
            Self::Misplaced => return Err(Handling::misplaced()),
        };
        handling.check(options, reader)?;
        Ok(handling)
    }

    /// Asks for a batch and handles it.
    pub(super) fn work(&mut self, client: &mut Client, desk: &mut Desk) -> Worked {
        match self {
            Self::InTransaction(handlers) => handlers.work(client, desk),
            Self::Outside(handlers) => handlers.work(client, desk),
            Self::Misplaced => Worked::Nothing,
        }
    }
}
