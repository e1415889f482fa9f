//! How fast a batch is read, by its size, by the size of the chunks, and by the way to read it.
//!
//! Run it with `cargo bench --bench consume`. It starts a PostgreSQL server of its own. A batch is opened, read to its end and left
//! unfinished, so that it comes again.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use pgq::aio::futures::{StreamExt, TryStreamExt};
use pgq::aio::tokio_postgres;
use pgq::batch::ChunkSize;
use pgq::sync::ClientExt;
use pgq::sync::postgres::{Client, NoTls};
use pgq::{Event, NewEvent, aio, sync, tick};
use pgq_testkit::Server;
use tokio::runtime::Runtime;

fn main() {
    let database = Server::shared().unwrap().database().unwrap();
    let mut connections = Connections::open(database.conninfo());
    for size in BATCHES {
        fill(&mut connections.sync, size);
    }

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    by_batch(&mut criterion, &mut connections);
    by_chunk(&mut criterion, &mut connections);
    criterion.final_summary();
}

struct Connections {
    sync: Client,
    aio: tokio_postgres::Client,
    runtime: Runtime,
}

impl Connections {
    fn open(conninfo: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (aio, connection) = runtime.block_on(tokio_postgres::connect(conninfo, NoTls)).unwrap();
        runtime.spawn(connection);
        Self { sync: Client::connect(conninfo, NoTls).unwrap(), aio, runtime }
    }
}

fn by_batch(criterion: &mut Criterion, connections: &mut Connections) {
    let mut group = criterion.benchmark_group("consume by batch");
    group.sampling_mode(SamplingMode::Flat);
    for size in BATCHES {
        read(&mut group, connections, size, size, ChunkSize::default());
    }
    group.finish();
}

fn by_chunk(criterion: &mut Criterion, connections: &mut Connections) {
    let mut group = criterion.benchmark_group("consume by chunk");
    group.sampling_mode(SamplingMode::Flat);
    for events in [100, 1_000, 10_000] {
        read(&mut group, connections, LARGEST, events, ChunkSize { events, ..ChunkSize::default() });
    }
    group.finish();
}

/// Reads the batch of `size` events in each way. `parameter` is what the bench varies.
fn read(
    group: &mut BenchmarkGroup<'_, WallTime>,
    connections: &mut Connections,
    size: u32,
    parameter: u32,
    chunk: ChunkSize,
) {
    let Connections { sync: db, aio, runtime } = connections;
    group.throughput(Throughput::Elements(size.into()));

    let consumer = sync::Consumer::new(queue(size), "reader").chunk(chunk);
    group.bench_function(BenchmarkId::new("sync next_event", parameter), |bencher| {
        bencher.iter(|| next_event(db, &consumer, size));
    });
    group.bench_function(BenchmarkId::new("sync events", parameter), |bencher| {
        bencher.iter(|| events(db, &consumer, size));
    });
    group.bench_function(BenchmarkId::new("sync next_events", parameter), |bencher| {
        bencher.iter(|| next_events(db, &consumer, size));
    });

    let consumer = aio::Consumer::new(queue(size), "reader").chunk(chunk);
    group.bench_function(BenchmarkId::new("async next_event", parameter), |bencher| {
        bencher.iter(|| runtime.block_on(next_event_async(aio, &consumer, size)));
    });
    group.bench_function(BenchmarkId::new("async events", parameter), |bencher| {
        bencher.iter(|| runtime.block_on(events_async(aio, &consumer, size)));
    });
    group.bench_function(BenchmarkId::new("async next_events", parameter), |bencher| {
        bencher.iter(|| runtime.block_on(next_events_async(aio, &consumer, size)));
    });
}

fn next_event(db: &mut Client, consumer: &sync::Consumer, size: u32) {
    let mut batch = consumer.next_batch(db).unwrap().unwrap();
    let mut bytes = 0;
    while let Some(event) = batch.next_event().unwrap() {
        bytes += weigh(&event);
    }
    assert_eq!(bytes, weight(size));
}

fn events(db: &mut Client, consumer: &sync::Consumer, size: u32) {
    let mut batch = consumer.next_batch(db).unwrap().unwrap();
    let bytes: usize = batch.events().map(|event| weigh(&event.unwrap())).sum();
    assert_eq!(bytes, weight(size));
}

/// Stops at the last event, for the batch would be finished after it.
fn next_events(db: &mut Client, consumer: &sync::Consumer, size: u32) {
    let events = consumer.next_events(db).take(size as usize);
    let bytes: usize = events.map(|event| weigh(&event.unwrap())).sum();
    assert_eq!(bytes, weight(size));
}

async fn next_event_async(db: &mut tokio_postgres::Client, consumer: &aio::Consumer, size: u32) {
    let mut batch = consumer.next_batch(db).await.unwrap().unwrap();
    let mut bytes = 0;
    while let Some(event) = batch.next_event().await.unwrap() {
        bytes += weigh(&event);
    }
    assert_eq!(bytes, weight(size));
}

async fn events_async(db: &mut tokio_postgres::Client, consumer: &aio::Consumer, size: u32) {
    let mut batch = consumer.next_batch(db).await.unwrap().unwrap();
    let mut events = batch.events();
    let mut bytes = 0;
    while let Some(event) = events.try_next().await.unwrap() {
        bytes += weigh(&event);
    }
    assert_eq!(bytes, weight(size));
}

async fn next_events_async(db: &mut tokio_postgres::Client, consumer: &aio::Consumer, size: u32) {
    let mut events = consumer.next_events(db).take(size as usize);
    let mut bytes = 0;
    while let Some(event) = events.try_next().await.unwrap() {
        bytes += weigh(&event);
    }
    assert_eq!(bytes, weight(size));
}

fn weigh(event: &Event) -> usize {
    [&event.event_type, &event.data].into_iter().flatten().map(String::len).sum()
}

fn weight(size: u32) -> usize {
    size as usize * ("reading".len() + DATA.len())
}

/// Makes a queue with one batch.
fn fill(db: &mut Client, size: u32) {
    let queue = sync::Queue::new(queue(size));
    queue.create(db).unwrap();
    sync::Consumer::new(queue.name(), "reader").register(db).unwrap();
    let mut transaction = db.transaction().unwrap();
    queue.copy_events(&mut transaction, (0..size).map(|_| NewEvent::new("reading", DATA))).unwrap();
    transaction.commit().unwrap();
    db.call(tick::force(queue.name())).unwrap();
    db.call(tick::queue(queue.name())).unwrap().unwrap();
}

fn queue(size: u32) -> String {
    format!("{size} events")
}

const LARGEST: u32 = 100_000;
const BATCHES: [u32; 3] = [10, 1_000, LARGEST];

/// 100 bytes.
const DATA: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
