//! Handlers that fail, panic and hang: each event is done once, or a dead letter after as many attempts as it may have, and the others do
//! not wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pgq_async::futures::FutureExt;
use pgq_core::Event;
use pgq_core::worker::{Delivery, Notice, RetryPolicy, Undo, WorkerOptions, WorkerStats};
use pgq_sync::postgres::{Client, Transaction};
use pgq_testkit::fastrand::Rng;
use pgq_testkit::until_within;

use crate::bed::{BoxError, Driver, Heard, QUEUE, Role, Run, Spread, patient, runtime, value};
use crate::stage::{LIMIT, Stage};

cases!(poison_in_the_transaction, poison_without_savepoints, poison_outside, poison_outside_by_key,);

const ATTEMPTS: u32 = 3;
const HANDLER_LIMIT: Duration = Duration::from_secs(1);
const BATCH: i64 = 200;
const KEYS: i64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Transaction(Undo),
    Outside,
    ByKey,
}

/// What a handler does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Fail,
    Panic,
    Hang,
    /// The handler is not called: it cannot take the payload.
    Undecodable,
}

#[derive(serde::Deserialize)]
struct Payload {
    number: i64,
}

/// What happens to which event, and what did.
struct Plan {
    seed: u64,
    mode: Mode,
    /// Up to this number all goes well.
    healthy: i64,
    calls: Mutex<HashMap<i64, u32>>,
    done: Mutex<Vec<(i64, u32)>>,
}

fn poison_in_the_transaction(run: Run) -> crate::Result {
    poison(run, Mode::Transaction(Undo::Event))
}

fn poison_without_savepoints(run: Run) -> crate::Result {
    poison(run, Mode::Transaction(Undo::Batch))
}

fn poison_outside(run: Run) -> crate::Result {
    poison(run, Mode::Outside)
}

fn poison_outside_by_key(run: Run) -> crate::Result {
    poison(run, Mode::ByKey)
}

fn poison(run: Run, mode: Mode) -> crate::Result {
    let batches = run.size(10, 200);
    let mut stage = Stage::new(run, Role::consumer_of("plain"))?;
    let (seed, healthy) = (stage.bed.run.seed, batches * BATCH);
    let plan = Plan { seed, mode, healthy, calls: Mutex::default(), done: Mutex::default() };
    let plan = Arc::new(plan);
    let (heard, stop) = start(&stage, &plan);
    for batch in 0..batches {
        produce(&mut stage, &plan, batch);
    }
    stage.wait("all goes well");
    let breaks = Instant::now();
    for batch in batches..2 * batches {
        produce(&mut stage, &plan, batch);
    }
    let all = 2 * healthy;
    until_within(LIMIT, "all events are done or dead", || {
        stage.retry();
        stage.wait("with failures");
        let letters: i64 = value(&mut stage.db, "SELECT count(*) FROM pgq_dead.letter", &[]);
        letters + plan.done_in(&mut stage.db) == all
    });
    let stats = stop()?;
    let dead = plan.check(&mut stage.db, 1..=all);
    let retried: u64 = stats.events.retried;
    let (well, ill) = (spread(&heard, |at| at < breaks), spread(&heard, |at| at >= breaks));
    stage
        .figures()
        .add("dead", dead)
        .add("retried", retried)
        .add("panics", stats.panics)
        .add("batch without failures p50", format!("{:.1?} min {:.1?}", well.median(), well.min()))
        .add("with p50", format!("{:.1?} min {:.1?}", ill.median(), ill.min()))
        .print();
    if matches!(mode, Mode::Transaction(Undo::Event) | Mode::Outside) {
        // The letters and the retries are three statements more, of which two read the batch again.
        // The least, for the load of the machine is another one in each half.
        assert!(ill.min() <= patient(2 * well.min() + Duration::from_millis(20)), "{ill} beside {well}");
    }
    Ok(())
}

impl Plan {
    fn fate(&self, number: i64, attempt: u32) -> Fate {
        let random = |part: u64| Rng::with_seed(self.seed ^ (number.unsigned_abs() << 8) ^ part).u32(..1000);
        match (random(0), random(u64::from(attempt))) {
            _ if number <= self.healthy => Fate::Done,
            (..10, _) => Fate::Undecodable,
            (10..20, _) | (_, ..50) => Fate::Fail,
            (20..25, _) | (_, 50..60) => Fate::Panic,
            (_, 60) => Fate::Hang,
            _ => Fate::Done,
        }
    }

