//! What goes wrong without the rules that the drivers keep to. The same comparison as in the other scenarios has to find it: one that
//! finds nothing there would find nothing elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pgq_core::QueueConfig;
use pgq_sync::Queue;
use pgq_sync::postgres::error::SqlState;
use pgq_sync::postgres::{Client, Error, IsolationLevel};
use pgq_testkit::{until, until_within};

use crate::bed::{Bed, Figures, QUEUE, Role, Run, patient, value};

// Plain SQL: neither driver has a part in it but to produce.
cases!(portable, Sync, Portable: a_finish_that_nobody_looks_at_duplicates tickers_without_a_lock_invert_ticks
    producers_without_an_id_lose_events);
cases!(extension, Sync, Extension: a_finish_that_nobody_looks_at_duplicates tickers_without_a_lock_invert_ticks
    producers_without_an_id_lose_events);

/// Two consumers of one name, which commit whatever `pgq.finish_batch` answers.
fn a_finish_that_nobody_looks_at_duplicates(run: Run) -> crate::Result {
    let bed = Bed::new(run)?;
    bed.register(&Role::consumer_of("naive"))?;
    let _tickers = bed.tickers(1);
    let producers = bed.producers(4, 4_000);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> crate::Result {
        let _stop = StopOnDrop(&stop);
        let looping = || scope.spawn(|| consume(&mut bed.connect(), &stop));
        let consumers = [looping(), looping()];
        producers.join();
        let mut db = bed.connect();
        let pending = "SELECT EXISTS (SELECT FROM sent LEFT JOIN sink_naive USING (producer, seq) WHERE sink_naive.seq IS NULL)";
        until("they have seen all", || !value::<bool>(&mut db, pending, &[]));
        stop.store(true, Ordering::SeqCst);
        consumers.into_iter().try_for_each(|consumer| consumer.join().unwrap())?;
        Ok(())
    })?;
    let truth = bed.truth("naive");
    Figures::of(&bed.run).truth("consumers", &truth).print();
    assert!(truth.duplicated > 0, "{truth}");
    assert_eq!((truth.lost, truth.phantom), (0, 0), "{truth}");
    Ok(())
}

/// A check that fails leaves no loop behind, which its scope would wait for.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn consume(db: &mut Client, stop: &AtomicBool) -> Result<(), Error> {
    const WRITE: &str = "INSERT INTO sink_naive SELECT split_part(ev_data, ':', 1)::int, split_part(ev_data, ':', 2)::bigint, ev_id \
         FROM pgq.get_batch_events($1)";
    while !stop.load(Ordering::SeqCst) {
        let batch: Option<i64> = value(db, "SELECT pgq.next_batch($1, 'naive')", &[&QUEUE]);
        let Some(batch) = batch else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let mut transaction = db.transaction()?;
        // The other one may have finished it.
        if transaction.execute(WRITE, &[&batch]).is_err() {
            continue;
        }
        transaction.batch_execute("SELECT pg_sleep(0.005)")?;
        transaction.query_one("SELECT pgq.finish_batch($1)", &[&batch])?;
        transaction.commit()?;
    }
    Ok(())
}

/// Six loops around `pgq.ticker()`, and a ticker that comes late with its snapshot. On the portable engine ticks of a queue wait for each
/// other, so they cannot overtake.
fn tickers_without_a_lock_invert_ticks(run: Run) -> crate::Result {
    const ENOUGH: i64 = 1_000;
    let bed = Bed::new(run)?;
    let config = QueueConfig::new().ticker_max_lag(Duration::ZERO).ticker_max_count(1);
    Queue::new(QUEUE).set_config(&mut bed.connect(), &config)?;
    let producers = bed.producers(2, 1_000_000);
    let stop = AtomicBool::new(false);
    let mut db = bed.connect();
    let mut ticks = || value::<i64>(&mut db, "SELECT max(tick_id) FROM pgq.tick", &[]);
    thread::scope(|scope| -> crate::Result {
        let _stop = StopOnDrop(&stop);
        let tickers: Vec<_> = (0..6).map(|_| scope.spawn(|| tick(&mut bed.connect(), &stop))).collect();
        until("there is a tick", || ticks() > 1);
        tick_late(&bed)?;
        until_within(patient(Duration::from_secs(60)), "were enough ticks", || ticks() > ENOUGH);
        stop.store(true, Ordering::SeqCst);
        tickers.into_iter().try_for_each(|ticker| ticker.join().unwrap())?;
        Ok(())
    })?;
    producers.stop();
    producers.join();
    let inversions = bed.inversions();
    Figures::of(&bed.run).add("ticks", ticks()).add("inverted", inversions).print();
    assert_eq!(inversions == 0, bed.run.is_portable(), "{inversions}");
    Ok(())
}

/// Ticks with a snapshot from before another tick. The portable engine refuses that.
fn tick_late(bed: &Bed) -> crate::Result {
    const NEWEST: &str = "SELECT max(tick_id) FROM pgq.tick";
    let (mut late, mut db) = (bed.connect(), bed.connect());
    let mut late = late.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start()?;
    let seen: i64 = late.query_one(NEWEST, &[])?.get(0);
    until("others have ticked", || value::<i64>(&mut db, NEWEST, &[]) > seen + 1);
    match late.query_one("SELECT pgq.force_tick($1), pgq.ticker($1)", &[&QUEUE]) {
        Ok(_) => Ok(late.commit()?),
        Err(error) if bed.run.is_portable() && error.code().is_some() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn tick(db: &mut Client, stop: &AtomicBool) -> Result<(), Error> {
    while !stop.load(Ordering::SeqCst) {
        db.query_one("SELECT pgq.ticker()", &[])?;
    }
    Ok(())
}

/// A transaction that keeps its snapshot from before a rotation, and gets its id after it, writes where nobody looks. The portable
/// engine refuses that.
fn producers_without_an_id_lose_events(run: Run) -> crate::Result {
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("alone");
    bed.register(&role)?;
    let config = QueueConfig::new().rotation_period(Duration::ZERO);
    Queue::new(QUEUE).set_config(&mut bed.connect(), &config)?;
    let _tickers = bed.tickers(1);
    let _worker = bed.job(role).start();
    let mut producer = bed.connect();
    producer.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM sent")?;

    let mut db = bed.connect();
    let table = |db: &mut Client| value::<i32>(db, "SELECT queue_cur_table FROM pgq.queue", &[]);
    let before = table(&mut db);
    until("the tables are rotated", || {
        bed.wait_for_top(Duration::from_secs(10));
        db.query("SELECT pgq.maint_rotate_tables_step1($1)", &[&QUEUE]).unwrap();
        db.query("SELECT pgq.maint_rotate_tables_step2()", &[]).unwrap();
        table(&mut db) != before
    });
    bed.wait_for_top(Duration::from_secs(10));

    let write = "INSERT INTO sent VALUES (1, 1); SELECT pgq.insert_event('q', 'number', '1:1')";
    let committed = producer.batch_execute(write).and_then(|()| producer.batch_execute("COMMIT"));
    bed.wait_for_top(Duration::from_secs(10));
    let truth = bed.truth("alone");
    let refused = committed.err().and_then(|error| error.code().cloned());
    Figures::of(&bed.run).truth("consumer", &truth).add("refused", format!("{refused:?}")).print();
    match bed.run.is_portable() {
        true => assert_eq!((truth.sent, refused), (0, Some(SqlState::T_R_SERIALIZATION_FAILURE))),
        false => assert_eq!((truth.lost, refused), (1, None)),
    }
    Ok(())
}
