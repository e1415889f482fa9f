use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use pgq_core::batch::Reader;
use pgq_core::worker::Outcome;
use pgq_sync::Consumer;

use crate::bed::{Bed, options, retries, until_finished};

cases!(count_what_is_done);

/// Sums by name and labels; of histograms, the number of values.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, u64>>>);

struct Sum {
    sums: Sums,
    key: String,
}

impl Sums {
    fn installed() -> &'static Self {
        static SUMS: OnceLock<Sums> = OnceLock::new();
        SUMS.get_or_init(|| {
            let sums = Self::default();
            assert!(metrics::set_global_recorder(sums.clone()).is_ok());
            sums
        })
    }

    /// What has the label, under its name and its other label.
    fn of(&self, consumer: &str) -> Vec<(String, u64)> {
        let label = format!(" consumer={consumer}");
        let sums = self.0.lock().unwrap();
        sums.iter()
            .filter(|(key, _)| key.contains(&label))
            .map(|(key, sum)| (key.replace(&label, ""), *sum))
            .collect()
    }

    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        Arc::new(Sum { sums: self.clone(), key: key.name().to_owned() + &labels.collect::<String>() })
    }
}

impl Sum {
    fn add(&self, value: u64) {
        *self.sums.0.lock().unwrap().entry(self.key.clone()).or_default() += value;
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        assert!((0.0..3600.0).contains(&value), "{value} seconds");
        self.add(1);
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.sum(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.sum(key))
    }
}

fn count_what_is_done(mut bed: Bed) -> crate::Result {
    let (sums, name) = (Sums::installed(), format!("metered_{}", bed.module()));
    Consumer::new("q", &name).register(&mut bed.db)?;
    let worker = bed
        .job_of(Reader::consumer("q", &name))
        .options(options().retries(retries(2)))
        .decide(|event| match event.data.as_deref() {
            Some("1") => Err("no".into()),
            Some("2") => panic!("two"),
            Some("3") => Ok(Outcome::Dead("not wanted".to_owned())),
            _ => Ok(Outcome::Done),
        })
        .start();
    bed.numbers(0..6);
    until_finished(&worker, 1);
    bed.numbers(4..6);
    until_finished(&worker, 2);
    worker.stop()?;
    let expected = [
        ("pgq_worker_batch_seconds queue=q", 2),
        ("pgq_worker_batches_total queue=q", 2),
        ("pgq_worker_connections_total queue=q", 1),
        ("pgq_worker_events_total queue=q outcome=dead", 1),
        ("pgq_worker_events_total queue=q outcome=done", 5),
        ("pgq_worker_events_total queue=q outcome=retried", 2),
        ("pgq_worker_failures_total queue=q kind=asked for", 1),
        ("pgq_worker_failures_total queue=q kind=error", 1),
        ("pgq_worker_failures_total queue=q kind=panic", 1),
        ("pgq_worker_lag_seconds queue=q", 2),
    ];
    let sums = sums.of(&name);
    assert!(sums.iter().map(|(key, sum)| (key.as_str(), *sum)).eq(expected), "{sums:?}");
    Ok(())
}
