use std::sync::atomic::{AtomicBool, Ordering};

use pgq_core::chrono::{TimeDelta, Utc};
use pgq_core::{Error, NewEvent, event, maintenance, tick};
use pgq_testkit::Database;

use crate::bed::{
    Bed, drain, is_past_rotation, ready_to_rotate, rotate, tick as make_tick, until, wait_for_waiters,
};
use crate::driver::{Client, Consumer, Driver, Session, Transaction};

cases!(
    before_the_commit,
    between_snapshot_and_insert,
    while_an_insert_waits_for_a_lock,
    while_many_inserts_wait_for_a_lock,
    while_a_move_back_waits_for_a_lock,
    between_the_table_and_the_copy,
    in_the_middle_of_a_copy,
    between_the_steps,
    while_a_batch_is_read,
    all_the_time,
);

/// Rotates, and moves the consumer past the rotation. A producer without a transaction id does not keep it from that, and what it
/// then writes into the old table is not looked for there any more; one with an id does.
pub(crate) fn rotate_away<D: Driver>(db: &mut D::Client) {
    const HELD: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
         AND datname = current_database() AND pid <> pg_backend_pid())";
    rotate::<D>(db);
    until("the consumer is past the rotation, or held", || {
        make_tick::<D>(db);
        assert!(drain::<D>(db, &D::Consumer::new("q", "c")).is_empty());
        db.value(HELD) || is_past_rotation::<D>(db)
    });
}

/// Does so from a thread that has no runtime: a copy's events are made inside one.
fn rotate_elsewhere<D: Driver>(database: &Database) {
    let conninfo = database.conninfo();
    let rotated = std::thread::scope(|scope| {
        scope.spawn(|| rotate_away::<D>(&mut D::Client::connect(conninfo).unwrap())).join()
    });
    rotated.unwrap();
}

fn before_the_commit<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let mut producer = bed.connect();
    let mut open = producer.transaction()?;
    open.insert_event("q", "number", "1")?;
    rotate_away::<D>(&mut bed.db);
    open.insert_event("q", "number", "2")?;
    open.commit()?;
    bed.produce([3]);
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

/// Without an id of its own the transaction would write into the table of its snapshot, where nobody looks any more.
fn between_snapshot_and_insert<D: Driver>() -> crate::Result {
    for id_first in [false, true] {
        let mut bed = Bed::<D>::new()?;
        ready_to_rotate(&mut bed);
        let mut producer = bed.connect();
        let mut open = producer.transaction()?;
        open.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        if id_first {
            open.call(tick::current_txid())?;
        } else {
            open.query("SELECT 1")?;
        }
        rotate_away::<D>(&mut bed.db);
        let inserted = open.insert_event("q", "number", "1");
        open.commit()?;
        make_tick::<D>(&mut bed.db);
        if id_first {
            assert!(inserted.is_ok());
            assert_eq!(bed.drain(), [1]);
        } else {
            assert!(matches!(inserted, Err(Error::RotatedMeanwhile { .. })), "{inserted:?}");
            assert!(bed.drain().is_empty());
        }
    }
    Ok(())
}

/// The insert knows its table, waits for it, and writes into it after it was rotated away.
fn waits_for_a_lock<D: Driver>(insert: impl Fn(&mut D::Client) + Sync, expected: &[u32]) -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let (mut holder, conninfo) = (bed.connect(), bed.database.conninfo().to_owned());
    // The first number that is taken of a sequence is logged, for which the transaction gets an id; the next ones are not.
    bed.db.batch_execute("BEGIN; SELECT pgq.insert_event('q', 'number', '0'); ROLLBACK")?;
    let table = bed.db.call(event::current_table("q"))?;
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE"))?;
    let (insert, conninfo, bed_db) = (&insert, &conninfo, &mut bed.db);
    // By value, so that a failed assertion lets go of the lock before the producer is waited for.
    std::thread::scope(move |scope| -> crate::Result {
        let mut holder = holder;
        let producer = scope.spawn(move || insert(&mut D::Client::connect(conninfo).unwrap()));
        wait_for_waiters::<D>(bed_db, 1);
        rotate_away::<D>(bed_db);
        holder.batch_execute("COMMIT")?;
        producer.join().unwrap();
        Ok(())
    })?;
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), expected);
    Ok(())
}

fn while_an_insert_waits_for_a_lock<D: Driver>() -> crate::Result {
    waits_for_a_lock::<D>(|db| assert!(db.insert_event("q", "number", "1").is_ok()), &[1])?;
    waits_for_a_lock::<D>(|db| assert!(db.insert("q", &NewEvent::new("number", "1")).is_ok()), &[1])
}

fn while_many_inserts_wait_for_a_lock<D: Driver>() -> crate::Result {
    let new = || [NewEvent::new("number", "1"), NewEvent::new("number", "2")];
    waits_for_a_lock::<D>(|db| assert!(db.insert_events("q", new()).is_ok()), &[1, 2])?;
    waits_for_a_lock::<D>(|db| assert!(db.call(event::insert_many("q", &new())).is_ok()), &[1, 2])?;
    let raw = |db: &mut D::Client| {
        assert!(db.call(event::insert_raw("q", None, None, None, None, &new()[0])).is_ok());
    };
    waits_for_a_lock::<D>(raw, &[1])?;
    let copy = |db: &mut D::Client| {
        let mut transaction = db.transaction().unwrap();
        transaction.copy_events("q", new()).unwrap();
        transaction.commit().unwrap();
    };
    waits_for_a_lock::<D>(copy, &[1, 2])
}

