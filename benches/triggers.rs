//! How fast the triggers write changes: inserts and updates of 10,000 rows, as `logutriga`, `jsontriga` and `sqltriga` write them.
//!
//! Run it with `cargo bench --bench triggers`; `PGQ_TEST_ENGINE=extension` measures the extension's. It starts a PostgreSQL server of its
//! own, which does not sync its files.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use pgq::sync::Queue;
use pgq::sync::postgres::{Client, NoTls};
use pgq_testkit::Server;

fn main() {
    let database = Server::shared().unwrap().database().unwrap();
    let mut db = Client::connect(database.conninfo(), NoTls).unwrap();
    Queue::new("q").create(&mut db).unwrap();

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    triggers(&mut criterion, &mut db);
    criterion.final_summary();
}

fn triggers(criterion: &mut Criterion, db: &mut Client) {
    const ROWS: u64 = 10_000;
    let mut group = criterion.benchmark_group("triggers");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(ROWS));
    for function in ["logutriga", "jsontriga", "sqltriga"] {
        db.batch_execute(&format!(
            "DROP TABLE IF EXISTS readings;
             CREATE TABLE readings (id serial PRIMARY KEY, name text, value numeric, at timestamptz, valid boolean, more jsonb);
             CREATE TRIGGER events AFTER INSERT OR UPDATE ON readings FOR EACH ROW EXECUTE FUNCTION pgq.{function}('q')"
        ))
        .unwrap();
        let insert = format!(
            "INSERT INTO readings (name, value, at, valid, more) \
             SELECT 'reading no. ' || i, i * 1.25, now(), i % 2 = 0, jsonb_build_object('place', i) \
             FROM generate_series(1, {ROWS}) AS i"
        );
        group.bench_function(format!("{function}, insert"), |bencher| {
            bencher.iter(|| rolled_back(db, &insert));
        });
        db.batch_execute(&insert).unwrap();
        group.bench_function(format!("{function}, update"), |bencher| {
            bencher.iter(|| rolled_back(db, "UPDATE readings SET value = value + 1"));
        });
    }
    group.finish();
}

/// Leaves the tables as they were, so that each round does the same.
fn rolled_back(db: &mut Client, statement: &str) {
    let mut transaction = db.transaction().unwrap();
    transaction.batch_execute(statement).unwrap();
    transaction.rollback().unwrap();
}