    /// At which attempt it is done, or the last one and the word for why it never is.
    fn end(&self, number: i64) -> Result<u32, (u32, &'static str)> {
        let done = (1..=ATTEMPTS).find(|attempt| self.fate(number, *attempt) == Fate::Done);
        done.ok_or_else(|| match self.fate(number, ATTEMPTS) {
            Fate::Panic => (ATTEMPTS, "panic"),
            Fate::Hang => (ATTEMPTS, "timeout"),
            // Another attempt would take it no better.
            Fate::Undecodable => (1, "decode"),
            _ => (ATTEMPTS, "error"),
        })
    }

    /// Which attempt this is, and what it comes to.
    fn call(&self, delivery: &Delivery<Payload>) -> (u32, Fate) {
        let number = delivery.payload.number;
        let attempt = match self.mode {
            Mode::ByKey => {
                let mut calls = self.calls.lock().unwrap();
                let calls = calls.entry(number).or_default();
                *calls += 1;
                *calls
            }
            _ => delivery.event.retry + 1,
        };
        (attempt, self.fate(number, attempt))
    }

    fn done(&self, number: i64, attempt: u32) {
        self.done.lock().unwrap().push((number, attempt));
    }

    fn done_in(&self, db: &mut Client) -> i64 {
        match self.mode {
            Mode::Transaction(_) => value(db, "SELECT count(*) FROM sink_plain", &[]),
            _ => i64::try_from(self.done.lock().unwrap().len()).unwrap(),
        }
    }

    /// Compares what became of each event with what had to; tells how many are dead.
    fn check(&self, db: &mut Client, numbers: impl Iterator<Item = i64>) -> usize {
        let letters: HashMap<i64, (i32, String)> = db
            .query("SELECT ev_extra1::bigint, attempts, reason FROM pgq_dead.letter", &[])
            .unwrap()
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect();
        if !matches!(self.mode, Mode::Transaction(_)) {
            for (number, attempt) in &*self.done.lock().unwrap() {
                let row = "INSERT INTO sink_plain (producer, seq, batch) VALUES (1, $1, $2)";
                db.execute(row, &[number, &i64::from(*attempt)]).unwrap();
            }
        }
        let done: HashMap<i64, i64> = db
            .query("SELECT seq, batch FROM sink_plain", &[])
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        for number in numbers {
            let (done, letter) = (done.get(&number), letters.get(&number));
            match self.end(number) {
                Ok(attempt) => assert_eq!((done, letter), (Some(&i64::from(attempt)), None), "{number}"),
                Err((attempts, reason)) => {
                    let expected = (i32::try_from(attempts).unwrap(), reason.to_owned());
                    assert_eq!((done, letter), (None, Some(&expected)), "{number}");
                }
            }
        }
        if self.mode == Mode::ByKey {
            self.check_order();
        }
        db.batch_execute(
            "INSERT INTO sink_plain (producer, seq) SELECT 1, ev_extra1::bigint FROM pgq_dead.letter",
        )
        .unwrap();
        letters.len()
    }

    fn check_order(&self) {
        let mut last: HashMap<i64, i64> = HashMap::new();
        for (number, _) in &*self.done.lock().unwrap() {
            let before = last.insert(number % KEYS, *number).unwrap_or_default();
            assert!(before < *number, "{number} after {before}");
        }
    }
}

fn produce(stage: &mut Stage, plan: &Plan, batch: i64) {
    let numbers: Vec<i64> = (batch * BATCH + 1..=(batch + 1) * BATCH).collect();
    let data = |number: &i64| match plan.fate(*number, 1) {
        Fate::Undecodable => "{".to_owned(),
        _ => format!("{{\"number\": {number}}}"),
    };
    let data: Vec<String> = numbers.iter().map(data).collect();
    let mut transaction = stage.db.transaction().unwrap();
    transaction.execute("INSERT INTO sent SELECT 1, unnest($1::bigint[])", &[&numbers]).unwrap();
    let insert = format!(
        "SELECT pgq.insert_event('{QUEUE}', 'number', data, number::text, NULL, NULL, NULL) \
         FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS event (number, data, place) ORDER BY place"
    );
    transaction.execute(&insert, &[&numbers, &data]).unwrap();
    transaction.commit().unwrap();
    stage.cut();
}

/// What the batches of that time took.
fn spread(heard: &Heard, when: impl Fn(Instant) -> bool) -> Spread {
    let mut spread = Spread::default();
    for (at, notice) in heard.all() {
        if let Notice::Finished { events, took, .. } = notice {
            if when(at) && events.all() >= BATCH.unsigned_abs() {
                spread.add(took);
            }
        }
    }
    spread
}

