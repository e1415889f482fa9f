use std::sync::Arc;

use futures::FutureExt;
use pgq_core::Event;
use pgq_core::batch::Reader;
use pgq_core::worker::{Outcome, WorkerStats};
use pgq_sync::postgres::types::{ToSql, Type};

use super::job::Write;
use super::{BoxError, Driver, Heard, Job, QUEUE, Role, Sink, runtime};
use pgq_async::futures;

/// A worker of either driver, at work.
pub(crate) struct Worker {
    pub(crate) heard: Heard,
    running: Running,
}

enum Running {
    Sync(pgq_sync::Worker),
    Async(pgq_async::Worker),
}

impl Worker {
    pub(crate) fn stats(&self) -> WorkerStats {
        match &self.running {
            Running::Sync(worker) => worker.stats(),
            Running::Async(worker) => worker.stats(),
        }
    }

    /// Stops it after the batch in hand.
    pub(crate) fn stop(self) -> pgq_core::Result<WorkerStats> {
        match self.running {
            Running::Sync(worker) => worker.stop(),
            Running::Async(worker) => runtime().block_on(worker.stop()),
        }
    }

    /// Stops it in the middle of the batch in hand, which stays open.
    pub(crate) fn stop_now(self) -> pgq_core::Result<WorkerStats> {
        match &self.running {
            Running::Sync(worker) => worker.stopper().stop_now(),
            Running::Async(worker) => worker.stopper().stop_now(),
        }
        self.wait()
    }

