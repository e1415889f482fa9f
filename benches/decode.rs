//! How fast the events of triggers become rows and structs, and rows become text again.
//!
//! Run it with `cargo bench --bench decode`. It takes no server.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use pgq::Change;
use pgq::chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Deserialize)]
#[allow(dead_code, reason = "deserializing them is what is measured")]
struct Order {
    id: i64,
    customer: String,
    street: String,
    note: Option<String>,
    cents: i64,
    currency: String,
    discount: f64,
    paid: bool,
    created: DateTime<Utc>,
    changed: DateTime<Utc>,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    decode(&mut criterion);
    criterion.final_summary();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a row of ten columns");
    group.throughput(Throughput::Elements(1));
    group.bench_function("Change::decode of logutriga", |bencher| {
        bencher.iter(|| logutriga(black_box(LOGUTRIGA), None));
    });
    group.bench_function("Change::decode of logutriga with backup", |bencher| {
        bencher.iter(|| logutriga(black_box(LOGUTRIGA), Some(black_box(LOGUTRIGA))));
    });
    group.bench_function("Change::decode of jsontriga", |bencher| {
        bencher.iter(|| jsontriga(black_box(JSONTRIGA)))
    });

    let row = logutriga(LOGUTRIGA, None).row;
    assert_eq!(row, jsontriga(JSONTRIGA).row);
    group.bench_function("Row::deserialize into a struct", |bencher| {
        bencher.iter(|| black_box(&row).deserialize::<Order>().unwrap());
    });
    group.bench_function("Row::to_urlencoded", |bencher| bencher.iter(|| black_box(&row).to_urlencoded()));
    group.finish();
}

fn logutriga(row: &str, old: Option<&str>) -> Change {
    Change::decode(Some("U:id"), Some(row), Some("public.orders"), old).unwrap()
}

fn jsontriga(row: &str) -> Change {
    let head = r#"{"op":"UPDATE","table":["public","orders"],"pkey":["id"]}"#;
    Change::decode(Some(head), Some(row), Some("public.orders"), None).unwrap()
}

const LOGUTRIGA: &str = "id=4711&customer=Ann+Smith&street=12%2c+Main+Street&note&cents=1990&currency=EUR&discount=0.25&paid=t\
    &created=2009-09-19+09%3a59%3a48.599%2b00&changed=2009-09-20+10%3a00%3a00%2b00";

const JSONTRIGA: &str = r#"{"id":4711,"customer":"Ann Smith","street":"12, Main Street","note":null,"cents":1990,"currency":"EUR","discount":"0.25","paid":true,"created":"2009-09-19 09:59:48.599+00","changed":"2009-09-20 10:00:00+00"}"#;