fn options(mode: Mode) -> WorkerOptions {
    let retries =
        RetryPolicy::new().attempts(ATTEMPTS).pauses(Duration::from_millis(10), Duration::from_millis(10));
    let options =
        WorkerOptions::new().poll(Duration::from_millis(20)).handler_limit(HANDLER_LIMIT).retries(retries);
    match mode {
        Mode::Transaction(undo) => options.undo(undo),
        _ => options,
    }
}

type Stop = Box<dyn FnOnce() -> pgq_core::Result<WorkerStats>>;

fn start(stage: &Stage, plan: &Arc<Plan>) -> (Heard, Stop) {
    let heard = Heard::default();
    let conninfo = stage.bed.conninfo("plain");
    let stop: Stop = match stage.bed.run.driver {
        Driver::Sync => {
            let worker = on_a_thread(&conninfo, plan, heard.clone());
            Box::new(move || worker.stop())
        }
        Driver::Async => {
            let _runtime = runtime().enter();
            let worker = on_a_task(&conninfo, plan, heard.clone());
            Box::new(move || runtime().block_on(worker.stop()))
        }
    };
    (heard, stop)
}

const DONE: &str = "INSERT INTO sink_plain (producer, seq, batch) VALUES (1, $1, $2)";
const HANG: &str = "SELECT pg_sleep(60)";

fn on_a_thread(conninfo: &str, plan: &Arc<Plan>, heard: Heard) -> pgq_sync::Worker {
    let mode = plan.mode;
    let worker =
        pgq_sync::Worker::builder(conninfo.parse().unwrap(), pgq_sync::Consumer::new(QUEUE, "plain"))
            .options(options(mode))
            .on_notice(move |notice| heard.hear(notice));
    let plan = plan.clone();
    if let Mode::Transaction(_) = mode {
        let handler =
            move |delivery: Delivery<Payload>, transaction: &mut Transaction<'_>| -> Result<(), BoxError> {
                let (attempt, fate) = plan.call(&delivery);
                // What a failure leaves behind is undone.
                transaction.execute(DONE, &[&delivery.payload.number, &i64::from(attempt)])?;
                if fate == Fate::Hang {
                    transaction.batch_execute(HANG)?;
                }
                ends(fate)
            };
        return worker.on("number", handler).spawn().unwrap();
    }
    let handler = move |delivery: Delivery<Payload>| -> Result<(), BoxError> {
        let (attempt, fate) = plan.call(&delivery);
        if fate == Fate::Hang {
            thread::sleep(5 * HANDLER_LIMIT);
        }
        ends(fate)?;
        plan.done(delivery.payload.number, attempt);
        Ok(())
    };
    let worker = worker.outside().concurrency(4).on("number", handler);
    if mode == Mode::ByKey { worker.key(key) } else { worker }.spawn().unwrap()
}

fn on_a_task(conninfo: &str, plan: &Arc<Plan>, heard: Heard) -> pgq_async::Worker {
    let mode = plan.mode;
    let worker =
        pgq_async::Worker::builder(conninfo.parse().unwrap(), pgq_async::Consumer::new(QUEUE, "plain"))
            .options(options(mode))
            .on_notice(move |notice| heard.hear(notice));
    let plan = plan.clone();
    if let Mode::Transaction(_) = mode {
        let worker = worker.on("number", move |delivery: Delivery<Payload>, transaction| {
            let (attempt, fate) = plan.call(&delivery);
            async move {
                transaction.execute(DONE, &[&delivery.payload.number, &i64::from(attempt)]).await?;
                if fate == Fate::Hang {
                    transaction.batch_execute(HANG).await?;
                }
                ends(fate)
            }
            .boxed()
        });
        return worker.spawn().unwrap();
    }
    let handler = move |delivery: Delivery<Payload>| {
        let plan = plan.clone();
        async move {
            let (attempt, fate) = plan.call(&delivery);
            if fate == Fate::Hang {
                std::future::pending::<()>().await;
            }
            ends(fate)?;
            plan.done(delivery.payload.number, attempt);
            Ok::<_, BoxError>(())
        }
    };
    let worker = worker.outside().concurrency(4).on("number", handler);
    if mode == Mode::ByKey { worker.key(key) } else { worker }.spawn().unwrap()
}

fn key(event: &Event) -> i64 {
    let number: i64 = event.extra1.as_deref().unwrap_or_default().parse().unwrap_or_default();
    number % KEYS
}

fn ends(fate: Fate) -> Result<(), BoxError> {
    match fate {
        Fate::Done => Ok(()),
        // As a panic does, but without its message.
        Fate::Panic => std::panic::resume_unwind(Box::new("a handler panics")),
        fate => Err(format!("{fate:?}").into()),
    }
}
