//! How fast events are inserted: one by one, many in a statement, and by COPY.
//!
//! Run it with `cargo bench --bench insert`. It starts a PostgreSQL server of its own, which does not sync its files.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use pgq::NewEvent;
use pgq::sync::Queue;
use pgq::sync::postgres::{Client, NoTls};
use pgq_testkit::Server;

fn main() {
    let database = Server::shared().unwrap().database().unwrap();
    let mut db = Client::connect(database.conninfo(), NoTls).unwrap();
    let queue = Queue::new("q");
    queue.create(&mut db).unwrap();

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    insert(&mut criterion, &mut db, &queue);
    criterion.final_summary();
}

fn insert(criterion: &mut Criterion, db: &mut Client, queue: &Queue) {
    let mut group = criterion.benchmark_group("insert");
    group.sampling_mode(SamplingMode::Flat);

    group.throughput(Throughput::Elements(1));
    group.bench_function("insert_event in a transaction", |bencher| {
        let mut transaction = db.transaction().unwrap();
        bencher.iter(|| queue.insert_event(&mut transaction, "reading", DATA).unwrap());
        transaction.commit().unwrap();
    });
    for count in [10, 100, 1_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("insert_events", count), |bencher| {
            bencher.iter(|| queue.insert_events(db, events(count)).unwrap());
        });
    }
    for count in [1_000, 10_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("copy_events", count), |bencher| {
            bencher.iter(|| {
                let mut transaction = db.transaction().unwrap();
                queue.copy_events(&mut transaction, events(count)).unwrap();
                transaction.commit().unwrap();
            });
        });
    }
    group.finish();
}

fn events(count: u64) -> impl Iterator<Item = NewEvent<'static>> {
    (0..count).map(|_| NewEvent::new("reading", DATA))
}

/// 100 bytes.
const DATA: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
