//! Queues that fail must not stop the others.

use std::time::Duration;

use pgq_core::QueueConfig;
use pgq_sync::Consumer;

use crate::bed::{Bed, Options, Ticker, is_portable, until};

cases!(
    broken_snapshot,
    broken_position,
    dropped_sequence,
    endless_tick_time,
    disabled_queue,
    odd_name,
    retries_come_back,
    dropped_queue,
);

fn at_once() -> QueueConfig {
    QueueConfig::new().rotation_period(Duration::ZERO)
}

/// As after a dump was restored on a younger cluster.
fn broken_snapshot<T: Ticker>() {
    let mut bed = Bed::new("m-broken");
    for queue in ["a", "z"] {
        bed.create(queue);
        bed.always_due(queue);
        bed.config(queue, &at_once());
    }
    bed.execute("CREATE TABLE sound AS SELECT tick_queue AS queue, tick_id AS id, tick_snapshot AS snapshot FROM pgq.tick");
    let break_it = "UPDATE pgq.tick SET tick_snapshot = '4000000000:4000000000:' FROM pgq.queue \
         WHERE queue_id = tick_queue AND queue_name = 'm-broken'";
    bed.execute(break_it);
    let ticker: T = bed.spawn(Options::all());
    for queue in ["a", "z"] {
        bed.is_ticked(queue);
        rotates(&mut bed, queue);
    }
    let failing = ticker.stats().failing;
    let keys: Vec<_> = failing.keys().map(String::as_str).collect();
    assert_eq!(keys, ["tick", "tick of \"m-broken\""]);
    assert!(failing["tick of \"m-broken\""].contains("another cluster"), "{failing:?}");
    let error = ticker.tick_now("m-broken").unwrap_err();
    assert!(matches!(error, pgq_core::Error::ForeignTicks { .. }), "{error:?}");
    bed.execute(
        "UPDATE pgq.tick SET tick_snapshot = snapshot FROM sound WHERE queue = tick_queue AND id = tick_id",
    );
    until("it has recovered", || ticker.stats().failing.is_empty());
    bed.always_due("m-broken");
    bed.is_ticked("m-broken");
}

/// The tick that a consumer stands on is gone.
fn broken_position<T: Ticker>() {
    let mut bed = Bed::new("m-broken");
    for queue in ["a", "m-broken", "z"] {
        bed.create(queue);
        bed.always_due(queue);
        bed.config(queue, &at_once());
    }
    bed.execute(
        "DELETE FROM pgq.tick USING pgq.queue WHERE queue_id = tick_queue AND queue_name = 'm-broken'",
    );
    let ticker: T = bed.spawn(Options::all());
    let job = "pgq.maint_rotate_tables_step1 of \"m-broken\"";
    until("it has failed", || ticker.stats().failing.contains_key(job));
    for queue in ["a", "z"] {
        rotates(&mut bed, queue);
    }
    assert_eq!(ticker.stats().failing.len(), 1);
    assert_eq!(bed.count("SELECT count(*) FROM pgq.queue WHERE queue_switch_step1 > queue_switch_step2"), 0);
    Consumer::new("m-broken", "c").unregister(&mut bed.db).unwrap();
    until("it has recovered", || ticker.stats().failing.is_empty());
}

/// `pgq.ticker` fails on the queue, and `pgq.get_queue_info` on all of them.
fn dropped_sequence<T: Ticker>() {
    let mut bed = one_of_three("DROP SEQUENCE pgq.event_1_id_seq CASCADE");
    assert!(bed.db.query("SELECT pgq.ticker()", &[]).is_err());
    assert!(bed.db.query("SELECT pgq.get_queue_info()", &[]).is_err());
    let ticker: T = bed.spawn(Options::all());
    others_go_on(&mut bed);
    let failing = ticker.stats().failing;
    assert!(failing.contains_key("tick of \"m-broken\""), "{failing:?}");
    assert!(!failing.keys().any(|job| job.contains("\"a\"") || job.contains("\"z\"")), "{failing:?}");
    assert!(ticker.leads() && ticker.tick_now("m-broken").is_err());
    ticker.tick_now("a").unwrap();
    // What `pgq.drop_queue` would drop.
    bed.execute("CREATE SEQUENCE pgq.event_1_id_seq; SELECT pgq.drop_queue('m-broken', true)");
    until("it has recovered", || ticker.stats().failing.is_empty());
}

/// What is later than that is not to be found by `now() - tick_time`; since PostgreSQL 17 that is no error.
fn endless_tick_time<T: Ticker>() {
    let mut bed = one_of_three("UPDATE pgq.tick SET tick_time = 'infinity' WHERE tick_queue = 1");
    let ticker: T = bed.spawn(Options::all());
    others_go_on(&mut bed);
    let failing = ticker.stats().failing;
    assert!(!failing.keys().any(|job| job.contains("\"a\"") || job.contains("\"z\"")), "{failing:?}");
    assert!(ticker.leads());
    ticker.tick_now("z").unwrap();
}

