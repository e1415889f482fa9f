use std::time::Duration;

use pgq_async::futures::future::join_all;
use pgq_async::pgq_core::{Error, Event};
use pgq_async::tokio_postgres::Client;
use pgq_async::tokio_postgres::types::Type;
use pgq_async::{Batch, Consumer, LoadedBatch, SubConsumer};

use crate::bed::Bed;
use crate::check::Promise;
use crate::task::{Group, Task, Verdict};

/// A program: so many workers.
pub(crate) trait Program {
    const GROUP: Group;
    const PROMISE: Promise;
    const WORKERS: usize = 1;
    /// Whether a run takes long.
    const IS_SLOW: bool = false;

    /// Works until everything is done.
    async fn work(bed: &Bed, name: String, after: After);
}

/// A program whose workers are loops of passes.
pub(crate) trait Passes {
    const GROUP: Group;
    const PROMISE: Promise;
    const WORKERS: usize = 1;

    /// Works on one batch, or on all that are there; `false` where there was none.
    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error>;
}

/// What a worker does with its connection after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Reconnect,
    /// Goes on with it as long as it is open.
    Keep,
}

/// Runs the workers until everything is done.
pub(crate) async fn run<P: Program>(bed: &Bed, after: After) {
    join_all((0..P::WORKERS).map(|worker| P::work(bed, format!("w{worker}"), after))).await;
}

impl<P: Passes> Program for P {
    const GROUP: Group = P::GROUP;
    const PROMISE: Promise = P::PROMISE;
    const WORKERS: usize = P::WORKERS;

    async fn work(bed: &Bed, name: String, after: After) {
        pass_by_pass::<P>(bed, name, after).await;
    }
}

async fn pass_by_pass<P: Passes>(bed: &Bed, name: String, after: After) {
    let mut db = None;
    while !bed.is_over() {
        let Some(client) = &mut db else {
            match bed.connect(&name).await {
                Ok(client) => db = Some(client),
                Err(_) => rest(bed).await,
            }
            continue;
        };
        match bed.unless_dropped(P::pass(client, bed, &name)).await {
            Some(Ok(true)) => {}
            Some(Ok(false)) => rest(bed).await,
            Some(Err(_)) | None => {
                if after == After::Reconnect || client.is_closed() {
                    db = None;
                }
                rest(bed).await;
            }
        }
    }
}

pub(super) async fn rest(bed: &Bed) {
    bed.pause();
    tokio::task::yield_now().await;
}

pub(super) const DEAD: Duration = Duration::from_secs(30);

pub(crate) const SINK: &str = "INSERT INTO sink (event, worker) VALUES ($1, $2)";

pub(super) fn task(event: &Event) -> Verdict {
    Task::of(event.data.as_deref().expect("data")).verdict(event.retry)
}

/// Writes into the sink in the batch's transaction.
async fn transactional(mut batch: Batch<'_>, bed: &Bed, name: &str) -> Result<(), Error> {
    let id = batch.info().id;
    while let Some(event) = batch.next_event().await? {
        match task(&event) {
            Verdict::Retry(after) => batch.retry(&event, after),
            Verdict::GiveUp => batch.dead_letter(&event, "hopeless", "it says so"),
            Verdict::Done => {
                let row: [(&(dyn pgq_async::tokio_postgres::types::ToSql + Sync), Type); 2] =
                    [(&event.id.0, Type::INT8), (&name, Type::TEXT)];
                batch.transaction().execute_typed(SINK, &row).await?;
            }
        }
        bed.handled(name, id, &event);
    }
    batch.finish().await
}

async fn loaded(mut batch: LoadedBatch, db: &mut Client, bed: &Bed, name: &str) -> Result<(), Error> {
    let id = batch.info().id;
    for event in batch.take_events() {
        tokio::task::yield_now().await;
        bed.handled(name, id, &event);
        match task(&event) {
            Verdict::Retry(after) => batch.retry(&event, after),
            Verdict::GiveUp => batch.dead_letter(&event, "hopeless", "it says so"),
            Verdict::Done => {}
        }
    }
    batch.finish(db).await
}

pub(crate) struct Transactional;

impl Passes for Transactional {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match Consumer::new("q", "c").next_batch(db).await? {
            Some(batch) => transactional(batch, bed, name).await.map(|()| true),
            None => Ok(false),
        }
    }
}

pub(crate) struct Loaded;

impl Passes for Loaded {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::AtLeastOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match Consumer::new("q", "c").next_loaded(db).await? {
            Some(batch) => loaded(batch, db, bed, name).await.map(|()| true),
            None => Ok(false),
        }
    }
}

/// Two instances of one consumer, started by mistake.
pub(crate) struct Twice;

impl Passes for Twice {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 2;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        Transactional::pass(db, bed, name).await
    }
}

pub(crate) struct Members;

impl Passes for Members {
    const GROUP: Group = Group::Members;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 2;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match SubConsumer::new("q", "m", name).dead_interval(DEAD).next_batch(db).await? {
            Some(batch) => transactional(batch, bed, name).await.map(|()| true),
            None => Ok(false),
        }
    }
}

pub(crate) struct MembersKeepingIds;

impl Passes for MembersKeepingIds {
    const GROUP: Group = Group::MembersKeepingIds;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 2;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        Members::pass(db, bed, name).await
    }
}

pub(crate) struct LoadedMembers;

impl Passes for LoadedMembers {
    const GROUP: Group = Group::Members;
    const PROMISE: Promise = Promise::AtLeastOnce;
    const WORKERS: usize = 2;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match SubConsumer::new("q", "m", name).dead_interval(DEAD).next_loaded(db).await? {
            Some(batch) => loaded(batch, db, bed, name).await.map(|()| true),
            None => Ok(false),
        }
    }
}

/// Takes the events of all batches from one stream.
pub(crate) struct Streaming;

impl Passes for Streaming {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::AtLeastOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        let consumer = Consumer::new("q", "c");
        let mut events = consumer.next_events(db);
        let mut some = false;
        while let Some(event) = events.next_event().await? {
            some = true;
            bed.handled_in_open_batch(name, &event);
            if let Verdict::Retry(after) = task(&event) {
                events.retry(&event, after)?;
            }
        }
        Ok(some)
    }
}
