//! Many failures at once: of a destination that is away, and of a part of a large batch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgq_core::worker::{Notice, Outcome, RetryPolicy};
use pgq_core::{BatchId, Event};
use pgq_testkit::until_within;

use crate::bed::{Bed, BoxError, Figures, QUEUE, Role, Run, Spread, patient, value};
use crate::stage::Stage;

cases!(a_destination_that_is_away_is_not_stormed, a_flood_of_retries_comes_once_more);

const LIMIT: Duration = Duration::from_secs(60);

/// What came to the destination, by consumer and number, and when.
type Calls = Arc<Mutex<HashMap<(usize, String), Vec<Instant>>>>;

fn taken(calls: &Calls, consumer: usize, event: &Event) {
    let key = (consumer, event.data.clone().unwrap_or_default());
    calls.lock().unwrap().entry(key).or_default().push(Instant::now());
}

/// Eight consumers write to it: each event comes as often as its own pauses allow, and no more.
fn a_destination_that_is_away_is_not_stormed(run: Run) -> crate::Result {
    const CONSUMERS: usize = 8;
    const EVENTS: usize = 10;
    const PAUSE: Duration = Duration::from_secs(2);
    let time = run.size(Duration::from_secs(6), Duration::from_secs(60));
    let bed = Bed::new(run)?;
    let is_away = Arc::new(AtomicBool::new(true));
    let calls = Calls::default();
    let retries = RetryPolicy::new().attempts(1_000).pauses(Duration::from_secs(1), PAUSE);
    let workers = (0..CONSUMERS).map(|consumer| -> crate::Result<_> {
        let role = Role::consumer_of(&format!("c{consumer}"));
        bed.register(&role)?;
        let (is_away, calls) = (is_away.clone(), calls.clone());
        let write = move |event: &Event, _: BatchId| -> Result<(), BoxError> {
            taken(&calls, consumer, event);
            if is_away.load(Ordering::SeqCst) { Err("away".into()) } else { Ok(()) }
        };
        Ok(bed.job(role).options(|options| options.retries(retries.clone())).outside(write).start())
    });
    let workers: Vec<_> = workers.collect::<Result<_, _>>()?;
    let _tickers = bed.tickers(1);
    let insert = format!(
        "SELECT pgq.insert_event('{QUEUE}', 'number', '1:' || seq) FROM generate_series(1, $1::int) seq"
    );
    bed.connect().execute(&insert, &[&i32::try_from(EVENTS)?])?;

    let away = Instant::now();
    until_within(LIMIT + time, "it is away for long", || away.elapsed() >= time);
    is_away.store(false, Ordering::SeqCst);
    let back = Instant::now();
    let done = || -> u64 { workers.iter().map(|worker| worker.stats().events.done).sum() };
    let all = CONSUMERS * EVENTS;
    until_within(LIMIT, "all is done", || done() == all as u64);
    let recovery = back.elapsed();
    let (mut retried, mut dead) = (0, 0);
    for worker in workers {
        let events = worker.stop()?.events;
        (retried, dead) = (retried + events.retried, dead + events.dead);
    }
    let calls = calls.lock().unwrap();
    let attempts: usize = calls.values().map(Vec::len).sum();
    let mut gaps = Spread::default();
    let gap = |calls: &Vec<Instant>| calls.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    calls.values().flat_map(gap).for_each(|gap| gaps.add(gap));
    let least = gaps.min();
    let rate = attempts as f64 / time.as_secs_f64();
    Figures::of(&bed.run)
        .add("consumers", CONSUMERS)
        .add("events of each", EVENTS)
        .add("away for", format!("{time:.0?}"))
        .add("attempts", attempts)
        .add("in a second", format!("{rate:.1}"))
        .add("least pause", format!("{least:.2?}"))
        .add("all done after", format!("{recovery:.2?}"))
        .print();
    assert_eq!(
        (calls.len(), attempts as u64, dead),
        (all, all as u64 + retried, 0),
        "each failure is a retry"
    );
    // A pause of a second is made shorter by a fifth at most, and counts as whole seconds.
    assert!(least >= Duration::from_millis(500), "{least:?}");
    // The first time, after a pause, and then after each of the longest ones, a fifth shorter.
    let most = 2.0 + time.as_secs_f64() / (PAUSE.as_secs_f64() * 0.8);
    assert!(attempts as f64 <= all as f64 * (most + 1.0), "{attempts}");
    assert!(recovery <= patient(Duration::from_secs(5)), "{recovery:?}");
    Ok(())
}

/// One batch, of which each twentieth event is to come again.
fn a_flood_of_retries_comes_once_more(run: Run) -> crate::Result {
    const PART: i64 = 20;
    let events = run.size(20_000_i64, 100_000);
    let mut stage = Stage::new(run, Role::consumer_of("plain"))?;
    let calls = Calls::default();
    let insert = format!(
        "SELECT pgq.insert_event('{QUEUE}', 'number', '1:' || seq) FROM generate_series(1, $1::bigint) seq"
    );
    stage.db.execute(&insert, &[&events])?;
    stage.cut();
    let counts = calls.clone();
    let job = stage.bed.job(stage.role()).outside(move |event, _| {
        taken(&counts, 0, event);
        Ok(())
    });
    let worker = job
        .decide(|event| {
            let data = event.data.as_deref().unwrap_or_default();
            let number: i64 = data.trim_start_matches("1:").parse()?;
            let is_one = number % PART == 0 && event.retry == 0;
            Ok(if is_one { Outcome::Retry(Duration::ZERO) } else { Outcome::Done })
        })
        .start();
    stage.wait("the flood");
    let waiting: i64 = value(&mut stage.db, "SELECT count(*) FROM pgq.retry_queue", &[]);
    let mut took = None;
    until_within(LIMIT, "the worker tells of it", || {
        took = worker.heard.all().into_iter().find_map(|(_, notice)| match notice {
            Notice::Finished { took, .. } => Some(took),
            _ => None,
        });
        took.is_some()
    });
    stage.retry();
    stage.wait("what comes again");
    let stats = worker.stop()?;
    let waiting_still: i64 = value(&mut stage.db, "SELECT count(*) FROM pgq.retry_queue", &[]);
    let calls = calls.lock().unwrap();
    let again = calls.values().filter(|calls| calls.len() == 2).count();
    let took = took.ok_or("nothing is finished")?;
    Figures::of(&stage.bed.run)
        .add("events", events)
        .add("retried", waiting)
        .add("batch took", format!("{took:.2?}"))
        .add("came twice", again)
        .print();
    let part = usize::try_from(events / PART)?;
    assert_eq!((waiting, again, waiting_still), (events / PART, part, 0));
    assert!(calls.values().all(|calls| calls.len() <= 2));
    assert_eq!((stats.events.done, stats.events.retried), (events.unsigned_abs(), part as u64));
    assert!(took <= patient(Duration::from_secs(10)), "{took:?}");
    Ok(())
}
