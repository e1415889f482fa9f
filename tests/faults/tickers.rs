//! Tickers die, freeze, and have a broken queue among those that they look after.

use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_sync::postgres::Client;
use pgq_sync::{Consumer, Queue};
use pgq_testkit::{Process, until_within};

use crate::bed::{Beat, Bed, Driver, Figures, Role, Run, Spread, Ticker, patient, value};

cases!(another_ticker_takes_over, a_frozen_ticker_leads_no_longer, a_broken_queue_breaks_no_other);

const TAKEOVER: Duration = Duration::from_secs(2);

/// Who holds the lock of the leader.
const LEADER: &str = "SELECT max(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted \
     AND application_name LIKE 'ticker%'";

fn another_ticker_takes_over(run: Run) -> crate::Result {
    let (kills, ticks) = (run.size(6, 20), run.size(8, 500));
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let worker = bed.job(role).start();
    let mut tickers: Vec<_> =
        (0..4).map(|number| process(&bed, number, Beat::default())).collect::<crate::Result<_>>()?;
    let producers = bed.steady_producers();
    let mut db = bed.connect();
    let mut takeovers = Spread::default();
    for kill in 0..kills {
        let newest = newest(&mut db);
        until_within(Duration::from_secs(120), "there are some ticks", || {
            self::newest(&mut db) >= newest + ticks
        });
        let leader = leader(&mut db);
        let (number, killed) = (number(&mut db, leader), Instant::now());
        // Its process, or its session alone.
        if kill % 2 == 0 {
            tickers[number].kill()?;
        } else {
            bed.server.kill_backend(leader)?;
        }
        takeovers.add(takeover(&mut db, leader, killed));
        if kill % 2 == 0 {
            tickers[number] = process(&bed, number, Beat::default())?;
        }
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let (truth, inversions) = (bed.truth("plain"), bed.inversions());
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("leaders killed", kills)
        .add("ticks", newest(&mut db))
        .add("inverted", inversions)
        .add("first tick of the next", &takeovers)
        .print();
    truth.assert_exactly_once();
    assert_eq!(inversions, 0);
    assert!(takeovers.max() <= patient(TAKEOVER), "{takeovers}");
    assert!(worker.stats().batches > 0);
    Ok(())
}

/// The leader's process stands still. The server ends its session, another one leads, and when it wakes up it ticks no more.
fn a_frozen_ticker_leads_no_longer(run: Run) -> crate::Result {
    // A quarter of the limit is the longest silence, beyond the pauses of the ticker, which are a second.
    const LIMIT: Duration = Duration::from_secs(2);
    const AT_MOST: Duration = Duration::from_millis(500 + 1_000 + 2_000);
    let rounds = run.size(2, 10);
    let bed = Bed::new(run)?;
    if bed.server.version() < 14 {
        println!("skipped: the server knows no idle_session_timeout");
        return Ok(());
    }
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let _worker = bed.job(role).start();
    let beat = Beat { answer_limit: LIMIT, ..Beat::default() };
    let tickers: Vec<_> = (0..2).map(|number| process(&bed, number, beat)).collect::<crate::Result<_>>()?;
    let producers = bed.steady_producers();
    let mut db = bed.connect();
    let mut takeovers = Spread::default();
    for _ in 0..rounds {
        let leader = leader(&mut db);
        let number = number(&mut db, leader);
        tickers[number].pause()?;
        takeovers.add(takeover(&mut db, leader, Instant::now()));
        tickers[number].resume()?;
        until_within(Duration::from_secs(10), "the frozen one is back", || {
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ticker%'";
            value::<i64>(&mut db, sessions, &[]) == 2
        });
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let (truth, inversions) = (bed.truth("plain"), bed.inversions());
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("inverted ticks", inversions)
        .add("first tick of the next", &takeovers)
        .print();
    truth.assert_exactly_once();
    assert_eq!(inversions, 0);
    assert!(takeovers.max() <= patient(AT_MOST), "{takeovers}");
    Ok(())
}

fn leader(db: &mut Client) -> i32 {
    let mut leader = None;
    until_within(Duration::from_secs(20), "a ticker leads", || {
        leader = value::<Option<i32>>(db, LEADER, &[]);
        leader.is_some()
    });
    leader.unwrap_or_default()
}

/// The number of the process of that session.
fn number(db: &mut Client, leader: i32) -> usize {
    let sql = "SELECT substr(application_name, 7)::int FROM pg_stat_activity WHERE pid = $1";
    usize::try_from(value::<i32>(db, sql, &[&leader])).unwrap()
}

/// Waits for the first tick that another one has made.
fn takeover(db: &mut Client, leader: i32, since: Instant) -> Duration {
    until_within(Duration::from_secs(20), "another ticker leads", || {
        value::<Option<i32>>(db, LEADER, &[]).is_some_and(|next| next != leader)
    });
    let before = newest(db);
    until_within(Duration::from_secs(20), "it ticks", || newest(db) > before);
    since.elapsed()
}

fn newest(db: &mut Client) -> i64 {
    value(db, "SELECT max(tick_id) FROM pgq.tick", &[])
}

fn process(bed: &Bed, number: usize, beat: Beat) -> crate::Result<Process> {
    let driver = if bed.run.driver == Driver::Sync { "sync" } else { "async" };
    let conninfo = bed.conninfo(&format!("ticker{number}"));
    let limit = beat.answer_limit.as_millis().to_string();
    let variables = [("FAULTS_DRIVER", driver), ("FAULTS_CONNINFO", &conninfo), ("FAULTS_LIMIT", &limit)];
    Ok(Process::rerun("tickers::the_ticker", &variables)?)
}

/// Not a test, but a ticker, until its standard input ends.
#[test]
fn the_ticker() {
    if !Process::is_rerun() {
        return;
    }
    let variable = |name: &str| std::env::var(name).unwrap();
    let driver = if variable("FAULTS_DRIVER") == "sync" { Driver::Sync } else { Driver::Async };
    let answer_limit = Duration::from_millis(variable("FAULTS_LIMIT").parse().unwrap());
    let beat = Beat { answer_limit, ..Beat::default() };
    let _ticker = Ticker::with(driver, &variable("FAULTS_CONNINFO"), beat);
    let _ = stdin().read_to_end(&mut Vec::new());
}

/// Nine queues, and four: one has lost its ticks, one a tick whose transactions are not begun yet, as after a restore of a part of the
/// database, one takes no events and has some to retry, and one has a tick from the future.
fn a_broken_queue_breaks_no_other(run: Run) -> crate::Result {
    const LAG: Duration = Duration::from_millis(500);
    let bed = Bed::new(run)?;
    let mut db = bed.connect();
    let well: Vec<_> = (0..9).map(|number| format!("well{number}")).collect();
    let broken = ["broken_ticks", "broken_snapshot", "broken_insert", "broken_future"].map(str::to_owned);
    for name in well.iter().chain(&broken) {
        let queue = Queue::new(name);
        queue.create(&mut db)?;
        let config = QueueConfig::new().ticker_max_lag(LAG).rotation_period(Duration::from_millis(100));
        queue.set_config(&mut db, &config)?;
        Consumer::new(name, "c").register(&mut db)?;
        let sql = format!(
            "SELECT pgq.insert_event('{name}', 'a', 'retried'); SELECT pgq.force_tick('{name}'); SELECT pgq.ticker('{name}')"
        );
        for statement in sql.split(';') {
            db.batch_execute(statement)?;
        }
        let mut batch = Consumer::new(name, "c").next_batch(&mut db)?.expect("there is an event");
        let event = batch.next_event()?.expect("there is an event");
        batch.retry(&event, Duration::ZERO);
        batch.finish()?;
    }
    db.batch_execute(
        "DELETE FROM pgq.tick USING pgq.queue WHERE tick_queue = queue_id AND queue_name = 'broken_ticks'; \
         UPDATE pgq.queue SET queue_disable_insert = true WHERE queue_name = 'broken_insert'; \
         UPDATE pgq.tick SET tick_snapshot = format('%1$s:%1$s:', txid_current() + 1000000)::txid_snapshot FROM pgq.queue \
         WHERE tick_queue = queue_id AND queue_name = 'broken_snapshot'; \
         UPDATE pgq.tick SET tick_time = now() + interval '1 hour' FROM pgq.queue WHERE tick_queue = queue_id \
         AND queue_name = 'broken_future'",
    )?;
    const STATE: &str = "SELECT count(*) FROM pgq.queue q WHERE queue_name LIKE 'well%' AND queue_switch_time > $1 AND queue_switch_step2 IS NOT NULL";
    let began: std::time::SystemTime = value(&mut db, "SELECT clock_timestamp()", &[]);
    let beat = Beat { maintenance: Duration::from_millis(300), ..Beat::default() };
    let ticker = Ticker::with(bed.run.driver, &bed.conninfo("ticker"), beat);
    let start = Instant::now();
    let retried: usize = well.iter().map(|name| drain(&mut db, name, "retried")).sum();
    let retried_after = start.elapsed();
    let mut lags = Spread::default();
    for name in well.iter().cycle().take(bed.run.size(18, 200)) {
        let inserted = Instant::now();
        Queue::new(name).insert_event(&mut db, "a", "fresh")?;
        drain(&mut db, name, "fresh");
        lags.add(inserted.elapsed());
    }
    until_within(Duration::from_secs(30), "the nine are rotated", || {
        for name in &well {
            while let Some(batch) = Consumer::new(name, "c").next_batch(&mut db).unwrap() {
                batch.finish_unread().unwrap();
            }
        }
        value::<i64>(&mut db, STATE, &[&began]) == 9
    });
    let rotated_after = start.elapsed();
    Queue::new("broken_future").insert_event(&mut db, "a", "fresh")?;
    drain(&mut db, "broken_future", "fresh");
    let future_after = start.elapsed();
    let failing = ticker.stats().failing;
    Figures::of(&bed.run)
        .add("events of the nine back from the retry queue", format!("{retried} after {retried_after:.1?}"))
        .add("event to batch", &lags)
        .add("the nine rotated after", format!("{rotated_after:.1?}"))
        .add("ticks after one from the future by", format!("{future_after:.1?}"))
        .add("failing", format!("{failing:?}"))
        .print();
    assert_eq!(retried, 9);
    let kept = "SELECT count(*) FROM pgq.retry_queue JOIN pgq.queue ON queue_id = ev_queue WHERE queue_name = 'broken_insert'";
    assert_eq!(value::<i64>(&mut db, kept, &[]), 1);
    assert!(lags.max() <= patient(LAG * 2 + Duration::from_millis(500)), "{lags}");
    assert!(!failing.is_empty() && !failing.keys().any(|job| job.contains("well")), "{failing:?}");
    for broken in ["tick of \"broken_snapshot\"", "pgq.maint_rotate_tables_step1 of \"broken_ticks\""] {
        assert!(failing.contains_key(broken), "{broken}: {failing:?}");
    }
    // The portable engine leaves such a queue out.
    assert_eq!(failing.contains_key("retry"), !bed.run.is_portable(), "{failing:?}");
    Ok(())
}

/// Finishes batches until that event comes; tells how often it came.
fn drain(db: &mut Client, name: &str, wanted: &str) -> usize {
    let mut found = 0;
    until_within(Duration::from_secs(20), &format!("{name} hands out {wanted}"), || {
        if let Some(mut batch) = Consumer::new(name, "c").next_batch(db).unwrap() {
            while let Some(event) = batch.next_event().unwrap() {
                found += usize::from(event.data.as_deref() == Some(wanted));
            }
            batch.finish().unwrap();
        }
        found > 0
    });
    found
}
