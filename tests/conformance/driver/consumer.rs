use std::borrow::BorrowMut;
use std::time::Duration;

use pgq_async::tokio_postgres;
use pgq_core::batch::{ChunkSize, EmptyBatches};
use pgq_core::consumer::IfClaimed;
use pgq_core::coop::IfBusy;
use pgq_core::{BatchId, ConsumerInfo, Created, Filter, Pace, Result, TickId};
use pgq_sync::postgres;

use super::{Async, Driver, Sync, at_once, block_on, heartbeat};

pub(crate) trait Consumer<D: Driver>: Sized + Clone {
    fn new(queue: &str, name: &str) -> Self;
    fn pace(self, pace: Pace) -> Self;
    fn filter(self, filter: Filter) -> Self;
    fn chunk(self, chunk: ChunkSize) -> Self;
    fn empty_batches(self, empty_batches: EmptyBatches) -> Self;
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
    fn empty_batches(self, empty_batches: EmptyBatches) -> Self;
    fn register(&self, db: &mut D::Client) -> Result<Created>;
    fn unregister(&self, db: &mut D::Client, if_busy: IfBusy) -> Result<u32>;
    fn claim(&self, db: &mut D::Client, if_claimed: IfClaimed) -> Result<()>;
    fn info(&self, db: &mut D::Client) -> Result<Option<ConsumerInfo>>;
    fn next_batch<'c>(&self, db: &'c mut D::Client) -> Result<Option<D::Batch<'c>>>;
    fn next_loaded(&self, db: &mut D::Client) -> Result<Option<D::LoadedBatch>>;
    fn next_events<'c>(&self, db: &'c mut D::Client) -> D::NextEvents<'c>;
    fn heartbeat(&self, batch: BatchId, conninfo: &str, every: Duration) -> D::Heartbeat;
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

macro_rules! consumer {
    ($driver:ident, $pgq:ident, $postgres:ident, $run:ident, $beating:path, $heartbeat:path) => {
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

            fn empty_batches(self, empty_batches: EmptyBatches) -> Self {
                self.empty_batches(empty_batches)
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

            fn empty_batches(self, empty_batches: EmptyBatches) -> Self {
                self.empty_batches(empty_batches)
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

consumer!(Sync, pgq_sync, postgres, at_once, heartbeat::beating_sync, pgq_sync::Heartbeat);
consumer!(Async, pgq_async, tokio_postgres, block_on, heartbeat::beating_async, heartbeat::Beating);
