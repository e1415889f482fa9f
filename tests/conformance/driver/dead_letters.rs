use std::time::Duration;

use pgq_async::futures::StreamExt;
use pgq_async::tokio_postgres;
use pgq_core::{DeadLetter, LetterId, Result};
use pgq_sync::postgres;

use super::{Async, Driver, Sync, at_once, block_on};

pub(crate) trait DeadLetters<D: Driver> {
    fn of(queue: &str) -> Self;
    fn consumer(self, consumer: &str) -> Self;
    fn list(&self, db: &mut D::Client, after: Option<LetterId>, limit: u32) -> Result<Vec<DeadLetter>>;
    /// What `all` gives, up to the first error and what comes after that.
    fn all(&self, db: &mut D::Client) -> Vec<Result<DeadLetter>>;
    /// What `next_letter` of it gives first.
    fn first(&self, db: &mut D::Client) -> Result<Option<DeadLetter>>;
    fn count(&self, db: &mut D::Client) -> Result<u64>;
    fn replay(&self, db: &mut D::Client, letters: &[LetterId]) -> Result<u64>;
    fn replay_as_new(&self, db: &mut D::Client, letters: &[LetterId]) -> Result<u64>;
    fn discard(&self, db: &mut D::Client, letters: &[LetterId]) -> Result<u64>;
    fn purge(&self, db: &mut D::Client, older_than: Duration) -> Result<u64>;
}

macro_rules! dead_letters {
    ($driver:ident, $pgq:ident, $postgres:ident, $run:ident) => {
        impl DeadLetters<$driver> for $pgq::DeadLetters {
            fn of(queue: &str) -> Self {
                Self::of(queue)
            }

            fn consumer(self, consumer: &str) -> Self {
                self.consumer(consumer)
            }

            fn list(
                &self,
                db: &mut $postgres::Client,
                after: Option<LetterId>,
                limit: u32,
            ) -> Result<Vec<DeadLetter>> {
                $run(self.list(db, after, limit))
            }

            fn all(&self, db: &mut $postgres::Client) -> Vec<Result<DeadLetter>> {
                $run(self.all(db).collect::<Vec<_>>())
            }

            fn first(&self, db: &mut $postgres::Client) -> Result<Option<DeadLetter>> {
                $run(self.all(db).next_letter())
            }

            fn count(&self, db: &mut $postgres::Client) -> Result<u64> {
                $run(self.count(db))
            }

            fn replay(&self, db: &mut $postgres::Client, letters: &[LetterId]) -> Result<u64> {
                $run(self.replay(db, letters))
            }

            fn replay_as_new(&self, db: &mut $postgres::Client, letters: &[LetterId]) -> Result<u64> {
                $run(self.replay_as_new(db, letters))
            }

            fn discard(&self, db: &mut $postgres::Client, letters: &[LetterId]) -> Result<u64> {
                $run(self.discard(db, letters))
            }

            fn purge(&self, db: &mut $postgres::Client, older_than: Duration) -> Result<u64> {
                $run(self.purge(db, older_than))
            }
        }
    };
}

dead_letters!(Sync, pgq_sync, postgres, at_once);
dead_letters!(Async, pgq_async, tokio_postgres, block_on);