    /// Has it stop when the process is asked to end.
    #[cfg(feature = "signals")]
    pub(crate) fn stop_on_signals(&self) {
        match &self.running {
            Running::Sync(worker) => worker.stopper().stop_on_signals().unwrap(),
            Running::Async(worker) => {
                let _runtime = runtime().enter();
                worker.stopper().stop_on_signals().unwrap();
            }
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(self) -> pgq_core::Result<WorkerStats> {
        match self.running {
            Running::Sync(worker) => worker.wait(),
            Running::Async(worker) => runtime().block_on(worker.wait()),
        }
    }
}

pub(super) fn start(job: Job) -> Worker {
    let heard = job.heard.clone();
    let running = match job.driver {
        Driver::Sync => Running::Sync(on_a_thread(job)),
        Driver::Async => Running::Async(on_a_task(job)),
    };
    Worker { heard, running }
}

fn on_a_thread(job: Job) -> pgq_sync::Worker {
    let Job { conninfo, role, options, sink, decide, at_once, chunk, hook, heard, .. } = job;
    let reader: Reader = match &role {
        Role::Consumer(name) => {
            let consumer = pgq_sync::Consumer::new(QUEUE, name).chunk(chunk);
            match hook {
                Some(hook) => consumer.with_fault_points(hook).into(),
                None => consumer.into(),
            }
        }
        Role::Member { main, name, dead_interval } => {
            let mut member = pgq_sync::SubConsumer::new(QUEUE, main, name).chunk(chunk);
            if let Some(interval) = dead_interval {
                member = member.dead_interval(*interval);
            }
            match hook {
                Some(hook) => member.with_fault_points(hook).into(),
                None => member.into(),
            }
        }
    };
    let hears = heard.clone();
    let worker = pgq_sync::Worker::builder(conninfo.parse().unwrap(), reader)
        .options(options)
        .on_notice(move |notice| hears.hear(notice));
    let started = match sink {
        Sink::Table => {
            let row = Rows::of(&role, &heard);
            let handler = move |event: Event,
                                transaction: &mut pgq_sync::postgres::Transaction<'_>|
                  -> Result<Outcome, BoxError> {
                row.write(&event, |sql, row| transaction.execute_typed(sql, row))?;
                decide(&event)
            };
            worker.otherwise(handler).spawn()
        }
        Sink::Outside(write) => {
            let handler = move |event: Event| -> Result<Outcome, BoxError> {
                write(&event, heard.batch())?;
                decide(&event)
            };
            worker.outside().concurrency(at_once).otherwise(handler).spawn()
        }
    };
    started.unwrap()
}

fn on_a_task(job: Job) -> pgq_async::Worker {
    let _runtime = runtime().enter();
    let started = match job.sink.clone() {
        Sink::Table => in_transaction(job).spawn(),
        Sink::Outside(write) => outside(job, write).spawn(),
    };
    started.unwrap()
}

pub(super) fn in_transaction(job: Job) -> pgq_async::WorkerBuilder {
    let rows = Arc::new(Rows::of(&job.role, &job.heard));
    let decide = job.decide.clone();
    builder(job).otherwise(move |event: Event, transaction| {
        let (rows, decide) = (rows.clone(), decide.clone());
        async move {
            let row = rows.row(&event)?;
            transaction.execute_typed(&rows.sql, &row.typed()).await?;
            decide(&event)
        }
        .boxed()
    })
}

pub(super) fn outside(job: Job, write: Write) -> pgq_async::WorkerBuilder<pgq_async::Outside> {
    let (at_once, decide, heard) = (job.at_once, job.decide.clone(), job.heard.clone());
    builder(job).outside().concurrency(at_once).otherwise(move |event: Event| {
        let (write, decide, heard) = (write.clone(), decide.clone(), heard.clone());
        async move {
            write(&event, heard.batch())?;
            decide(&event)
        }
    })
}

fn builder(job: Job) -> pgq_async::WorkerBuilder {
    let Job { conninfo, role, options, chunk, hook, heard, .. } = job;
    let reader: Reader = match &role {
        Role::Consumer(name) => {
            let consumer = pgq_async::Consumer::new(QUEUE, name).chunk(chunk);
            match hook {
                Some(hook) => consumer.with_fault_points(hook).into(),
                None => consumer.into(),
            }
        }
        Role::Member { main, name, dead_interval } => {
            let mut member = pgq_async::SubConsumer::new(QUEUE, main, name).chunk(chunk);
            if let Some(interval) = dead_interval {
                member = member.dead_interval(*interval);
            }
            match hook {
                Some(hook) => member.with_fault_points(hook).into(),
                None => member.into(),
            }
        }
    };
    pgq_async::Worker::builder(conninfo.parse().unwrap(), reader)
        .options(options)
        .on_notice(move |notice| heard.hear(notice))
}

/// How an event is written to the table of its consumer.
struct Rows {
    sql: String,
    worker: String,
    heard: Heard,
}

struct Row {
    producer: i32,
    seq: i64,
    event: i64,
    batch: i64,
    worker: String,
}

impl Rows {
    fn of(role: &Role, heard: &Heard) -> Self {
        let sql = format!("INSERT INTO sink_{} VALUES ($1, $2, $3, $4, $5)", role.consumer());
        Self { sql, worker: role.name().to_owned(), heard: heard.clone() }
    }

    fn row(&self, event: &Event) -> Result<Row, BoxError> {
        let (producer, seq) = super::producers::numbers(event)?;
        let (event, batch) = (event.id.0, self.heard.batch().0);
        Ok(Row { producer, seq, event, batch, worker: self.worker.clone() })
    }

    fn write<T, E: Into<BoxError>>(
        &self,
        event: &Event,
        execute: impl FnOnce(&str, &[(&(dyn ToSql + Sync), Type)]) -> Result<T, E>,
    ) -> Result<(), BoxError> {
        let row = self.row(event)?;
        execute(&self.sql, &row.typed()).map(drop).map_err(Into::into)
    }
}

impl Row {
    fn typed(&self) -> [(&(dyn ToSql + Sync), Type); 5] {
        [
            (&self.producer, Type::INT4),
            (&self.seq, Type::INT8),
            (&self.event, Type::INT8),
            (&self.batch, Type::INT8),
            (&self.worker, Type::TEXT),
        ]
    }
}
