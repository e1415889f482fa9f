//! The twins of [`consuming`](super::consuming) on `pgq-sync`.

use std::thread;
use std::time::Duration;

use pgq_sync::pgq_core::{Error, Event};
use pgq_sync::postgres::Client;
use pgq_sync::postgres::types::{ToSql, Type};
use pgq_sync::{Batch, Consumer, LoadedBatch, SubConsumer};

use super::consuming::{After, SINK};
use crate::bed::Bed;
use crate::check::Promise;
use crate::socket::Door;
use crate::task::{Group, Task, Verdict};

/// A program: so many workers, each on a thread.
pub(crate) trait Program {
    const GROUP: Group;
    const PROMISE: Promise;
    const WORKERS: usize = 1;
    /// Whether a run takes long.
    const IS_SLOW: bool = false;

    /// Works until everything is done.
    fn work(bed: &Bed, door: &Door, name: &str, after: After);
}

/// A program whose workers are loops of passes.
pub(crate) trait Passes {
    const GROUP: Group;
    const PROMISE: Promise;
    const WORKERS: usize = 1;

    /// Works on one batch, or on all that are there; `false` where there was none.
    fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error>;
}

/// Runs the workers until everything is done.
pub(crate) fn run<P: Program>(bed: &Bed, door: &Door, after: After) {
    door.leads_to(bed);
    thread::scope(|scope| {
        for worker in 1..P::WORKERS {
            scope.spawn(move || P::work(bed, door, &format!("w{worker}"), after));
        }
        P::work(bed, door, "w0", after);
    });
}

impl<P: Passes> Program for P {
    const GROUP: Group = P::GROUP;
    const PROMISE: Promise = P::PROMISE;
    const WORKERS: usize = P::WORKERS;

    fn work(bed: &Bed, door: &Door, name: &str, after: After) {
        pass_by_pass::<P>(bed, door, name, after);
    }
}

fn pass_by_pass<P: Passes>(bed: &Bed, door: &Door, name: &str, after: After) {
    let mut db = None;
    while !bed.is_over() {
        let Some(client) = &mut db else {
            match door.connect(name) {
                Ok(client) => db = Some(client),
                Err(_) => bed.pause(),
            }
            continue;
        };
        match P::pass(client, bed, name) {
            Ok(true) => {}
            Ok(false) => bed.pause(),
            Err(_) => {
                if after == After::Reconnect || client.is_closed() {
                    db = None;
                    bed.wait_until_gone(name);
                }
                bed.pause();
            }
        }
    }
}

const DEAD: Duration = Duration::from_secs(30);

fn task(event: &Event) -> Verdict {
    Task::of(event.data.as_deref().expect("data")).verdict(event.retry)
}

fn transactional(mut batch: Batch<'_>, bed: &Bed, name: &str) -> Result<(), Error> {
    let id = batch.info().id;
    while let Some(event) = batch.next_event()? {
        match task(&event) {
            Verdict::Retry(after) => batch.retry(&event, after),
            Verdict::GiveUp => batch.dead_letter(&event, "hopeless", "it says so"),
            Verdict::Done => {
                let row: [(&(dyn ToSql + Sync), Type); 2] = [(&event.id.0, Type::INT8), (&name, Type::TEXT)];
                batch.transaction().execute_typed(SINK, &row)?;
            }
        }
        bed.handled(name, id, &event);
    }
    batch.finish()
}

fn loaded(mut batch: LoadedBatch, db: &mut Client, bed: &Bed, name: &str) -> Result<(), Error> {
    let id = batch.info().id;
    for event in batch.take_events() {
        bed.handled(name, id, &event);
        match task(&event) {
            Verdict::Retry(after) => batch.retry(&event, after),
            Verdict::GiveUp => batch.dead_letter(&event, "hopeless", "it says so"),
            Verdict::Done => {}
        }
    }
    batch.finish(db)
}

pub(crate) struct Transactional;

impl Passes for Transactional {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;

    fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match Consumer::new("q", "c").next_batch(db)? {
            Some(batch) => transactional(batch, bed, name).map(|()| true),
            None => Ok(false),
        }
    }
}

pub(crate) struct Loaded;

impl Passes for Loaded {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::AtLeastOnce;

    fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match Consumer::new("q", "c").next_loaded(db)? {
            Some(batch) => loaded(batch, db, bed, name).map(|()| true),
            None => Ok(false),
        }
    }
}

pub(crate) struct Streaming;

impl Passes for Streaming {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::AtLeastOnce;

    fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        let mut events = Consumer::new("q", "c").next_events(db);
        let mut some = false;
        while let Some(event) = events.next() {
            let event = event?;
            some = true;
            bed.handled_in_open_batch(name, &event);
            if let Verdict::Retry(after) = task(&event) {
                events.retry(&event, after)?;
            }
        }
        Ok(some)
    }
}

pub(crate) struct Members;

impl Passes for Members {
    const GROUP: Group = Group::Members;
    const PROMISE: Promise = Promise::ExactlyOnce;
    const WORKERS: usize = 2;

    fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        match SubConsumer::new("q", "m", name).dead_interval(DEAD).next_batch(db)? {
            Some(batch) => transactional(batch, bed, name).map(|()| true),
            None => Ok(false),
        }
    }
}
