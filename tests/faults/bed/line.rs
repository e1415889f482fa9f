use std::thread;
use std::time::Duration;

use pgq_core::NewEvent;
use pgq_sync::postgres::SimpleQueryMessage;
use tokio::runtime;

use super::{Driver, QUEUE};

/// A connection of either driver that is made anew when it breaks.
pub(super) struct Line {
    driver: Driver,
    conninfo: String,
    open: Option<Open>,
}

pub(super) enum Open {
    Sync(pgq_sync::postgres::Client),
    Async(runtime::Runtime, pgq_async::tokio_postgres::Client),
}

/// Some numbers in one transaction.
pub(super) struct Work {
    pub(super) producer: i32,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Rollback,
}

/// Where a transaction failed.
pub(super) enum Failed {
    Before,
    InCommit,
}

impl Line {
    pub(super) fn new(driver: Driver, conninfo: &str) -> Self {
        Self { driver, conninfo: conninfo.to_owned(), open: None }
    }

    pub(super) fn transact(&mut self, work: &Work) -> Result<(), Failed> {
        let Some(open) = self.open() else { return Err(Failed::Before) };
        let done = match open {
            Open::Sync(client) => sync(client, work),
            Open::Async(runtime, client) => runtime.block_on(aio(client, work)),
        };
        if done.is_err() {
            self.open = None;
        }
        done
    }

    /// Whether the transaction was committed. Waits for its end, and for the server.
    pub(super) fn find(&mut self, work: &Work) -> bool {
        loop {
            let found = match self.open() {
                None => continue,
                Some(Open::Sync(client)) => client.simple_query(&work.found()),
                Some(Open::Async(runtime, client)) => runtime.block_on(client.simple_query(&work.found())),
            };
            match found {
                // The row of the lock is always there.
                Ok(found) => {
                    return found.iter().filter(|row| matches!(row, SimpleQueryMessage::Row(_))).count() > 1;
                }
                Err(_) => self.open = None,
            }
        }
    }

    /// The connection, unless the server takes none.
    pub(super) fn open(&mut self) -> Option<&mut Open> {
        if self.open.is_none() {
            self.open = connect(self.driver, &self.conninfo);
        }
        if self.open.is_none() {
            // Not as often as one can ask.
            thread::sleep(Duration::from_millis(10));
        }
        self.open.as_mut()
    }
}

impl Work {
    fn events(&self) -> impl Iterator<Item = NewEvent<'static>> {
        let producer = self.producer;
        (self.first..=self.last).map(move |seq| NewEvent::new("number", format!("{producer}:{seq}")))
    }

    /// Whoever looks for what became of a transaction waits by this for its end.
    fn lock(&self) -> String {
        format!("SELECT pg_advisory_xact_lock(1001, {})", self.producer)
    }

    fn sent(&self) -> String {
        let Self { producer, first, last, .. } = self;
        format!("INSERT INTO sent SELECT {producer}, generate_series({first}, {last})")
    }

    fn found(&self) -> String {
        format!(
            "{}; SELECT FROM sent WHERE producer = {} AND seq = {}",
            self.lock(),
            self.producer,
            self.first
        )
    }
}

fn connect(driver: Driver, conninfo: &str) -> Option<Open> {
    match driver {
        Driver::Sync => {
            pgq_sync::postgres::Client::connect(conninfo, pgq_sync::postgres::NoTls).ok().map(Open::Sync)
        }
        Driver::Async => {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let connecting = pgq_async::tokio_postgres::connect(conninfo, pgq_async::tokio_postgres::NoTls);
            let (client, connection) = runtime.block_on(connecting).ok()?;
            runtime.spawn(connection);
            Some(Open::Async(runtime, client))
        }
    }
}

fn sync(client: &mut pgq_sync::postgres::Client, work: &Work) -> Result<(), Failed> {
    let mut transaction = client.transaction().map_err(|_| Failed::Before)?;
    transaction.batch_execute(&work.lock()).map_err(|_| Failed::Before)?;
    let queue = pgq_sync::Queue::new(QUEUE);
    queue.insert_events(&mut transaction, work.events()).map_err(|_| Failed::Before)?;
    transaction.batch_execute(&work.sent()).map_err(|_| Failed::Before)?;
    match work.end {
        End::Commit => transaction.commit().map_err(|_| Failed::InCommit),
        End::Rollback => transaction.rollback().map_err(|_| Failed::Before),
    }
}

async fn aio(client: &mut pgq_async::tokio_postgres::Client, work: &Work) -> Result<(), Failed> {
    let mut transaction = client.transaction().await.map_err(|_| Failed::Before)?;
    transaction.batch_execute(&work.lock()).await.map_err(|_| Failed::Before)?;
    let queue = pgq_async::Queue::new(QUEUE);
    queue.insert_events(&mut transaction, work.events()).await.map_err(|_| Failed::Before)?;
    transaction.batch_execute(&work.sent()).await.map_err(|_| Failed::Before)?;
    match work.end {
        End::Commit => transaction.commit().await.map_err(|_| Failed::InCommit),
        End::Rollback => transaction.rollback().await.map_err(|_| Failed::Before),
    }
}