/// Three queues, of which the one with the id 1 was broken so.
fn one_of_three(break_it: &str) -> Bed {
    let mut bed = Bed::new("m-broken");
    for queue in ["a", "z"] {
        bed.create(queue);
    }
    for queue in ["a", "m-broken", "z"] {
        bed.always_due(queue);
        bed.config(queue, &at_once());
    }
    bed.execute(break_it);
    bed
}

/// Waits for ticks, retries and rotations of the queues that are not broken.
fn others_go_on(bed: &mut Bed) {
    for queue in ["a", "z"] {
        let before = newest(bed, queue);
        until("it is ticked thrice", || newest(bed, queue) > before + 2);
        bed.insert(queue, "1");
        until("the event comes", || bed.drain(queue) == ["1"]);
        rotates(bed, queue);
    }
}

/// Not by `pgq.get_queue_info`, which the broken queue breaks.
fn newest(bed: &mut Bed, queue: &str) -> i64 {
    bed.count(&format!(
        "SELECT max(tick_id) FROM pgq.tick JOIN pgq.queue ON queue_id = tick_queue WHERE queue_name = '{queue}'"
    ))
}

/// Waits until the queue has gone once around its tables, which takes that step 2 follows each step 1.
fn rotates(bed: &mut Bed, queue: &str) {
    let current = format!("SELECT queue_cur_table::bigint FROM pgq.queue WHERE queue_name = '{queue}'");
    let mut seen = vec![bed.count(&current)];
    until("the queue has rotated thrice", || {
        assert!(bed.drain(queue).is_empty());
        let table = bed.count(&current);
        if seen.last() != Some(&table) {
            seen.push(table);
        }
        seen.len() > 3
    });
}

fn disabled_queue<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.create("disabled");
    for queue in ["disabled", "q"] {
        bed.always_due(queue);
        bed.insert(queue, "again");
    }
    for queue in ["disabled", "q"] {
        retry_all(&mut bed, queue);
    }
    bed.execute("UPDATE pgq.queue SET queue_disable_insert = true WHERE queue_name = 'disabled'");
    let ticker: T = bed.spawn(Options::all());
    until("the other's event is back", || bed.drain("q") == ["again"]);
    // The portable engine leaves the event where it is, which is no failure.
    assert!(is_portable() || ticker.stats().failing.keys().eq(["retry"]), "{:?}", ticker.stats());
    assert_eq!(bed.count("SELECT count(*) FROM pgq.retry_queue"), 1);
    bed.execute("UPDATE pgq.queue SET queue_disable_insert = false");
    until("its event is back", || bed.drain("disabled") == ["again"]);
    until("nothing fails", || ticker.stats().failing.is_empty());
}

fn retry_all(bed: &mut Bed, queue: &str) {
    bed.db.execute("SELECT pgq.ticker($1)", &[&queue]).unwrap();
    let all = "SELECT pgq.batch_retry(batch, 0), pgq.finish_batch(batch) FROM pgq.next_batch($1, 'c') AS batch \
         WHERE batch IS NOT NULL";
    while !bed.db.query(all, &[&queue]).unwrap().is_empty() {}
}

fn odd_name<T: Ticker>() {
    let mut bed = Bed::new("q");
    let name = r#"an "odd".queue's näme"#;
    bed.create(name);
    bed.always_due(name);
    bed.config(name, &at_once());
    bed.execute(
        "CREATE FUNCTION \"Odd op\"(text) RETURNS int LANGUAGE sql AS 'SELECT 0'; \
         UPDATE pgq.queue SET queue_extra_maint = '{public.Odd op}'",
    );
    let ticker: T = bed.spawn(Options::all());
    bed.is_ticked(name);
    bed.insert(name, "1");
    ticker.tick_now(name).unwrap();
    assert_eq!(bed.drain(name), ["1"]);
    let rotated = "SELECT max(queue_cur_table)::bigint FROM pgq.queue";
    until("it has rotated", || bed.drain(name).is_empty() && bed.count(rotated) > 0);
    let stats = ticker.stop();
    assert!(stats.failing.is_empty() && stats.maintained > 0, "{stats:?}");
}

fn retries_come_back<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    bed.execute("SELECT pgq.insert_event('q', 'test', n::text) FROM generate_series(1, 2500) AS n");
    retry_all(&mut bed, "q");
    assert_eq!(bed.count("SELECT count(*) FROM pgq.retry_queue"), 2500);
    let long = Options { retry: Duration::from_secs(3_600), ..Options::all() };
    let ticker: T = bed.spawn(long);
    until("all are back", || ticker.stats().retried == 2500);
    ticker.tick_now("q").unwrap();
    assert_eq!(bed.drain("q").len(), 2500);
}

fn dropped_queue<T: Ticker>() {
    let mut bed = Bed::new("broken");
    bed.execute("UPDATE pgq.tick SET tick_snapshot = '4000000000:4000000000:'");
    let ticker: T = bed.spawn(Options::ticks());
    until("it has failed", || ticker.stats().failing.len() == 2);
    bed.execute("SELECT pgq.drop_queue('broken', true)");
    until("it fails no more", || ticker.stats().failing.is_empty());
}
