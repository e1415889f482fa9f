use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_sync::Queue;
use pgq_testkit::Server;

use crate::bed::{Bed, Options, Ticker, connect, drain, until};

cases!(rotation_loses_nothing, vacuum, greedy_operation, failing_operation);

fn rotation_loses_nothing<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    bed.config("q", &QueueConfig::new().rotation_period(Duration::ZERO));
    let fast = Duration::from_millis(10);
    let ticker: T = bed.spawn(Options { tick: fast, maintenance: fast, ..Options::all() });
    let (stop, conninfo) = (AtomicBool::new(false), bed.database.conninfo().to_owned());
    let (mut produced, mut consumed, mut rotations) = (0, Vec::new(), BTreeSet::new());
    thread::scope(|scope| {
        let producers = [0.0, 0.0, 20.0, 20.0, 20.0, 20.0].map(|milliseconds| {
            let (stop, conninfo) = (&stop, &conninfo);
            scope.spawn(move || produce(conninfo, stop, milliseconds))
        });
        let consumer = scope.spawn(|| {
            let mut db = connect(&conninfo);
            let mut events = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                events.extend(drain(&mut db, "q", "c"));
            }
            events
        });
        let start = Instant::now();
        until("it has rotated for three seconds", || {
            rotations.insert(bed.count("SELECT queue_switch_step1 FROM pgq.queue"));
            start.elapsed() > Duration::from_secs(3) && rotations.len() > 6
        });
        stop.store(true, Ordering::Relaxed);
        produced += producers.map(|producer| producer.join().unwrap()).iter().sum::<usize>();
        consumed.extend(consumer.join().unwrap());
    });
    ticker.tick_now("q").unwrap();
    consumed.extend(bed.drain("q"));
    assert_eq!(consumed.iter().collect::<BTreeSet<_>>().len(), produced, "each event comes");
    assert_eq!(consumed.len(), produced, "each event comes once");
    let stats = ticker.stop();
    assert!(stats.failing.is_empty(), "{stats:?}");
    println!("{produced} events, {} rotations", rotations.len());
}

/// Inserts in transactions that stay open for so long, and tells how many events it were.
fn produce(conninfo: &str, stop: &AtomicBool, milliseconds: f64) -> usize {
    let mut db = connect(conninfo);
    let pid: i32 = db.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut transaction = db.transaction().unwrap();
        Queue::new("q").insert_event(&mut transaction, "test", &format!("{pid}-{number}")).unwrap();
        transaction.execute("SELECT pg_sleep($1 / 1000.0::float8)", &[&milliseconds]).unwrap();
        transaction.commit().unwrap();
        number += 1;
    }
    number
}

fn vacuum<T: Ticker>() {
    let server = Server::builder().setting("autovacuum", "off").start().unwrap();
    let mut bed = Bed::on(server.database().unwrap());
    bed.create("q");
    let ticker: T = bed.spawn(Options::all());
    let vacuumed = "SELECT count(*) FROM pgq.maint_tables_to_vacuum() AS name \
         JOIN pg_stat_all_tables ON name = schemaname || '.' || relname WHERE vacuum_count > 0";
    let all = bed.count("SELECT count(*) FROM pgq.maint_tables_to_vacuum()");
    assert!(all >= 5, "{all}");
    until("all tables are vacuumed", || bed.count(vacuumed) == all);
    assert!(ticker.stop().failing.is_empty());
}

fn greedy_operation<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.execute(
        "CREATE TABLE runs (xid bigint, isolation text); \
         CREATE FUNCTION app_greedy(text) RETURNS int LANGUAGE sql AS $$ \
         INSERT INTO runs VALUES (txid_current(), current_setting('transaction_isolation')); \
         SELECT CASE WHEN count(*) < 5 THEN 1 ELSE 0 END FROM runs $$; \
         UPDATE pgq.queue SET queue_extra_maint = '{app_greedy}'",
    );
    let once = Options { maintenance: Duration::from_secs(3_600), ..Options::all() };
    let ticker: T = bed.spawn(once);
    until("it was repeated", || ticker.stats().maintained == 5);
    ticker.tick_now("q").unwrap();
    assert_eq!(bed.count("SELECT count(DISTINCT xid) FROM runs"), 5);
    assert_eq!(ticker.stop().maintained, 5);
}

fn failing_operation<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.execute(
        "CREATE TABLE runs (); CREATE FUNCTION app_last(text) RETURNS void LANGUAGE sql AS 'INSERT INTO runs DEFAULT VALUES'; \
         UPDATE pgq.queue SET queue_extra_maint = '{app_missing, app_last}'",
    );
    let ticker: T = bed.spawn(Options::all());
    until("the other one runs again and again", || bed.count("SELECT count(*) FROM runs") > 3);
    let stats = ticker.stop();
    assert_eq!(stats.failing.keys().collect::<Vec<_>>(), ["app_missing of \"q\""]);
    assert_eq!(stats.trouble, None);
}
