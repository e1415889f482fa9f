//! Transactions that stay open hold up rotation, and nothing else.

use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_sync::Queue;
use pgq_sync::postgres::Client;
use pgq_testkit::until_within;

use crate::bed::{Beat, Bed, Figures, QUEUE, Role, Run, Ticker, patient, value};

cases!(what_a_long_transaction_wrote_comes_with_its_commit);

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
    let beat = Beat { maintenance: Duration::from_millis(200), ..Beat::default() };
    let _ticker = Ticker::with(bed.run.driver, &bed.conninfo("ticker"), beat);
    let producers = bed.steady_producers();
    let worker = bed.job(role).start();
    let mut rotations = Rotations::default();
    until_within(LIMIT, "the tables are rotated", || rotations.seen(&mut db) > 1);

    let (mut writer, mut reader) = (bed.connect(), bed.connect());
    let write = format!(
        "BEGIN; INSERT INTO sent SELECT 99, generate_series(1, {WRITTEN}); \
         SELECT pgq.insert_event('{QUEUE}', 'number', '99:' || seq) FROM generate_series(1, {WRITTEN}) seq"
    );
    writer.batch_execute(&write)?;
    let table: String = value(&mut db, "SELECT queue_data_pfx FROM pgq.queue", &[]);
    reader.batch_execute(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM {table}"))?;
    let (open, handled) = (Instant::now(), worker.stats().events.all());
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
    until_within(LIMIT, "the tables are rotated again", || rotations.seen(&mut db) >= before + 3);
    let rotated = free.elapsed();
    producers.end();
    bed.wait_for_top(LIMIT);
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("open for", format!("{time:.0?}"))
        .add("handled meanwhile", meanwhile)
        .add("delivered after COMMIT", format!("{delivered:.2?}"))
        .add("three rotations after", format!("{rotated:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert!(meanwhile > 0, "others wait");
    assert!(delivered <= patient(Duration::from_secs(2)), "{delivered:?}");
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
