use std::future::ready;

use pgq_async::futures::FutureExt;
use pgq_async::futures::future::BoxFuture;
use pgq_async::tokio_postgres::{self, Error};
use pgq_core::Event;
use pgq_sync::postgres;

/// The transaction of the batch, as handlers have it.
pub(crate) type Tx<'t> = &'t mut (dyn Sql + 't);

pub(crate) trait Sql: Send {
    /// Runs this in the transaction.
    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), Error>>;
}

impl Sql for postgres::Transaction<'_> {
    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), Error>> {
        ready(self.batch_execute(sql)).boxed()
    }
}

impl Sql for tokio_postgres::Transaction<'_> {
    fn run<'s>(&'s mut self, sql: &'s str) -> BoxFuture<'s, Result<(), Error>> {
        self.batch_execute(sql).boxed()
    }
}

/// Writes the data of an event to the sink.
pub(crate) async fn sink(event: &Event, tx: &mut (dyn Sql + '_)) -> Result<(), Error> {
    let data = event.data.as_deref().unwrap_or("NULL").replace('\'', "''");
    tx.run(&format!("INSERT INTO sink (data) VALUES ('{data}')")).await
}
