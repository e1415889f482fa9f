//! What workers do on this driver alone: threads, and what is cancelled on the server. What both drivers do is tested by the root package.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pgq_core::worker::{FailureKind, Notice, RetryPolicy, WorkerOptions, WorkerState};
use pgq_core::{Event, NewEvent, tick};
use pgq_schema::Schema;
use pgq_sync::{Batch, ClientExt, Consumer, Installer, Queue, Worker, WorkerBuilder};
use pgq_testkit::{Database, Server, until};
use postgres::{Client, Config, NoTls, Transaction};

/// A database with queue `q`, its consumer `c`, and a table `sink (id)`.
struct Bed {
    db: Client,
    database: Database,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Bed {
    fn new() -> Self {
        let database = Server::shared().unwrap().database().unwrap();
        let mut db = Client::connect(database.conninfo(), NoTls).unwrap();
        Queue::new("q").create(&mut db).unwrap();
        Consumer::new("q", "c").register(&mut db).unwrap();
        db.batch_execute("CREATE TABLE sink (id bigint)").unwrap();
        Self { db, database, notices: Arc::default() }
    }

    fn config(&self) -> Config {
        self.database.conninfo().parse().unwrap()
    }

    fn worker(&self, options: WorkerOptions) -> WorkerBuilder {
        let notices = Arc::clone(&self.notices);
        Worker::builder(self.config(), Consumer::new("q", "c"))
            .options(options)
            .on_notice(move |notice| notices.lock().unwrap().push(notice.clone()))
    }

    fn produce(&mut self, numbers: std::ops::Range<u32>) {
        let events = numbers.map(|number| NewEvent::new("number", number.to_string()));
        Queue::new("q").insert_events(&mut self.db, events).unwrap();
        self.tick();
    }

    fn tick(&mut self) {
        self.db.call(tick::force("q")).unwrap();
        self.db.call(tick::queue("q")).unwrap();
    }

    fn count(&mut self) -> i64 {
        self.db.query_one("SELECT count(*) FROM sink", &[]).unwrap().get(0)
    }

    fn notice(&self, wanted: impl Fn(&Notice) -> bool) -> Option<Notice> {
        self.notices.lock().unwrap().iter().find(|notice| wanted(notice)).cloned()
    }
}

fn sink(event: &Event, transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
    transaction.execute("INSERT INTO sink VALUES ($1)", &[&event.id.0]).map(drop)
}

fn never_return() {
    loop {
        thread::park();
    }
}

#[test]
fn a_handler_that_waits_in_the_database_is_interrupted() {
    let mut bed = Bed::new();
    let limit = Duration::from_millis(200);
    let options = WorkerOptions::new().handler_limit(limit);
    let worker = bed
        .worker(options)
        .on("number", |event: Event, tx| {
            sink(&event, tx)?;
            if event.data.as_deref() == Some("7") {
                tx.batch_execute("SELECT pg_sleep(3600)")?;
            }
            Ok::<_, postgres::Error>(())
        })
        .spawn()
        .unwrap();
    bed.produce(0..20);
    until("the other events are handled", || bed.count() == 19);
    let failed = |notice: &Notice| matches!(notice, Notice::Retried { kind: FailureKind::Timeout, .. });
    until("the failure is told", || bed.notice(failed).is_some());
    worker.stop().unwrap();
}

#[test]
fn a_worker_that_is_to_stop_at_once_cancels_what_runs() {
    let mut bed = Bed::new();
    let began = Arc::new(AtomicU32::new(0));
    let begun = Arc::clone(&began);
    let worker = bed
        .worker(WorkerOptions::new().grace(Duration::from_millis(300)))
        .otherwise(move |event: Event, tx| {
            sink(&event, tx)?;
            begun.fetch_add(1, Ordering::SeqCst);
            tx.batch_execute("SELECT pg_sleep(3600)")
        })
        .spawn()
        .unwrap();
    bed.produce(0..3);
    until("a handler works", || began.load(Ordering::SeqCst) == 1);
    let stats = worker.stop().unwrap();
    assert_eq!((stats.batches, bed.count()), (0, 0));
    assert!(bed.notice(|notice| *notice == Notice::GaveUp).is_some());
}

#[test]
fn a_worker_that_is_dropped_leaves_a_handler_that_never_returns() {
    let mut bed = Bed::new();
    let began = Arc::new(AtomicU32::new(0));
    let begun = Arc::clone(&began);
    let worker = bed
        .worker(WorkerOptions::new().grace(Duration::from_millis(10)))
        .otherwise(move |_: Event, _| {
            begun.fetch_add(1, Ordering::SeqCst);
            never_return();
        })
        .spawn()
        .unwrap();
    bed.produce(0..1);
    until("a handler works", || began.load(Ordering::SeqCst) == 1);
    drop(worker);
}

#[test]
fn handlers_outside_run_side_by_side_and_one_that_never_returns_is_left() {
    let mut bed = Bed::new();
    let options = WorkerOptions::new()
        .handler_limit(Duration::from_millis(300))
        .retries(RetryPolicy::new().attempts(1));
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let worker = bed
        .worker(options)
        .outside()
        .concurrency(4)
        .on("number", move |number: u32| {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(running, Ordering::SeqCst);
            until("all lanes are used", || peak.load(Ordering::SeqCst) == 4);
            if number == 7 {
                never_return();
            }
            now.fetch_sub(1, Ordering::SeqCst);
        })
        .spawn()
        .unwrap();
    bed.produce(0..40);
    until("the batch is finished", || worker.stats().batches == 1);
    let stats = worker.stop().unwrap();
    assert_eq!((stats.events.done, stats.events.dead, stats.panics), (39, 1, 0));
    assert_eq!((most.load(Ordering::SeqCst), running.load(Ordering::SeqCst)), (4, 1));
}

#[test]
fn finishes_over_another_connection_what_was_done_outside() {
    let mut bed = Bed::new();
    let (config, calls) = (bed.config(), Arc::new(AtomicU32::new(0)));
    let called = Arc::clone(&calls);
    let end = move |_: Event| {
        called.fetch_add(1, Ordering::SeqCst);
        config.connect(NoTls)?.batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'pgq worker'",
        )
    };
    let worker = bed.worker(WorkerOptions::new()).outside().otherwise(end).spawn().unwrap();
    bed.produce(0..2);
    until("the batch is finished", || worker.stats().batches == 1);
    let stats = worker.stop().unwrap();
    assert_eq!((stats.events.done, calls.load(Ordering::SeqCst)), (2, 2));
}

