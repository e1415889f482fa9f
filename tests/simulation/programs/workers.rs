//! Workers, each started again when it ends.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_async::futures::future::{LocalBoxFuture, select};
use pgq_async::pgq_core::batch::Reader;
use pgq_async::pgq_core::worker::{
    Claim, Notice, Outcome, Permanent, RetryPolicy, Undo, WorkerOptions, WorkerStats,
};
use pgq_async::pgq_core::{BatchId, Event, Result};
use pgq_async::tokio_postgres::Config;
use pgq_async::tokio_postgres::types::{ToSql, Type};
use pgq_async::{Consumer, SubConsumer, Worker, WorkerBuilder};
use tokio::time::sleep;

use super::consuming::{After, DEAD, Program, SINK, rest, task};
use crate::bed::Bed;
use crate::check::Promise;
use crate::task::{Group, Verdict};

/// How a worker is set up.
pub(crate) trait Kind: 'static {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 1;

    fn options(options: WorkerOptions) -> WorkerOptions {
        options
    }

    fn run(worker: WorkerBuilder, site: Site) -> Running {
        in_transaction(worker, site)
    }
}

type Running = LocalBoxFuture<'static, Result<WorkerStats>>;

/// The program of such workers.
pub(crate) struct Workers<K>(PhantomData<K>);

impl<K: Kind> Program for Workers<K> {
    const GROUP: Group = K::GROUP;
    const PROMISE: Promise = K::PROMISE;
    const WORKERS: usize = K::WORKERS;
    const IS_SLOW: bool = true;

    async fn work(bed: &Bed, name: String, after: After) {
        while !bed.is_over() {
            let site = Site { bed: bed.clone(), name: name.clone(), batch: Arc::default() };
            let worker = site.worker::<K>(after);
            let stopper = worker.stopper();
            let run = bed.unless_dropped(K::run(worker, site));
            let end = async {
                time_passes(bed).await;
                stopper.stop();
                sleep(PATIENCE).await;
                panic!("{name} does not stop");
            };
            select(pin!(run), pin!(end)).await;
            rest(bed).await;
        }
    }
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(100);

async fn time_passes(bed: &Bed) {
    while !bed.is_over() {
        sleep(SECOND).await;
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
    fn worker<K: Kind>(&self, after: After) -> WorkerBuilder {
        let reader: Reader = match K::GROUP {
            Group::Consumer => Consumer::new("q", "c").into(),
            _ => SubConsumer::new("q", "m", &self.name).dead_interval(DEAD).into(),
        };
        let mut config = Config::new();
        config.user("sim").dbname("sim").application_name(&self.name);
        let permanent = match after {
            After::Reconnect => Permanent::Stop,
            After::Keep => Permanent::Wait,
        };
        let retries = RetryPolicy::new().attempts(ATTEMPTS).pauses(SECOND, 4 * SECOND);
        let options = WorkerOptions::new().permanent(permanent).retries(retries);
        let (bed, batch) = (self.bed.clone(), self.batch.clone());
        Worker::builder(config, reader).options(K::options(options)).over(move || bed.line()).on_notice(
            move |notice| {
                if let Notice::Opened { batch: opened, .. } = notice {
                    batch.store(opened.0, Ordering::Relaxed);
                }
            },
        )
    }

    fn handled(&self, event: &Event) {
        self.bed.handled(&self.name, BatchId(self.batch.load(Ordering::Relaxed)), event);
    }
}

/// More than there are faults and retries in a run.
pub(super) const ATTEMPTS: u32 = 12;

/// What a handler makes of its task, in all the ways that it can say so.
pub(super) fn outcome(event: &Event) -> Result<Outcome, &'static str> {
    match (task(event), event.id.0 % 3) {
        (Verdict::Done, _) => Ok(Outcome::Done),
        (Verdict::Retry(after), 0) => Ok(Outcome::Retry(after)),
        (Verdict::GiveUp, 0) => Ok(Outcome::Dead("hopeless".to_owned())),
        (_, 1) => Err("not this time"),
        _ => resume_unwind(Box::new("a panic")),
    }
}

/// Some events take longer than the time between two heartbeats.
async fn take_time(event: &Event) {
    if event.id.0 % 2 == 0 && event.retry == 0 {
        sleep(DEAD / 2).await;
    }
}

/// Writes before it says what is to become of the event.
fn in_transaction(worker: WorkerBuilder, site: Site) -> Running {
    let handler = worker.otherwise(move |event: Event, transaction| {
        let site = site.clone();
        async move {
            site.handled(&event);
            let row: [(&(dyn ToSql + Sync), Type); 2] = [(&event.id.0, Type::INT8), (&site.name, Type::TEXT)];
            transaction.execute_typed(SINK, &row).await?;
            take_time(&event).await;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(outcome(&event)?)
        }
        .boxed()
    });
    handler.run().boxed_local()
}

fn outside(worker: WorkerBuilder, site: Site) -> Running {
    let handler = worker.outside().otherwise(move |event: Event| {
        let site = site.clone();
        async move {
            take_time(&event).await;
            site.handled(&event);
            outcome(&event)
        }
    });
    handler.run().boxed_local()
}

pub(crate) struct Each;

impl Kind for Each {}

pub(crate) struct UndoBatch;

impl Kind for UndoBatch {
    fn options(options: WorkerOptions) -> WorkerOptions {
        options.undo(Undo::Batch)
    }
}

pub(crate) struct Elsewhere;

impl Kind for Elsewhere {
    const PROMISE: Promise = Promise::AtLeastOnce;

    fn run(worker: WorkerBuilder, site: Site) -> Running {
        outside(worker, site)
    }
}

/// The second one stands by.
pub(crate) struct Two;

impl Kind for Two {
    const WORKERS: usize = 2;
}

pub(crate) struct TwoThatShare;

impl Kind for TwoThatShare {
    const WORKERS: usize = 2;

    fn options(options: WorkerOptions) -> WorkerOptions {
        options.claim(Claim::Share)
    }
}

pub(crate) struct Members;

impl Kind for Members {
    const GROUP: Group = Group::Members;
    const WORKERS: usize = 2;
}

pub(crate) struct MembersKeepingIds;

impl Kind for MembersKeepingIds {
    const GROUP: Group = Group::MembersKeepingIds;
    const WORKERS: usize = 2;
}

pub(crate) struct MembersElsewhere;

impl Kind for MembersElsewhere {
    const GROUP: Group = Group::Members;
    const PROMISE: Promise = Promise::AtLeastOnce;
    const WORKERS: usize = 2;

    fn run(worker: WorkerBuilder, site: Site) -> Running {
        outside(worker, site)
    }
}

pub(crate) struct Sliced;

impl Kind for Sliced {
    const PROMISE: Promise = Promise::InSlices;

    fn options(options: WorkerOptions) -> WorkerOptions {
        options.slice(NonZeroU32::new(2).expect("two"))
    }
}
