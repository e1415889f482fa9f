use std::future::ready;
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_async::futures::future::BoxFuture;
use pgq_async::tokio_postgres::Error as DbError;
use pgq_core::{Event, Result};

/// A batch, as handlers for whole batches have it.
pub(crate) trait Reading: Send {
    fn next_event(&mut self) -> BoxFuture<'_, Result<Option<Event>>>;
    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), DbError>>;
    fn retry(&mut self, event: &Event, after: Duration);
    fn dead_letter(&mut self, event: &Event, reason: &str, error: &str);
}

impl Reading for pgq_sync::Batch<'_> {
    fn next_event(&mut self) -> BoxFuture<'_, Result<Option<Event>>> {
        ready(self.next_event()).boxed()
    }

    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), DbError>> {
        ready(self.transaction().batch_execute(sql)).boxed()
    }

    fn retry(&mut self, event: &Event, after: Duration) {
        self.retry(event, after);
    }

    fn dead_letter(&mut self, event: &Event, reason: &str, error: &str) {
        self.dead_letter(event, reason, error);
    }
}

impl Reading for pgq_async::Batch<'_> {
    fn next_event(&mut self) -> BoxFuture<'_, Result<Option<Event>>> {
        self.next_event().boxed()
    }

    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), DbError>> {
        self.transaction().batch_execute(sql).boxed()
    }

    fn retry(&mut self, event: &Event, after: Duration) {
        self.retry(event, after);
    }

    fn dead_letter(&mut self, event: &Event, reason: &str, error: &str) {
        self.dead_letter(event, reason, error);
    }
}
