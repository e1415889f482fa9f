use std::borrow::BorrowMut;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use pgq_async::futures::StreamExt;
use pgq_async::tokio_postgres;
use pgq_core::batch::ChunkSize;
use pgq_core::consumer::IfClaimed;
use pgq_core::coop::IfBusy;
use pgq_core::{
    BatchId, Call, ConsumerInfo, Created, Error, Event, EventId, Filter, NewEvent, NextBatch, Pace,
    QueueConfig, QueueInfo, Result, TickId, Trigger,
};
use pgq_sync::postgres;
use tokio::runtime::Runtime;
use tokio_postgres::Row;

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
}

pub(crate) trait Client<D: Driver>: Sized {
    fn connect(conninfo: &str) -> Result<Self, tokio_postgres::Error>;
    fn transaction(&mut self) -> Result<D::Transaction<'_>, tokio_postgres::Error>;
}

pub(crate) trait Transaction {
    fn commit(self) -> Result<(), tokio_postgres::Error>;
    fn rollback(self) -> Result<(), tokio_postgres::Error>;
    fn copy_events<'a>(&mut self, queue: &str, events: impl IntoIterator<Item = NewEvent<'a>>)
    -> Result<u64>;
}

/// What a client and a transaction can do; the methods of `Queue` are here, with its name as an argument.
pub(crate) trait Session<D> {
    fn call<T>(&mut self, call: Call<'_, T>) -> Result<T>;
    fn batch_execute(&mut self, sql: &str) -> Result<(), tokio_postgres::Error>;
    fn query(&mut self, sql: &str) -> Result<Vec<Row>, tokio_postgres::Error>;
    fn create(&mut self, queue: &str) -> Result<Created>;
    fn drop_queue(&mut self, queue: &str) -> Result<()>;
    fn drop_with_consumers(&mut self, queue: &str) -> Result<()>;
    fn set_config(&mut self, queue: &str, config: &QueueConfig) -> Result<()>;
    fn info(&mut self, queue: &str) -> Result<Option<QueueInfo>>;
    fn consumers(&mut self, queue: &str) -> Result<Vec<ConsumerInfo>>;
    fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<EventId>;
    fn insert(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<EventId>;
    fn insert_events<'a>(
        &mut self,
        queue: &str,
        events: impl IntoIterator<Item = NewEvent<'a>>,
    ) -> Result<u64>;

    fn attach(&mut self, trigger: &Trigger, table: &str) -> Result<()>;
    fn detach(&mut self, trigger: &Trigger, table: &str) -> Result<()>;

    /// The only column of the only row.
    fn value<T>(&mut self, sql: &str) -> T
    where
        T: for<'r> tokio_postgres::types::FromSql<'r>,
    {
        self.query(sql).unwrap()[0].get(0)
    }
}

pub(crate) trait Consumer<D: Driver>: Sized + Clone {
    fn new(queue: &str, name: &str) -> Self;
    fn pace(self, pace: Pace) -> Self;
    fn filter(self, filter: Filter) -> Self;
    fn chunk(self, chunk: ChunkSize) -> Self;
    fn register(&self, db: &mut D::Client) -> Result<Created>;
    fn register_at(&self, db: &mut D::Client, tick: TickId) -> Result<Created>;
    fn unregister(&self, db: &mut D::Client) -> Result<u32>;
    fn claim(&self, db: &mut D::Client, if_claimed: IfClaimed) -> Result<()>;
    fn release(&self, db: &mut D::Client) -> Result<bool>;
    fn info(&self, db: &mut D::Client) -> Result<Option<ConsumerInfo>>;
    fn next_batch<'c>(&self, db: &'c mut D::Client) -> Result<Option<D::Batch<'c>>>;
    fn next_loaded(&self, db: &mut D::Client) -> Result<Option<D::LoadedBatch>>;
    fn next_events<'c>(&self, db: &'c mut D::Client) -> D::NextEvents<'c>;
    fn attach(self, db: D::Client) -> D::Attached;
    fn attach_mut(self, db: &mut D::Client) -> D::AttachedMut<'_>;
}