#[test]
fn a_deferred_constraint_fails_its_event_alone_in_slices_too() {
    let mut bed = Bed::new();
    Installer::new().only(Schema::ALL).install(&mut bed.db).unwrap();
    bed.db.batch_execute("ALTER TABLE sink ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED").unwrap();
    let options = WorkerOptions::new().slice(NonZeroU32::new(2).unwrap());
    let worker = bed
        .worker(options)
        .on("number", |number: i64, tx| {
            tx.execute("INSERT INTO sink VALUES ($1::bigint / 2)", &[&number]).map(drop)
        })
        .spawn()
        .unwrap();
    bed.produce(0..5);
    until("the batch is finished", || worker.stats().batches == 1);
    assert_eq!(bed.count(), 3);
    assert_eq!(worker.stop().unwrap().events.retried, 2);
}

#[test]
fn handlers_of_any_kind_are_set_after_outside() {
    let bed = Bed::new();
    let builder = bed.worker(WorkerOptions::new()).otherwise(|_: Event, _| ());
    let builder = builder.on_batch(|_: &mut Batch<'_>| Ok::<(), pgq_core::Error>(()));
    let refused = builder.outside().otherwise(|_: Event| ()).spawn();
    assert!(matches!(refused, Err(pgq_core::Error::InvalidValue { .. })), "{refused:?}");
}

#[test]
fn what_the_server_does_not_answer_in_time_is_cancelled() {
    let mut bed = Bed::new();
    let options = WorkerOptions::new().answer_limit(Duration::from_millis(200));
    let worker = bed.worker(options).otherwise(|event: Event, tx| sink(&event, tx)).spawn().unwrap();
    let mut other = Client::connect(bed.database.conninfo(), NoTls).unwrap();
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE pgq.subscription IN ACCESS EXCLUSIVE MODE").unwrap();
    until("it is cancelled, twice", || worker.stats().rolled_back >= 2);
    lock.rollback().unwrap();
    bed.produce(0..3);
    until("the events are handled", || bed.count() == 3);
    assert_eq!(worker.stop().unwrap().connections, 1);
}

#[test]
fn runs_on_the_thread_that_calls_it() {
    let mut bed = Bed::new();
    bed.produce(0..3);
    let (this, ran) = (thread::current().id(), Arc::new(AtomicU32::new(0)));
    let runs = Arc::clone(&ran);
    let builder = bed.worker(WorkerOptions::new());
    let stopper = builder.stopper();
    let builder = builder.otherwise(move |_: Event, _| {
        assert_eq!(thread::current().id(), this);
        if runs.fetch_add(1, Ordering::SeqCst) == 2 {
            stopper.stop();
        }
    });
    let stats = builder.run().unwrap();
    assert_eq!((stats.state, stats.events.done), (WorkerState::Stopped, 3));
}

#[test]
fn a_callback_that_panics_ends_it_with_an_error() {
    let bed = Bed::new();
    let worker = Worker::builder(bed.config(), Consumer::new("q", "c"))
        .on_notice(|_| panic!("no notices, please"))
        .otherwise(|_: Event, _| ());
    let error = worker.spawn().unwrap().wait().unwrap_err();
    assert_eq!(error.to_string(), "the worker ended by itself: no notices, please");
}

#[cfg(feature = "signals")]
#[test]
fn stops_on_signals() {
    let mut bed = Bed::new();
    let began = Arc::new(AtomicU32::new(0));
    let begun = Arc::clone(&began);
    let worker = bed
        .worker(WorkerOptions::new().grace(Duration::from_secs(3600)))
        .otherwise(move |event: Event, tx| {
            sink(&event, tx)?;
            begun.fetch_add(1, Ordering::SeqCst);
            tx.batch_execute("SELECT pg_sleep(3600)")
        })
        .spawn()
        .unwrap();
    worker.stopper().stop_on_signals().unwrap();
    bed.produce(0..3);
    until("a handler works", || began.load(Ordering::SeqCst) == 1);
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
    until("it is to stop", || worker.stopper().is_stopping());
    assert_eq!(worker.stats().batches, 0);
    signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
    until("it has ended", || worker.stats().state == WorkerState::Stopped);
    let stats = worker.wait().unwrap();
    assert_eq!((stats.state, stats.batches, bed.count()), (WorkerState::Stopped, 0, 0));
}