/// An event that is to be retried must not go into the table where nobody looks any more either.
fn while_a_move_back_waits_for_a_lock<D: Driver>() -> crate::Result {
    let (due, new) = (Utc::now() - TimeDelta::hours(1), NewEvent::new("number", "1"));
    let moves = [|| maintenance::retry_events(1), || maintenance::retry_events_enabled(10)];
    for move_back in moves {
        let moved = |db: &mut D::Client| {
            db.call(event::retry_raw("q", "c", due, None, due, Some(1), &new)).unwrap();
            assert_eq!(db.call(move_back()).unwrap(), 1);
        };
        waits_for_a_lock::<D>(moved, &[1])?;
    }
    Ok(())
}

fn between_the_table_and_the_copy<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let mut producer = bed.connect();
    let mut open = producer.transaction()?;
    let table = open.call(event::current_table("q"))?;
    rotate_away::<D>(&mut bed.db);
    open.batch_execute(&format!(
        "INSERT INTO {table} (ev_time, ev_type, ev_data) VALUES (now(), 'number', '1')"
    ))?;
    open.commit()?;
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1]);
    Ok(())
}

fn in_the_middle_of_a_copy<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let mut producer = bed.connect();
    let mut open = producer.transaction()?;
    let events = (0..10).map(|number: u32| {
        if number == 5 {
            rotate_elsewhere::<D>(&bed.database);
        }
        NewEvent::new("number", number.to_string())
    });
    assert_eq!(open.copy_events("q", events)?, 10);
    open.copy_events("q", [NewEvent::new("number", "10")])?;
    open.commit()?;
    make_tick::<D>(&mut bed.db);
    assert!(bed.drain().into_iter().eq(0..=10));
    Ok(())
}

fn between_the_steps<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let mut producer = bed.connect();
    let mut open = producer.transaction()?;
    open.insert_event("q", "number", "1")?;
    bed.db.call(maintenance::rotate_step1("q"))?;
    bed.db.insert_event("q", "number", "2")?;
    open.insert_event("q", "number", "3")?;
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [2]);
    open.commit()?;
    bed.db.call(maintenance::rotate_step2())?;
    bed.produce([4]);
    assert_eq!(bed.drain(), [1, 3, 4]);
    Ok(())
}

fn while_a_batch_is_read<D: Driver>() -> crate::Result {
    use crate::driver::Batch;

    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    bed.produce(1..=40);
    let mut other = bed.connect();
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    batch.next_event()?.unwrap();
    rotate::<D>(&mut other);
    assert!(crate::bed::read::<D>(&mut batch).into_iter().eq(2..=40));
    drop(batch);
    assert!(bed.drain().into_iter().eq(1..=40));
    Ok(())
}

/// Producers of all kinds, a ticker and a consumer, until the tables have rotated three times.
fn all_the_time<D: Driver>() -> crate::Result {
    const KINDS: [u32; 4] = [0, 1_000_000, 2_000_000, 3_000_000];

    let mut bed = Bed::<D>::new()?;
    let config = pgq_core::QueueConfig::new().rotation_period(std::time::Duration::ZERO);
    bed.db.set_config("q", &config)?;
    let rotated = AtomicBool::new(false);
    let conninfo = bed.database.conninfo().to_owned();
    let produce = |first: u32| {
        let mut db = D::Client::connect(&conninfo).unwrap();
        let mut number = first;
        while !rotated.load(Ordering::SeqCst) {
            produce_one::<D>(&mut db, first, number);
            number += 1;
        }
        first..number
    };
    let (mut delivered, expected) = std::thread::scope(|scope| {
        let produce = &produce;
        let producers = KINDS.map(|first| scope.spawn(move || produce(first)));
        let stop = StopOnDrop(&rotated);
        let (mut delivered, mut rotations) = (Vec::new(), 0);
        until("the tables have rotated thrice", || {
            let last_round = producers.iter().all(|producer| producer.is_finished());
            let table = bed.db.info("q").unwrap().unwrap().current_table;
            bed.db.call(maintenance::rotate_step1("q")).unwrap();
            bed.db.call(maintenance::rotate_step2()).unwrap();
            rotations += u32::from(bed.db.info("q").unwrap().unwrap().current_table != table);
            rotated.store(rotations >= 3, Ordering::SeqCst);
            make_tick::<D>(&mut bed.db);
            delivered.extend(bed.drain());
            last_round
        });
        drop(stop);
        (delivered, producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect::<Vec<_>>())
    });
    delivered.sort_unstable();
    assert_eq!(delivered, expected);
    Ok(())
}

/// Lets the producers end also when the consumer panics.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn produce_one<D: Driver>(db: &mut D::Client, kind: u32, number: u32) {
    let new = NewEvent::new("number", number.to_string());
    if kind == 0 {
        db.insert("q", &new).unwrap();
    } else if kind == 1_000_000 {
        db.insert_events("q", [new]).unwrap();
    } else {
        let mut transaction = db.transaction().unwrap();
        if kind == 2_000_000 {
            transaction.copy_events("q", [new]).unwrap();
        } else {
            transaction.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").unwrap();
            transaction.call(tick::current_txid()).unwrap();
            match transaction.insert("q", &new) {
                Ok(_) => {}
                // A rotation that was under way at the snapshot is the older one also where the id came at once.
                Err(Error::RotatedMeanwhile { .. }) => {
                    transaction.rollback().unwrap();
                    return produce_one::<D>(db, kind, number);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        transaction.commit().unwrap();
    }
}