pub(crate) trait SubConsumer<D: Driver>: Sized + Clone + Send + std::marker::Sync {
    fn new(queue: &str, main: &str, name: &str) -> Self;
    fn dead_interval(self, interval: Duration) -> Self;
    fn pace(self, pace: Pace) -> Self;
    fn filter(self, filter: Filter) -> Self;
    fn chunk(self, chunk: ChunkSize) -> Self;
    fn register(&self, db: &mut D::Client) -> Result<Created>;
    fn unregister(&self, db: &mut D::Client, if_busy: IfBusy) -> Result<u32>;
    fn claim(&self, db: &mut D::Client, if_claimed: IfClaimed) -> Result<()>;
    fn info(&self, db: &mut D::Client) -> Result<Option<ConsumerInfo>>;
    fn next_batch<'c>(&self, db: &'c mut D::Client) -> Result<Option<D::Batch<'c>>>;
    fn next_loaded(&self, db: &mut D::Client) -> Result<Option<D::LoadedBatch>>;
    fn next_events<'c>(&self, db: &'c mut D::Client) -> D::NextEvents<'c>;
    fn heartbeat(&self, batch: BatchId, conninfo: &str, every: Duration) -> D::Heartbeat;
}

pub(crate) trait Heartbeat {
    fn is_lost(&self) -> bool;
    fn stop(self) -> Result<()>;
}

/// The heartbeat of `pgq-async`, polled by a task.
pub(crate) struct Beating(tokio::task::JoinHandle<Error>);

impl Heartbeat for Beating {
    fn is_lost(&self) -> bool {
        self.0.is_finished()
    }

    fn stop(self) -> Result<()> {
        self.0.abort();
        block_on(self.0).map_or(Ok(()), Err)
    }
}

impl Heartbeat for pgq_sync::Heartbeat {
    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    fn stop(self) -> Result<()> {
        self.stop()
    }
}

fn beating_sync(heartbeat: std::io::Result<pgq_sync::Heartbeat>) -> pgq_sync::Heartbeat {
    heartbeat.unwrap()
}

fn beating_async(heartbeat: pgq_async::Heartbeat) -> Beating {
    Beating(RUNTIME.spawn(heartbeat))
}

pub(crate) trait ExactlyOnce<D: Driver> {
    fn new(consumer: &str) -> Self;
    fn subconsumer(self, subconsumer: &str) -> Self;
    fn by_tick<'t>(&self, target: &'t mut D::Client, batch: &NextBatch)
    -> Result<Option<D::Transaction<'t>>>;
    fn by_batch<'t>(
        &self,
        target: &'t mut D::Client,
        batch: &NextBatch,
    ) -> Result<Option<D::Transaction<'t>>>;
    fn by_event<'t>(
        &self,
        target: &'t mut D::Client,
        batch: &NextBatch,
        event: &Event,
    ) -> Result<Option<D::Transaction<'t>>>;
}

pub(crate) trait Batch<'c, D: Driver>: Sized {
    fn next_event(&mut self) -> Result<Option<Event>>;
    /// What `events` gives, up to `limit`; it is dropped then.
    fn events(&mut self, limit: usize) -> Vec<Result<Event>>;
    fn transaction(&mut self) -> &mut D::Transaction<'c>;
    fn retry(&mut self, event: &Event, after: Duration);
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
    fn finish(self, db: &mut D::Client) -> Result<()>;
}

pub(crate) trait NextEvents {
    /// What the iterator or the stream gives.
    fn next(&mut self) -> Option<Result<Event>>;
    fn next_event(&mut self) -> Result<Option<Event>>;
    fn retry(&mut self, event: &Event, after: Duration) -> Result<()>;
}

pub(crate) trait Attached<D: Driver> {
    fn register(&mut self) -> Result<Created>;
    fn register_at(&mut self, tick: TickId) -> Result<Created>;
    fn unregister(&mut self) -> Result<u32>;
    fn info(&mut self) -> Result<Option<ConsumerInfo>>;
    fn next_batch(&mut self) -> Result<Option<D::Batch<'_>>>;
    fn next_loaded(&mut self) -> Result<Option<D::LoadedBatch>>;
    fn next_events(&mut self) -> D::NextEvents<'_>;
    fn client(&mut self) -> &mut D::Client;
}

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

