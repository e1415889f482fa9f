//! The two drivers behind one set of traits, which have the names and the methods of the crates.

mod batch;
mod consumer;
mod dead_letters;
mod heartbeat;
mod session;

use std::future::Future;
use std::sync::LazyLock;

use pgq_async::tokio_postgres;
use pgq_sync::postgres;
use tokio::runtime::Runtime;

pub(crate) use self::batch::{Batch, LoadedBatch, NextEvents};
pub(crate) use self::consumer::{Attached, Consumer, SubConsumer};
pub(crate) use self::dead_letters::DeadLetters;
pub(crate) use self::heartbeat::Heartbeat;
pub(crate) use self::session::{Client, ExactlyOnce, Session, Transaction};

/// One of the two crates. The items have the names that they have there.
pub(crate) trait Driver: Sized + 'static {
    /// How the modules of its tests begin.
    const NAME: &str;

    type Client: Client<Self> + Session<Self>;
    type Transaction<'c>: Transaction + Session<Self>;
    type Consumer: Consumer<Self>;
    type Batch<'c>: Batch<'c, Self>;
    type LoadedBatch: LoadedBatch<Self>;
    type NextEvents<'c>: NextEvents;
    type Attached: Attached<Self>;
    type AttachedMut<'c>: Attached<Self>;
    type SubConsumer: SubConsumer<Self>;
    type Heartbeat: Heartbeat;
    type ExactlyOnce: ExactlyOnce<Self>;
    type DeadLetters: DeadLetters<Self>;
}

macro_rules! driver {
    ($driver:ident, $name:literal, $pgq:ident, $postgres:ident, $heartbeat:path) => {
        pub(crate) struct $driver;

        impl Driver for $driver {
            const NAME: &str = $name;

            type Client = $postgres::Client;
            type Transaction<'c> = $postgres::Transaction<'c>;
            type Consumer = $pgq::Consumer;
            type Batch<'c> = $pgq::Batch<'c>;
            type LoadedBatch = $pgq::LoadedBatch;
            type NextEvents<'c> = $pgq::NextEvents<'c>;
            type Attached = $pgq::Attached<$postgres::Client>;
            type AttachedMut<'c> = $pgq::Attached<&'c mut $postgres::Client>;
            type SubConsumer = $pgq::SubConsumer;
            type Heartbeat = $heartbeat;
            type ExactlyOnce = $pgq::ExactlyOnce;
            type DeadLetters = $pgq::DeadLetters;
        }
    };
}

driver!(Sync, "sync", pgq_sync, postgres, pgq_sync::Heartbeat);
driver!(Async, "async", pgq_async, tokio_postgres, heartbeat::Beating);

/// The runtime that drives the connections of `pgq-async`, also while a test does something else.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

fn at_once<T>(value: T) -> T {
    value
}

fn connect_sync(conninfo: &str) -> Result<postgres::Client, tokio_postgres::Error> {
    postgres::Client::connect(conninfo, postgres::NoTls)
}

async fn connect_async(conninfo: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(conninfo, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
