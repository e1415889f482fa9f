use pgq_async::tokio_postgres;
use pgq_core::{
    Call, ConsumerInfo, Created, Event, EventId, NewEvent, NextBatch, QueueConfig, QueueInfo, Result, Trigger,
};
use pgq_sync::postgres;
use tokio_postgres::Row;

use super::{Async, Driver, Sync, at_once, block_on, connect_async, connect_sync};

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

macro_rules! session {
    ($driver:ident, $pgq:ident, $postgres:ident, $run:ident, $connect:ident) => {
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
    };
}

session!(Sync, pgq_sync, postgres, at_once, connect_sync);
session!(Async, pgq_async, tokio_postgres, block_on, connect_async);
