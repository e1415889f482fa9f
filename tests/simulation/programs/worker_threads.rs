//! The twins of [`workers`](super::workers) on `pgq-sync`.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use pgq_sync::pgq_core::batch::Reader;
use pgq_sync::pgq_core::worker::{Notice, Outcome, RetryPolicy, WorkerOptions, WorkerStats};
use pgq_sync::pgq_core::{BatchId, Event, Result};
use pgq_sync::postgres::Transaction;
use pgq_sync::postgres::types::{ToSql, Type};
use pgq_sync::{Consumer, SubConsumer, Worker, WorkerBuilder};

use super::consuming::{After, DEAD, SINK};
use super::threads::Program;
use super::workers::{ATTEMPTS, SECOND, outcome};
use crate::bed::Bed;
use crate::check::Promise;
use crate::socket::Door;
use crate::task::Group;

/// How a worker is set up.
pub(crate) trait Kind {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 1;

    fn run(worker: WorkerBuilder, site: Site) -> Result<WorkerStats> {
        worker.otherwise(move |event: Event, transaction| in_transaction(&event, transaction, &site)).run()
    }
}

/// The program of such workers, each started again when it ends.
pub(crate) struct Workers<K>(PhantomData<K>);

impl<K: Kind> Program for Workers<K> {
    const GROUP: Group = K::GROUP;
    const PROMISE: Promise = K::PROMISE;
    const WORKERS: usize = K::WORKERS;
    const IS_SLOW: bool = true;

    fn work(bed: &Bed, door: &Door, name: &str, _: After) {
        while !bed.is_over() {
            let site = Site { bed: bed.clone(), name: name.to_owned(), batch: Arc::default() };
            let worker = site.worker::<K>(door);
            let (stopper, ended) = (worker.stopper(), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| {
                    time_passes(bed, &ended);
                    stopper.stop();
                });
                // Whatever it ended with, another one is started.
                let _ = K::run(worker, site);
                ended.store(true, Ordering::Release);
            });
            bed.wait_until_gone(name);
        }
    }
}

/// So long does a second of the server take.
const PAUSE: Duration = Duration::from_millis(10);

fn time_passes(bed: &Bed, ended: &AtomicBool) {
    while !bed.is_over() && !ended.load(Ordering::Acquire) {
        thread::sleep(PAUSE);
        bed.pause();
    }
}

/// Where a worker works.
#[derive(Clone)]
pub(crate) struct Site {
    bed: Bed,
    name: String,
    /// The batch in hand.
    batch: Arc<AtomicI64>,
}

impl Site {
    fn worker<K: Kind>(&self, door: &Door) -> WorkerBuilder {
        let reader: Reader = match K::GROUP {
            Group::Consumer => Consumer::new("q", "c").into(),
            _ => SubConsumer::new("q", "m", &self.name).dead_interval(DEAD).into(),
        };
        let retries = RetryPolicy::new().attempts(ATTEMPTS).pauses(SECOND, 4 * SECOND);
        let batch = self.batch.clone();
        Worker::builder(door.config(&self.name), reader)
            .options(WorkerOptions::new().retries(retries).poll(2 * PAUSE))
            .on_notice(move |notice| {
                if let Notice::Opened { batch: opened, .. } = notice {
                    batch.store(opened.0, Ordering::Relaxed);
                }
            })
    }

    fn handled(&self, event: &Event) {
        self.bed.handled(&self.name, BatchId(self.batch.load(Ordering::Relaxed)), event);
    }
}

/// Writes before it says what is to become of the event.
fn in_transaction(
    event: &Event,
    transaction: &mut Transaction<'_>,
    site: &Site,
) -> Result<Outcome, Box<dyn std::error::Error + Send + Sync>> {
    site.handled(event);
    let row: [(&(dyn ToSql + Sync), Type); 2] = [(&event.id.0, Type::INT8), (&site.name, Type::TEXT)];
    transaction.execute_typed(SINK, &row)?;
    Ok(outcome(event)?)
}

pub(crate) struct Each;

impl Kind for Each {}

pub(crate) struct Elsewhere;

impl Kind for Elsewhere {
    const PROMISE: Promise = Promise::AtLeastOnce;

    fn run(worker: WorkerBuilder, site: Site) -> Result<WorkerStats> {
        let handler = move |event: Event| {
            site.handled(&event);
            outcome(&event)
        };
        worker.outside().otherwise(handler).run()
    }
}

pub(crate) struct Members;

impl Kind for Members {
    const GROUP: Group = Group::Members;
    const WORKERS: usize = 2;
}
