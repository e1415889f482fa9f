use std::error::Error as _;
use std::time::Duration;

use pgq_core::{Error, EventId, TickId, tick};
use pgq_testkit::Database;
pub(crate) use pgq_testkit::until;

use crate::driver::{Batch, Client, Consumer, Driver, Session, SubConsumer};
use crate::engine;

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
                crate::engine::on(pgq_testkit::Engine::$engine, super::$case::<crate::driver::$driver>)
            })*
        }
    };
}

/// Checks that a result is this error, with this SQLSTATE, and that its text has these parts.
macro_rules! assert_error {
    ($result:expr, $pattern:pat $(if $guard:expr)?, $state:expr, $parts:expr) => {
        let error = $result.err().expect("this should have failed");
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
        crate::bed::check(&error, $state, &$parts);
    };
}

/// Who takes over a batch: pgq_coop of this project gives it a new id, PgQ's own keeps the id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Coop {
    NewId,
    SameId,
}

impl Coop {
    pub(crate) const BOTH: [Self; 2] = [Self::NewId, Self::SameId];
}

/// A database with queue `q` and its consumer `c`, and a connection to it.
pub(crate) struct Bed<D: Driver> {
    pub(crate) db: D::Client,
    pub(crate) database: Database,
}

impl<D: Driver> Bed<D> {
    pub(crate) fn new() -> crate::Result<Self> {
        Self::on(engine::database()?)
    }

    pub(crate) fn on(database: Database) -> crate::Result<Self> {
        let mut db = D::Client::connect(database.conninfo())?;
        db.create("q")?;
        D::Consumer::new("q", "c").register(&mut db)?;
        Ok(Self { db, database })
    }

    /// With cooperative consumers, and a table `sink (id, worker)`.
    pub(crate) fn cooperative(coop: Coop) -> crate::Result<Self> {
        let mut bed = Self::new()?;
        if let Coop::SameId = coop {
            bed.db.batch_execute("DROP SCHEMA pgq_coop CASCADE")?;
            bed.db.batch_execute(include_str!("sql/coop_keeping_ids.sql"))?;
        }
        bed.db.batch_execute("CREATE TABLE sink (id bigint, worker text)")?;
        Ok(bed)
    }

    /// A member of the group of consumer `m`, registered.
    pub(crate) fn member(&mut self, name: &str) -> D::SubConsumer {
        let member = D::SubConsumer::new("q", "m", name);
        member.register(&mut self.db).unwrap();
        member
    }

    /// Has a member of the group been silent for this much longer.
    pub(crate) fn age(&mut self, name: &str, by: Duration) {
        let age = format!(
            "UPDATE pgq.subscription SET sub_active = sub_active - make_interval(secs => {}) FROM pgq.consumer \
             WHERE co_id = sub_consumer AND co_name = 'm.{name}'",
            by.as_secs()
        );
        self.db.batch_execute(&age).unwrap();
    }

    pub(crate) fn connect(&self) -> D::Client {
        D::Client::connect(self.database.conninfo()).unwrap()
    }

    pub(crate) fn consumer(&self) -> D::Consumer {
        D::Consumer::new("q", "c")
    }

    /// Inserts events with these numbers as data, in a transaction, and makes a tick.
    pub(crate) fn produce(&mut self, numbers: impl IntoIterator<Item = u32>) {
        insert::<D>(&mut self.db, numbers);
        tick::<D>(&mut self.db);
    }

    /// Reads and finishes everything that is there for the consumer.
    pub(crate) fn drain(&mut self) -> Vec<u32> {
        drain::<D>(&mut self.db, &D::Consumer::new("q", "c"))
    }
}

pub(crate) fn insert<D: Driver>(db: &mut impl Session<D>, numbers: impl IntoIterator<Item = u32>) {
    let events = numbers.into_iter().map(|number| pgq_core::NewEvent::new("number", number.to_string()));
    db.insert_events("q", events).unwrap();
}

/// Makes a tick on queue `q`.
pub(crate) fn tick<D: Driver>(db: &mut D::Client) -> TickId {
    tick_on::<D>(db, "q")
}

pub(crate) fn tick_on<D: Driver>(db: &mut D::Client, queue: &str) -> TickId {
    db.call(tick::force(queue)).unwrap();
    db.call(tick::queue(queue)).unwrap().expect("a forced tick is due")
}

pub(crate) fn drain<D: Driver>(db: &mut D::Client, consumer: &D::Consumer) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(mut batch) = consumer.next_batch(db).unwrap() {
        numbers.extend(read::<D>(&mut batch));
        batch.finish().unwrap();
    }
    numbers
}

/// The rest of a batch.
pub(crate) fn read<'c, D: Driver>(batch: &mut D::Batch<'c>) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(event) = batch.next_event().unwrap() {
        numbers.push(number(&event));
    }
    numbers
}

pub(crate) fn number(event: &pgq_core::Event) -> u32 {
    event.data.as_deref().unwrap().parse().unwrap()
}

pub(crate) fn ids(events: &[pgq_core::Event]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

/// Kills the session of this backend from another one, and returns when it is gone.
pub(crate) fn terminate<D: Driver>(db: &mut D::Client, pid: i32) {
    assert!(db.value::<bool>(&format!("SELECT pg_terminate_backend({pid}, 10000)")));
}

/// Waits until `count` sessions of this database wait for a lock.
pub(crate) fn wait_for_waiters<D: Driver>(db: &mut D::Client, count: i64) {
    let waiters = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until("the sessions wait for a lock", || db.value::<i64>(waiters) >= count);
}

/// What holds for every error: it says something of its own, names what it is about, and leaves the cause to `source()`.
pub(crate) fn check(error: &Error, state: &str, parts: &[&str]) {
    let text = error.to_string();
    assert!(!text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert_eq!(error.sqlstate().map_or("", |state| state.code()), state, "{error:?}");
    let mut cause = error.source();
    while let Some(source) = cause {
        assert!(!text.contains(&source.to_string()), "{text:?} repeats {source}");
        cause = source.source();
    }
}

/// Whether the consumer stands on a tick at which every transaction from before the last rotation was over, also those of other tests.
pub(crate) fn is_past_rotation<D: Driver>(db: &mut D::Client) -> bool {
    db.value(
        "SELECT txid_snapshot_xmin(tick_snapshot) > queue_switch_step2 FROM pgq.queue JOIN pgq.tick \
         ON tick_queue = queue_id JOIN pgq.subscription ON sub_last_tick = tick_id AND sub_queue = queue_id",
    )
}

/// Makes the queue's next rotation possible.
pub(crate) fn ready_to_rotate<D: Driver>(bed: &mut Bed<D>) {
    let config = pgq_core::QueueConfig::new().rotation_period(Duration::ZERO);
    bed.db.set_config("q", &config).unwrap();
    until("the consumer is past the last rotation", || {
        tick::<D>(&mut bed.db);
        assert!(bed.drain().is_empty());
        is_past_rotation::<D>(&mut bed.db)
    });
}

pub(crate) fn rotate<D: Driver>(db: &mut D::Client) {
    let before = db.info("q").unwrap().unwrap().current_table;
    db.call(pgq_core::maintenance::rotate_step1("q")).unwrap();
    db.call(pgq_core::maintenance::rotate_step2()).unwrap();
    assert_ne!(db.info("q").unwrap().unwrap().current_table, before);
}
