use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgq_core::{QueueConfig, Result};
use pgq_sync::postgres::{Client, NoTls, Row};
use pgq_sync::{Consumer, Queue};
pub(crate) use pgq_testkit::until;
use pgq_testkit::{Database, Server};
use pgq_ticker::{State, Stats, aio, sync};
use tokio::runtime::Runtime;

/// Makes two tests of each case: `on_a_thread::case` and `on_a_task::case`.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod on_a_thread {
            $(#[test] fn $case() { super::$case::<pgq_ticker::sync::Ticker>() })*
        }

        mod on_a_task {
            $(#[test] fn $case() { super::$case::<pgq_ticker::aio::Ticker>() })*
        }
    };
}

/// One of the two. The items have the names that they have there.
pub(crate) trait Ticker: Sized + Send + Sync + 'static {
    fn spawn(conninfo: &str, options: Options) -> Self;
    fn tick_now(&self, queue: &str) -> Result<()>;
    fn stats(&self) -> Stats;
    fn stop(self) -> Stats;

    fn leads(&self) -> bool {
        self.stats().state == State::Leading
    }
}

/// What the builders take.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) tick: Duration,
    pub(crate) retry: Duration,
    pub(crate) maintenance: Duration,
    pub(crate) answer: Duration,
}

impl Options {
    /// Ticks fast and does nothing else again.
    pub(crate) fn ticks() -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            tick: Duration::from_millis(10),
            retry: hour,
            maintenance: hour,
            answer: Duration::from_secs(60),
        }
    }

    /// Does everything fast.
    pub(crate) fn all() -> Self {
        let soon = Duration::from_millis(50);
        Self { tick: soon, retry: soon, maintenance: soon, ..Self::ticks() }
    }
}

impl Ticker for sync::Ticker {
    fn spawn(conninfo: &str, options: Options) -> Self {
        Self::builder(conninfo.parse().unwrap())
            .tick_period(options.tick)
            .retry_period(options.retry)
            .maintenance_period(options.maintenance)
            .answer_limit(options.answer)
            .spawn()
            .unwrap()
    }

    fn tick_now(&self, queue: &str) -> Result<()> {
        self.tick_now(queue)
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn stop(self) -> Stats {
        self.stop()
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

impl Ticker for aio::Ticker {
    fn spawn(conninfo: &str, options: Options) -> Self {
        let _runtime = RUNTIME.enter();
        Self::builder(conninfo.parse().unwrap())
            .tick_period(options.tick)
            .retry_period(options.retry)
            .maintenance_period(options.maintenance)
            .answer_limit(options.answer)
            .spawn()
    }

    fn tick_now(&self, queue: &str) -> Result<()> {
        RUNTIME.block_on(self.tick_now(queue))
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn stop(self) -> Stats {
        RUNTIME.block_on(self.stop())
    }
}

/// A database and a connection to it, on which the tests look at what the ticker did.
pub(crate) struct Bed {
    pub(crate) db: Client,
    pub(crate) database: Database,
}

impl Bed {
    /// With a queue and its consumer `c`.
    pub(crate) fn new(queue: &str) -> Self {
        let mut bed = Self::on(Server::shared().unwrap().database().unwrap());
        bed.create(queue);
        bed
    }

    pub(crate) fn on(database: Database) -> Self {
        Self { db: connect(database.conninfo()), database }
    }

    pub(crate) fn create(&mut self, queue: &str) {
        Queue::new(queue).create(&mut self.db).unwrap();
        Consumer::new(queue, "c").register(&mut self.db).unwrap();
    }

    pub(crate) fn spawn<T: Ticker>(&self, options: Options) -> T {
        T::spawn(self.database.conninfo(), options)
    }

    pub(crate) fn connect(&self) -> Client {
        connect(self.database.conninfo())
    }

    pub(crate) fn config(&mut self, queue: &str, config: &QueueConfig) {
        Queue::new(queue).set_config(&mut self.db, config).unwrap();
    }

    /// The queue gets a tick whenever a ticker looks.
    pub(crate) fn always_due(&mut self, queue: &str) {
        let zero = Duration::ZERO;
        self.config(queue, &QueueConfig::new().ticker_max_lag(zero).ticker_idle_period(zero));
    }

    /// The queue gets no tick unless it is forced.
    pub(crate) fn never_due(&mut self, queue: &str) {
        let hour = Duration::from_secs(3_600);
        self.config(queue, &QueueConfig::new().ticker_max_lag(hour).ticker_idle_period(hour));
        self.execute("INSERT INTO pgq.tick (tick_queue, tick_id, tick_event_seq) SELECT queue_id, nextval(queue_tick_seq), 1 \
             FROM pgq.queue WHERE NOT queue_external_ticker");
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        self.db.batch_execute(sql).unwrap();
    }

    pub(crate) fn count(&mut self, sql: &str) -> i64 {
        self.rows(sql)[0].get(0)
    }

    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.db.query(sql, &[]).unwrap()
    }

    pub(crate) fn ticks(&mut self, queue: &str) -> i64 {
        let ticks = "SELECT last_tick_id FROM pgq.get_queue_info($1)";
        self.db.query_one(ticks, &[&queue]).unwrap().get(0)
    }

    pub(crate) fn insert(&mut self, queue: &str, data: &str) {
        Queue::new(queue).insert_event(&mut self.db, "test", data).unwrap();
    }

    pub(crate) fn drain(&mut self, queue: &str) -> Vec<String> {
        drain(&mut self.db, queue, "c")
    }

    /// Waits until the queue has been ticked again.
    pub(crate) fn is_ticked(&mut self, queue: &str) {
        let before = self.ticks(queue);
        until("the queue is ticked", || self.ticks(queue) > before);
    }

    pub(crate) fn inversions(&mut self) -> i64 {
        inversions(&mut self.db)
    }
}

/// How many ticks have a snapshot that is older than that of the tick before.
pub(crate) fn inversions(db: &mut Client) -> i64 {
    let sql = "SELECT count(*) FROM (SELECT tick_snapshot AS this, lag(tick_snapshot) OVER (PARTITION BY tick_queue \
         ORDER BY tick_id) AS before FROM pgq.tick) AS ticks WHERE txid_snapshot_xmin(this) < txid_snapshot_xmin(before) \
         OR txid_snapshot_xmax(this) < txid_snapshot_xmax(before)";
    db.query_one(sql, &[]).unwrap().get(0)
}

pub(crate) fn connect(conninfo: &str) -> Client {
    Client::connect(conninfo, NoTls).unwrap()
}

/// Reads and finishes everything that is there for the consumer.
pub(crate) fn drain(db: &mut Client, queue: &str, consumer: &str) -> Vec<String> {
    let consumer = Consumer::new(queue, consumer);
    let mut events = Vec::new();
    while let Some(mut batch) = consumer.next_batch(db).unwrap() {
        while let Some(event) = batch.next_event().unwrap() {
            events.push(event.data.unwrap_or_default());
        }
        batch.finish().unwrap();
    }
    events
}

/// Whether the database has the portable engine, which is right in some things that the extension leaves to the ticker.
pub(crate) fn is_portable() -> bool {
    pgq_testkit::engine().unwrap() != Some(pgq_testkit::Engine::Extension)
}

/// Lets the others end also when the test panics.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
