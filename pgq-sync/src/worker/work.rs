use pgq_core::Result;
use pgq_core::worker::{Handling, Worked};
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
    /// Checks that there are handlers, and that the options befit them.
    pub(super) fn check(&self, desk: &Desk) -> Result<()> {
        let handling = match self {
            Self::InTransaction(handlers) => Handling::of(&handlers.routes, handlers.batch.as_ref())?,
            Self::Outside(handlers) => {
                Handling::of(&handlers.routes, handlers.window.as_ref()).map(|_| Handling::Outside)?
            }
            Self::Misplaced => return Err(Handling::misplaced()),
        };
        desk.options.check(&desk.reader, handling)
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
