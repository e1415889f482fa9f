//! Transactions that stay open hold up rotation, and nothing else.

use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::maintenance::Held;
use pgq_sync::Queue;
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::{Server, until_within};
use pgq_ticker::State;

use crate::bed::{Beat, Bed, Figures, QUEUE, Role, Run, Ticker, named, patient, value};

cases!(what_a_long_transaction_wrote_comes_with_its_commit, a_long_transaction_is_told_of_and_named);

/// A writer, and a reader of all event tables, beside steady producers.
fn what_a_long_transaction_wrote_comes_with_its_commit(run: Run) -> crate::Result {
    const WRITTEN: i64 = 100;
    const LIMIT: Duration = Duration::from_secs(30);
    let time = run.size(Duration::from_secs(4), Duration::from_secs(60));
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    Queue::new(QUEUE).set_config(&mut db, &QueueConfig::new().rotation_period(Duration::from_secs(1)))?;
    let long_transaction = Duration::from_secs(1);
    let beat = Beat { maintenance: Duration::from_millis(200), long_transaction, ..Beat::default() };
    let ticker = Ticker::with(bed.run.driver, &bed.conninfo("ticker"), beat);
    let producers = bed.steady_producers();
    let worker = bed.job(role).start();
    let mut rotations = Rotations::default();
    until_within(patient(LIMIT), "the tables are rotated", || rotations.seen(&mut db) > 1);

    let (mut writer, mut reader) = (bed.connect(), bed.connect());
    let write = format!(
        "BEGIN; INSERT INTO sent SELECT 99, generate_series(1, {WRITTEN}); \
         SELECT pgq.insert_event('{QUEUE}', 'number', '99:' || seq) FROM generate_series(1, {WRITTEN}) seq"
    );
    writer.batch_execute(&write)?;
    let table: String = value(&mut db, "SELECT queue_data_pfx FROM pgq.queue", &[]);
    reader.batch_execute(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM {table}"))?;
    let (open, handled) = (Instant::now(), worker.stats().events.all());
    let limit = patient(Duration::from_secs(10));
    until_within(limit, "both are told of", || ticker.stats().long_transactions.len() == 2);
    let told = open.elapsed();
    until_within(LIMIT + time, "both stay open", || open.elapsed() >= time);
    let meanwhile = worker.stats().events.all() - handled;
    assert_eq!(arrived(&mut db), 0, "before its commit");
    writer.batch_execute("COMMIT")?;
    let committed = Instant::now();
    until_within(LIMIT, "the events of the writer arrive", || arrived(&mut db) == WRITTEN);
    let delivered = committed.elapsed();

    let before = rotations.seen(&mut db);
    reader.batch_execute("COMMIT")?;
    let free = Instant::now();
    // Once around, so that each table was emptied.
    until_within(patient(LIMIT), "the tables are rotated again", || rotations.seen(&mut db) >= before + 3);
    let rotated = free.elapsed();
    producers.end();
    bed.wait_for_top(LIMIT);
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("open for", format!("{time:.0?}"))
        .add("told after", format!("{told:.2?}"))
        .add("handled meanwhile", meanwhile)
        .add("delivered after COMMIT", format!("{delivered:.2?}"))
        .add("three rotations after", format!("{rotated:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert!(meanwhile > 0, "others wait");
    assert!(rotated <= patient(Duration::from_secs(8)), "{rotated:?}");
    assert!(delivered <= patient(Duration::from_secs(2)), "{delivered:?}");
    Ok(())
}

/// A writer, a reader of event tables and a prepared transaction, to a ticker of the role `pgq_admin` alone, which may not see since when
/// the others are open. An idle transaction and one that reads something else are nobody's business.
fn a_long_transaction_is_told_of_and_named(run: Run) -> crate::Result {
    const AFTER: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(30);
    const NAMES: [&str; 3] = ["a reader", "a writer", "half done"];
    let bed = Bed::on(run, Server::builder().setting("max_prepared_transactions", "2").start()?)?;
    let mut db = bed.connect();
    db.batch_execute("CREATE ROLE timekeeper LOGIN; GRANT pgq_admin TO timekeeper")?;
    let table: String = value(&mut db, "SELECT queue_data_pfx || '_0' FROM pgq.queue", &[]);
    let ticker = |user: &str| {
        let conninfo = named(&bed.database.conninfo_as(user), "ticker");
        Ticker::with(bed.run.driver, &conninfo, Beat { long_transaction: AFTER, ..Beat::default() })
    };
    for user in ["timekeeper", "postgres"] {
        let ticker = ticker(user);
        until_within(LIMIT, "it leads", || ticker.stats().state == State::Leading);
        let insert = format!("SELECT pgq.insert_event('{QUEUE}', 'secret', 'password')");
        let begin = |name: &str, sql: &str| {
            let mut client = Client::connect(&bed.conninfo(name), NoTls).unwrap();
            client.batch_execute(&format!("BEGIN; {sql}")).unwrap();
            client
        };
        let start = Instant::now();
        let clients = [
            begin("a reader", &format!("SELECT count(*) FROM {table}")),
            begin("a writer", &insert),
            begin("nobody", "SELECT 1"),
            begin("somebody", "SELECT count(*) FROM sent"),
        ];
        drop(begin("a preparer", &format!("{insert}; PREPARE TRANSACTION 'half done'")));
        let limit = patient(AFTER + Duration::from_secs(2));
        until_within(limit, "all are told of", || ticker.stats().long_transactions.len() == 3);
        let told = start.elapsed();
        let again = Instant::now();
        until_within(LIMIT, "it has looked again", || again.elapsed() >= AFTER);
        let mut long = ticker.stats().long_transactions;
        long.sort_by(|one, other| one.application.cmp(&other.application));
        let names: Vec<_> = long.iter().map(|open| open.application.as_str()).collect();
        assert_eq!(names, NAMES);
        let holds: Vec<_> = long.iter().map(|open| open.holds).collect();
        assert_eq!(holds, [Held::Rotation, Held::EventsAndRotation, Held::EventsAndRotation]);
        let pid = |name: &str| bed.server.backends_of(name).unwrap().first().map(|backend| backend.pid);
        let pids: Vec<_> = long.iter().map(|open| open.pid).collect();
        assert_eq!(pids, [pid("a reader"), pid("a writer"), None]);
        assert!(long.iter().all(|open| open.age >= Some(AFTER)), "{long:?}");
        assert!(!format!("{long:?}").contains("password"), "{long:?}");

        drop(clients);
        db.batch_execute("ROLLBACK PREPARED 'half done'")?;
        until_within(LIMIT, "they are over", || ticker.stats().long_transactions.is_empty());
        Figures::of(&bed.run)
            .add("ticker of", user)
            .add("open for", format!("{AFTER:?}"))
            .add("told after", format!("{told:.2?}"))
            .print();
        assert!(told >= AFTER, "{told:?}");
        assert!(ticker.stats().failing.is_empty(), "{:?}", ticker.stats());
    }
    Ok(())
}

/// How often the tables were rotated while somebody looked.
#[derive(Default)]
struct Rotations {
    last: i64,
    seen: usize,
}

impl Rotations {
    fn seen(&mut self, db: &mut Client) -> usize {
        let last = value(db, "SELECT queue_switch_step1 FROM pgq.queue", &[]);
        self.seen += usize::from(last != self.last);
        self.last = last;
        self.seen
    }
}

fn arrived(db: &mut Client) -> i64 {
    value(db, "SELECT count(*) FROM sink_plain WHERE producer = 99", &[])
}
