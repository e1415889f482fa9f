//! What the scenarios share: a server of their own, producers that know what they committed, workers of either driver, and the
//! comparison of what was committed with what arrived.

pub(crate) mod child;
mod driver;
mod figures;
mod heard;
mod job;
mod line;
mod outages;
mod patience;
mod producers;
mod progress;
mod run;
mod tickers;
mod truth;
mod worker;

use std::thread;
use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_sync::Queue;
use pgq_sync::postgres::types::ToSql;
use pgq_sync::postgres::{Client, NoTls, Row};
use pgq_testkit::{Database, Server, until_within};

pub(crate) use self::driver::{Driver, runtime};
pub(crate) use self::figures::{Figures, Spread};
pub(crate) use self::heard::Heard;
pub(crate) use self::job::{BoxError, Job, Role, Sink, Write};
pub(crate) use self::outages::{Fault, Outages};
pub(crate) use self::patience::{patience, patient};
pub(crate) use self::producers::Producers;
pub(crate) use self::progress::Progress;
pub(crate) use self::run::{Run, run};
pub(crate) use self::tickers::{Beat, Ticker};
pub(crate) use self::truth::Truth;
pub(crate) use self::worker::Worker;

/// Makes four tests of each scenario: two drivers on two engines.
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
                crate::bed::run(stringify!($case), crate::bed::Driver::$driver, pgq_testkit::Engine::$engine, super::$case)
            })*
        }
    };
}

/// The queue of all scenarios.
pub(crate) const QUEUE: &str = "q";

/// A server with a database that has queue [`QUEUE`] and the table `sent (producer, seq)`, which says what was committed.
pub(crate) struct Bed {
    pub(crate) run: Run,
    // Before its server.
    pub(crate) database: Database,
    pub(crate) server: Server,
}

impl Bed {
    pub(crate) fn new(run: Run) -> crate::Result<Self> {
        Self::on(run, Server::start()?)
    }

    /// On a server with other settings.
    pub(crate) fn on(run: Run, server: Server) -> crate::Result<Self> {
        let database = server.new_database().engine(run.engine).create()?;
        let bed = Self { run, database, server };
        let mut db = bed.connect();
        let config = QueueConfig::new()
            .ticker_max_lag(Duration::from_millis(100))
            .ticker_idle_period(Duration::from_secs(1));
        Queue::new(QUEUE).create(&mut db)?;
        Queue::new(QUEUE).set_config(&mut db, &config)?;
        db.batch_execute("CREATE TABLE sent (producer integer, seq bigint, PRIMARY KEY (producer, seq))")?;
        Ok(bed)
    }

    /// Where the database is, for a client that calls itself so.
    pub(crate) fn conninfo(&self, application: &str) -> String {
        named(self.database.conninfo(), application)
    }

    /// A connection for the looks of the test itself.
    pub(crate) fn connect(&self) -> Client {
        let mut client = None;
        until_within(Duration::from_secs(60), "the server takes the test's connection", || {
            client = Client::connect(self.database.conninfo(), NoTls).ok();
            client.is_some()
        });
        client.unwrap()
    }

    /// Registers the consumer, or the subconsumer, at the newest tick, and makes the table that its worker writes to:
    /// `sink_<name of the consumer> (producer, seq, event_id, batch, worker)`.
    pub(crate) fn register(&self, role: &Role) -> crate::Result {
        let mut db = self.connect();
        role.register(&mut db)?;
        db.batch_execute(&truth::create_sink(role.consumer()))?;
        Ok(())
    }

    /// A worker of the driver of this run, on this database.
    pub(crate) fn job(&self, role: Role) -> Job {
        Job::new(self.run.driver, self.database.conninfo(), role)
    }

    pub(crate) fn producers(&self, count: u32, events: u64) -> Producers {
        Producers::start(&self.run, &self.conninfo("producer"), count, events)
    }

    /// Two that go on until they are stopped, at a pace that workers keep up with.
    pub(crate) fn steady_producers(&self) -> Producers {
        Producers::steady(&self.run, &self.conninfo("producer"), 2, Duration::from_millis(150))
    }

    /// So many tickers, of which one leads.
    pub(crate) fn tickers(&self, count: usize) -> Vec<Ticker> {
        (0..count).map(|_| Ticker::start(self.run.driver, &self.conninfo("ticker"))).collect()
    }

    /// Compares what the worker of that consumer wrote with what was committed.
    pub(crate) fn truth(&self, consumer: &str) -> Truth {
        Truth::of(&mut self.connect(), consumer)
    }

    /// How many ticks came in another order than their snapshots: each of them delivers events twice.
    pub(crate) fn inversions(&self) -> i64 {
        truth::inversions(&mut self.connect())
    }

    /// Waits until all that was committed before this call is cut into batches, and all consumers have finished those. Takes tickers.
    /// Tells how long that took.
    pub(crate) fn wait_for_top(&self, limit: Duration) -> Duration {
        self.wait_for_top_on(&mut self.connect(), limit)
    }

    /// Like [`wait_for_top`](Self::wait_for_top), on the server that has taken the place of the first one.
    pub(crate) fn wait_for_top_on(&self, db: &mut Client, limit: Duration) -> Duration {
        const TOP: &str = "SELECT NOT EXISTS (SELECT FROM pgq.subscription WHERE sub_batch IS NOT NULL OR sub_last_tick < $1)";
        let (limit, start) = (patient(limit), Instant::now());
        let newest = |db: &mut Client| -> i64 { value(db, "SELECT max(tick_id) FROM pgq.tick", &[]) };
        // The next one may have looked before this call.
        let wanted = newest(db) + 2;
        until_within(limit, "there are new ticks", || {
            db.query("SELECT pgq.force_tick($1)", &[&QUEUE]).unwrap();
            newest(db) >= wanted
        });
        while !value::<bool>(db, TOP, &[&wanted]) {
            assert!(
                start.elapsed() < limit,
                "after {limit:?} not all consumers are at the top: {}",
                positions(db)
            );
            thread::sleep(Duration::from_millis(1));
        }
        start.elapsed()
    }

    /// About how many events wait for the consumer that is the farthest behind.
    pub(crate) fn behind(&self) -> i64 {
        const BEHIND: &str = "SELECT coalesce(max(pending_events), 0)::bigint FROM pgq.get_consumer_info($1)";
        value(&mut self.connect(), BEHIND, &[&QUEUE])
    }
}

/// Where the consumers stand, in words.
fn positions(db: &mut Client) -> String {
    const POSITIONS: &str = "SELECT format('%s at tick %s, in batch %s, %s pending, seen %s ago', consumer_name, last_tick, \
         current_batch, pending_events, last_seen) FROM pgq.get_consumer_info($1)";
    let positions = db.query(POSITIONS, &[&QUEUE]).unwrap();
    positions.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; ")
}

/// The only value that the query gives.
pub(crate) fn value<T>(db: &mut Client, query: &str, params: &[&(dyn ToSql + Sync)]) -> T
where
    T: for<'a> pgq_sync::postgres::types::FromSql<'a>,
{
    let row: Row = db.query_one(query, params).unwrap();
    row.get(0)
}

/// The same database, for a client that calls itself so.
pub(crate) fn named(conninfo: &str, application: &str) -> String {
    format!("{conninfo} application_name='{application}'")
}
