use std::time::Duration;

use pgq_async::futures::StreamExt;
use pgq_async::tokio_postgres;
use pgq_core::{Error, Event, NextBatch, Result};
use pgq_sync::postgres;

use super::{Async, Driver, Sync, at_once, block_on};

pub(crate) trait Batch<'c, D: Driver>: Sized {
    fn next_event(&mut self) -> Result<Option<Event>>;
    /// What `events` gives, up to `limit`; it is dropped then.
    fn events(&mut self, limit: usize) -> Vec<Result<Event>>;
    fn transaction(&mut self) -> &mut D::Transaction<'c>;
    fn retry(&mut self, event: &Event, after: Duration);
    fn dead_letter(&mut self, event: &Event, reason: &str, error: &str);
    fn info(&self) -> &NextBatch;
    fn load(self) -> Result<D::LoadedBatch>;
    fn finish(self) -> Result<()>;
    fn finish_unread(self) -> Result<()>;
}

pub(crate) trait LoadedBatch<D: Driver>: Sized {
    fn events(&self) -> &[Event];
    fn take_events(&mut self) -> Vec<Event>;
    fn info(&self) -> &NextBatch;
    fn retry(&mut self, event: &Event, after: Duration);
    fn dead_letter(&mut self, event: &Event, reason: &str, error: &str);
    fn finish(self, db: &mut D::Client) -> Result<()>;
}

pub(crate) trait NextEvents {
    /// What the iterator or the stream gives.
    fn next(&mut self) -> Option<Result<Event>>;
    fn next_event(&mut self) -> Result<Option<Event>>;
    fn retry(&mut self, event: &Event, after: Duration) -> Result<()>;
}

macro_rules! batch {
    ($driver:ident, $pgq:ident, $postgres:ident, $run:ident, $next:path) => {
        impl<'c> Batch<'c, $driver> for $pgq::Batch<'c> {
            fn next_event(&mut self) -> Result<Option<Event>> {
                $run(self.next_event())
            }

            fn events(&mut self, limit: usize) -> Vec<Result<Event>> {
                $run(self.events().take(limit).collect::<Vec<_>>())
            }

            fn transaction(&mut self) -> &mut $postgres::Transaction<'c> {
                self.transaction()
            }

            fn retry(&mut self, event: &Event, after: Duration) {
                self.retry(event, after);
            }

            fn dead_letter(&mut self, event: &Event, reason: &str, error: &str) {
                self.dead_letter(event, reason, error);
            }

            fn info(&self) -> &NextBatch {
                self.info()
            }

            fn load(self) -> Result<$pgq::LoadedBatch> {
                $run(self.load())
            }

            fn finish(self) -> Result<()> {
                $run(self.finish())
            }

            fn finish_unread(self) -> Result<()> {
                $run(self.finish_unread())
            }
        }

        impl LoadedBatch<$driver> for $pgq::LoadedBatch {
            fn events(&self) -> &[Event] {
                self.events()
            }

            fn take_events(&mut self) -> Vec<Event> {
                self.take_events()
            }

            fn info(&self) -> &NextBatch {
                self.info()
            }

            fn retry(&mut self, event: &Event, after: Duration) {
                self.retry(event, after);
            }

            fn dead_letter(&mut self, event: &Event, reason: &str, error: &str) {
                self.dead_letter(event, reason, error);
            }

            fn finish(self, db: &mut $postgres::Client) -> Result<()> {
                $run(self.finish(db))
            }
        }

        impl NextEvents for $pgq::NextEvents<'_> {
            fn next(&mut self) -> Option<Result<Event>> {
                $run($next(self))
            }

            fn next_event(&mut self) -> Result<Option<Event>> {
                $run(self.next_event())
            }

            fn retry(&mut self, event: &Event, after: Duration) -> Result<(), Error> {
                self.retry(event, after)
            }
        }
    };
}

batch!(Sync, pgq_sync, postgres, at_once, Iterator::next);
batch!(Async, pgq_async, tokio_postgres, block_on, StreamExt::next);
