use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::worker::{Notice, RetryPolicy, WorkerOptions, WorkerState};
use pgq_core::{DeadLetter, EventId, NewEvent, tick};
use pgq_sync::postgres::types::FromSqlOwned;
use pgq_sync::postgres::{Client, NoTls};
use pgq_sync::{ClientExt, Consumer, DeadLetters, Queue};
pub(crate) use pgq_testkit::until;
use pgq_testkit::{Database, Engine, Server};

use crate::driver::{Driver, Job, Worker};

/// Makes four tests of each case: two drivers on two engines.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        cases!(sync_portable, Sync, Portable: $($case)*);
        cases!(sync_extension, Sync, Extension: $($case)*);
        cases!(async_portable, Async, Portable: $($case)*);
        cases!(async_extension, Async, Extension: $($case)*);
    };
    ($pair:ident, $driver:ident, $engine:ident: $($case:ident)*) => {
        mod $pair {
            $(#[test] fn $case() -> crate::Result {
                crate::bed::on(pgq_testkit::Engine::$engine, crate::driver::Driver::$driver, super::$case)
            })*
        }
    };
}

thread_local! {
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Portable) };
}

/// Runs the case on the engine, unless it is not there or not asked for; then says so.
pub(crate) fn on(engine: Engine, driver: Driver, case: fn(Bed) -> crate::Result) -> crate::Result {
    if let Some(only) = pgq_testkit::engine()?.filter(|only| *only != engine) {
        println!("skipped: PGQ_TEST_ENGINE asks for {only}");
        return Ok(());
    }
    if engine == Engine::Extension && !Server::shared()?.has_extension()? {
        println!("skipped: the server has no pgq extension");
        return Ok(());
    }
    ENGINE.set(engine);
    case(Bed::new(driver)?)
}

/// A database with queue `q`, its consumer `c`, and the table `sink (n, data)`; and what workers told.
pub(crate) struct Bed {
    pub(crate) driver: Driver,
    pub(crate) db: Client,
    pub(crate) database: Database,
    pub(crate) notices: Notices,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Arc<Mutex<Vec<Notice>>>);

impl Bed {
    fn new(driver: Driver) -> crate::Result<Self> {
        let database = Server::shared()?.new_database().engine(ENGINE.get()).create()?;
        let mut db = Client::connect(database.conninfo(), NoTls)?;
        Queue::new("q").create(&mut db)?;
        Consumer::new("q", "c").register(&mut db)?;
        db.batch_execute("CREATE TABLE sink (n bigserial, data text)")?;
        Ok(Self { driver, db, database, notices: Notices::default() })
    }

    /// The name of the module of the case, in every file of cases.
    pub(crate) fn module(&self) -> String {
        format!("{:?}_{:?}", self.driver, ENGINE.get()).to_lowercase()
    }

    pub(crate) fn is_portable(&self) -> bool {
        ENGINE.get() == Engine::Portable
    }

    /// A worker of consumer `c`.
    pub(crate) fn job(&self) -> Job {
        self.job_of(Reader::consumer("q", "c"))
    }

    pub(crate) fn job_of(&self, reader: Reader) -> Job {
        self.job_at(self.database.conninfo(), reader)
    }

    pub(crate) fn job_at(&self, conninfo: &str, reader: Reader) -> Job {
        let notices = self.notices.clone();
        Job::new(self.driver, conninfo, reader)
            .options(options())
            .on_notice(move |notice| notices.0.lock().unwrap().push(notice.clone()))
    }

    /// Inserts events of these types and data, and makes a tick.
    pub(crate) fn produce<'e>(&mut self, events: impl IntoIterator<Item = (&'e str, &'e str)>) {
        let events = events.into_iter().map(|(event_type, data)| NewEvent::new(event_type, data));
        Queue::new("q").insert_events(&mut self.db, events).unwrap();
        self.tick();
    }

    /// Inserts events with these numbers as data, and makes a tick.
    pub(crate) fn numbers(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let events = numbers.into_iter().map(|number| NewEvent::new("number", number.to_string()));
        Queue::new("q").insert_events(&mut self.db, events).unwrap();
        self.tick();
    }

    pub(crate) fn tick(&mut self) {
        self.db.call(tick::force("q")).unwrap();
        self.db.call(tick::queue("q")).unwrap();
    }

    /// Has the events of the retry queue delivered again, now.
    pub(crate) fn redeliver(&mut self) {
        let due = "UPDATE pgq.retry_queue SET ev_retry_after = now() - interval '1 second'; \
                   SELECT pgq.maint_retry_events()";
        self.db.batch_execute(due).unwrap();
        self.tick();
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        self.db.batch_execute(sql).unwrap();
    }

    pub(crate) fn value<T: FromSqlOwned>(&mut self, sql: &str) -> T {
        self.db.query_one(sql, &[]).unwrap().get(0)
    }

    /// What is in the sink, in the order of writing.
    pub(crate) fn sink(&mut self) -> Vec<String> {
        let rows = self.db.query("SELECT data FROM sink ORDER BY n", &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) fn letters(&mut self) -> Vec<DeadLetter> {
        DeadLetters::of("q").all(&mut self.db).map(Result::unwrap).collect()
    }

    /// Those in the retry queue.
    pub(crate) fn retried(&mut self) -> Vec<EventId> {
        let rows = self.db.query("SELECT ev_id FROM pgq.retry_queue ORDER BY ev_id", &[]).unwrap();
        rows.iter().map(|row| EventId(row.get(0))).collect()
    }
}

impl Notices {
    pub(crate) fn all(&self) -> Vec<Notice> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|notice| wanted(notice)).count()
    }
}

/// Those of most cases: looks often, and gives up at the first failure.
pub(crate) fn options() -> WorkerOptions {
    WorkerOptions::new().poll(Duration::from_millis(50)).retries(retries(1))
}

/// So many attempts, with pauses that are short where PgQ does not count them in seconds.
pub(crate) fn retries(attempts: u32) -> RetryPolicy {
    let pause = Duration::from_millis(10);
    RetryPolicy::new().attempts(attempts).pauses(pause, pause)
}

/// Waits until the worker has finished so many batches.
#[track_caller]
pub(crate) fn until_finished(worker: &Worker, batches: u64) {
    until("the batches are finished", || {
        let stats = worker.stats();
        assert!(stats.state != WorkerState::Stopped, "{stats:?}");
        stats.batches >= batches
    });
}

#[track_caller]
pub(crate) fn until_working(worker: &Worker) {
    until("it works", || worker.stats().state == WorkerState::Working);
}