macro_rules! driver {
    ($driver:ident, $name:literal, $pgq:ident, $postgres:ident, $run:ident, $connect:ident, $next:path, $beating:path, $heartbeat:path) => {
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
        }

        impl Client<$driver> for $postgres::Client {
            fn connect(conninfo: &str) -> Result<Self, tokio_postgres::Error> {
                $run($connect(conninfo))
            }

            fn transaction(&mut self) -> Result<$postgres::Transaction<'_>, tokio_postgres::Error> {
                $run($postgres::GenericClient::transaction(self))
            }
        }

        impl Transaction for $postgres::Transaction<'_> {
            fn commit(self) -> Result<(), tokio_postgres::Error> {
                $run(self.commit())
            }

            fn rollback(self) -> Result<(), tokio_postgres::Error> {
                $run(self.rollback())
            }

            fn copy_events<'a>(
                &mut self,
                queue: &str,
                events: impl IntoIterator<Item = NewEvent<'a>>,
            ) -> Result<u64> {
                $run($pgq::Queue::new(queue).copy_events(self, events))
            }
        }

        impl<C: $postgres::GenericClient> Session<$driver> for C {
            fn call<T>(&mut self, call: Call<'_, T>) -> Result<T> {
                $run($pgq::ClientExt::call(self, call))
            }

            fn batch_execute(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
                $run($postgres::GenericClient::batch_execute(self, sql))
            }

            fn query(&mut self, sql: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
                $run($postgres::GenericClient::query(self, sql, &[]))
            }

            fn create(&mut self, queue: &str) -> Result<Created> {
                $run($pgq::Queue::new(queue).create(self))
            }

            fn drop_queue(&mut self, queue: &str) -> Result<()> {
                $run($pgq::Queue::new(queue).drop(self))
            }

            fn drop_with_consumers(&mut self, queue: &str) -> Result<()> {
                $run($pgq::Queue::new(queue).drop_with_consumers(self))
            }

            fn set_config(&mut self, queue: &str, config: &QueueConfig) -> Result<()> {
                $run($pgq::Queue::new(queue).set_config(self, config))
            }

            fn info(&mut self, queue: &str) -> Result<Option<QueueInfo>> {
                $run($pgq::Queue::new(queue).info(self))
            }

            fn consumers(&mut self, queue: &str) -> Result<Vec<ConsumerInfo>> {
                $run($pgq::Queue::new(queue).consumers(self))
            }

            fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<EventId> {
                $run($pgq::Queue::new(queue).insert_event(self, event_type, data))
            }

            fn insert(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<EventId> {
                $run($pgq::Queue::new(queue).insert(self, event))
            }

            fn insert_events<'a>(
                &mut self,
                queue: &str,
                events: impl IntoIterator<Item = NewEvent<'a>>,
            ) -> Result<u64> {
                $run($pgq::Queue::new(queue).insert_events(self, events))
            }

            fn attach(&mut self, trigger: &Trigger, table: &str) -> Result<()> {
                $run($pgq::TriggerExt::attach(trigger, self, table))
            }

            fn detach(&mut self, trigger: &Trigger, table: &str) -> Result<()> {
                $run($pgq::TriggerExt::detach(trigger, self, table))
            }
        }

        impl Consumer<$driver> for $pgq::Consumer {
            fn new(queue: &str, name: &str) -> Self {
                Self::new(queue, name)
            }

            fn pace(self, pace: Pace) -> Self {
                self.pace(pace)
            }

            fn filter(self, filter: Filter) -> Self {
                self.filter(filter)
            }

            fn chunk(self, chunk: ChunkSize) -> Self {
                self.chunk(chunk)
            }

            fn register(&self, db: &mut $postgres::Client) -> Result<Created> {
                $run(self.register(db))
            }

            fn register_at(&self, db: &mut $postgres::Client, tick: TickId) -> Result<Created> {
                $run(self.register_at(db, tick))
            }

            fn unregister(&self, db: &mut $postgres::Client) -> Result<u32> {
                $run(self.unregister(db))
            }

            fn claim(&self, db: &mut $postgres::Client, if_claimed: IfClaimed) -> Result<()> {
                $run(self.claim(db, if_claimed))
            }

            fn release(&self, db: &mut $postgres::Client) -> Result<bool> {
                $run(self.release(db))
            }

            fn info(&self, db: &mut $postgres::Client) -> Result<Option<ConsumerInfo>> {
                $run(self.info(db))
            }

            fn next_batch<'c>(&self, db: &'c mut $postgres::Client) -> Result<Option<$pgq::Batch<'c>>> {
                $run(self.next_batch(db))
            }

            fn next_loaded(&self, db: &mut $postgres::Client) -> Result<Option<$pgq::LoadedBatch>> {
                $run(self.next_loaded(db))
            }

            fn next_events<'c>(&self, db: &'c mut $postgres::Client) -> $pgq::NextEvents<'c> {
                self.next_events(db)
            }

            fn attach(self, db: $postgres::Client) -> $pgq::Attached<$postgres::Client> {
                self.attach(db)
            }

            fn attach_mut(self, db: &mut $postgres::Client) -> $pgq::Attached<&mut $postgres::Client> {
                self.attach(db)
            }
        }

        impl SubConsumer<$driver> for $pgq::SubConsumer {
            fn new(queue: &str, main: &str, name: &str) -> Self {
                Self::new(queue, main, name)
            }

            fn dead_interval(self, interval: Duration) -> Self {
                self.dead_interval(interval)
            }

            fn pace(self, pace: Pace) -> Self {
                self.pace(pace)
            }

            fn filter(self, filter: Filter) -> Self {
                self.filter(filter)
            }

            fn chunk(self, chunk: ChunkSize) -> Self {
                self.chunk(chunk)
            }

            fn register(&self, db: &mut $postgres::Client) -> Result<Created> {
                $run(self.register(db))
            }

            fn unregister(&self, db: &mut $postgres::Client, if_busy: IfBusy) -> Result<u32> {
                $run(self.unregister(db, if_busy))
            }

            fn claim(&self, db: &mut $postgres::Client, if_claimed: IfClaimed) -> Result<()> {
                $run(self.claim(db, if_claimed))
            }

            fn info(&self, db: &mut $postgres::Client) -> Result<Option<ConsumerInfo>> {
                $run(self.info(db))
            }

            fn next_batch<'c>(&self, db: &'c mut $postgres::Client) -> Result<Option<$pgq::Batch<'c>>> {
                $run(self.next_batch(db))
            }

            fn next_loaded(&self, db: &mut $postgres::Client) -> Result<Option<$pgq::LoadedBatch>> {
                $run(self.next_loaded(db))
            }

            fn next_events<'c>(&self, db: &'c mut $postgres::Client) -> $pgq::NextEvents<'c> {
                self.next_events(db)
            }

            fn heartbeat(&self, batch: BatchId, conninfo: &str, every: Duration) -> $heartbeat {
                $beating(self.heartbeat(batch, conninfo.parse().unwrap(), $postgres::NoTls, every))
            }
        }

        impl ExactlyOnce<$driver> for $pgq::ExactlyOnce {
            fn new(consumer: &str) -> Self {
                Self::new(consumer)
            }

            fn subconsumer(self, subconsumer: &str) -> Self {
                self.subconsumer(subconsumer)
            }

            fn by_tick<'t>(
                &self,
                target: &'t mut $postgres::Client,
                batch: &NextBatch,
            ) -> Result<Option<$postgres::Transaction<'t>>> {
                $run(self.by_tick(target, batch))
            }

            fn by_batch<'t>(
                &self,
                target: &'t mut $postgres::Client,
                batch: &NextBatch,
            ) -> Result<Option<$postgres::Transaction<'t>>> {
                $run(self.by_batch(target, batch))
            }

            fn by_event<'t>(
                &self,
                target: &'t mut $postgres::Client,
                batch: &NextBatch,
                event: &Event,
            ) -> Result<Option<$postgres::Transaction<'t>>> {
                $run(self.by_event(target, batch, event))
            }
        }

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

        impl<C: BorrowMut<$postgres::Client>> Attached<$driver> for $pgq::Attached<C> {
            fn register(&mut self) -> Result<Created> {
                $run(self.register())
            }

            fn register_at(&mut self, tick: TickId) -> Result<Created> {
                $run(self.register_at(tick))
            }

            fn unregister(&mut self) -> Result<u32> {
                $run(self.unregister())
            }

            fn info(&mut self) -> Result<Option<ConsumerInfo>> {
                $run(self.info())
            }

            fn next_batch(&mut self) -> Result<Option<$pgq::Batch<'_>>> {
                $run(self.next_batch())
            }

            fn next_loaded(&mut self) -> Result<Option<$pgq::LoadedBatch>> {
                $run(self.next_loaded())
            }

            fn next_events(&mut self) -> $pgq::NextEvents<'_> {
                self.next_events()
            }

            fn client(&mut self) -> &mut $postgres::Client {
                self.client()
            }
        }
    };
}

driver!(
    Sync,
    "sync",
    pgq_sync,
    postgres,
    at_once,
    connect_sync,
    Iterator::next,
    beating_sync,
    pgq_sync::Heartbeat
);
driver!(
    Async,
    "async",
    pgq_async,
    tokio_postgres,
    block_on,
    connect_async,
    StreamExt::next,
    beating_async,
    Beating
);
