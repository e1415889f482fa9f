use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pgq_core::{Error, NewEvent, QueueConfig, event, maintenance, tick};

use crate::bed::{Bed, ready_to_rotate, tick as make_tick, until};
use crate::driver::{Client, Driver, Session, Transaction};
use crate::rotation::{StopOnDrop, rotate_away};

cases!(
    a_rotation_after_the_snapshot_is_refused,
    several_rotations_after_the_snapshot_are_refused,
    a_rotation_after_the_id_is_fine,
    a_rotation_before_the_snapshot_is_fine,
    a_rotation_of_another_queue_is_fine,
    no_rotation_is_fine,
    a_refused_transaction_goes_on,
    read_committed_needs_nothing,
    what_is_no_rotation_keeps_its_error,
    rotations_all_the_time,
);

const LEVELS: [&str; 2] = ["repeatable read", "serializable"];

/// What a transaction does before it inserts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Begin {
    /// Reads.
    Snapshot,
    /// Takes its id.
    Id,
}

/// The ways to insert; each inserts its number.
const WAYS: u32 = 7;

fn insert_by<D: Driver>(way: u32, open: &mut D::Transaction<'_>) -> pgq_core::Result<()> {
    let text = way.to_string();
    let new = [NewEvent::new("number", text.as_str())];
    match way {
        0 => open.insert_event("q", "number", &text).map(|_| ()),
        1 => open.insert("q", &new[0]).map(|_| ()),
        2 => open.call(event::insert_many("q", &new)).map(|_| ()),
        3 => open.insert_events("q", new).map(|_| ()),
        4 => open.call(event::insert_raw("q", None, None, None, None, &new[0])).map(|_| ()),
        5 => open.copy_events("q", new).map(|_| ()),
        _ => {
            let table = open.call(event::current_table("q"))?;
            Ok(open.batch_execute(&format!(
                "INSERT INTO {table} (ev_time, ev_type, ev_data) VALUES (now(), 'number', '{way}')"
            ))?)
        }
    }
}

fn begun<'c, D: Driver>(producer: &'c mut D::Client, level: &str, begin: Begin) -> D::Transaction<'c> {
    let mut open = producer.transaction().unwrap();
    open.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}")).unwrap();
    match begin {
        Begin::Snapshot => drop(open.query("SELECT 1").unwrap()),
        Begin::Id => drop(open.call(tick::current_txid()).unwrap()),
    }
    open
}

/// A queue that can be rotated, and a table for other work.
fn rotatable<D: Driver>() -> crate::Result<Bed<D>> {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE work (x int)")?;
    ready_to_rotate(&mut bed);
    Ok(bed)
}

fn assert_refused<D: Driver>(open: &mut D::Transaction<'_>, ways: impl IntoIterator<Item = u32>) {
    for way in ways {
        let result = insert_by::<D>(way, open);
        assert!(
            result.as_ref().is_err_and(|error| error.is_transient() && !error.is_connection()),
            "{way}: {result:?}"
        );
        assert_error!(result, Error::RotatedMeanwhile { queue, .. } if queue == "q", "",
            ["\"q\"", "rotated", "run the transaction again", "SELECT txid_current()"]);
    }
}

fn a_rotation_after_the_snapshot_is_refused<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    for level in LEVELS {
        for writes in [false, true] {
            let mut open = begun::<D>(&mut producer, level, Begin::Snapshot);
            rotate_away::<D>(&mut bed.db);
            if writes {
                open.batch_execute("INSERT INTO work VALUES (1)")?;
            }
            // All ways, and each a second time.
            assert_refused::<D>(&mut open, (0..WAYS).chain(0..WAYS));
            open.commit()?;
            ready_to_rotate(&mut bed);
        }
    }
    // Each way as the one that finds out.
    for way in 0..WAYS {
        let mut open = begun::<D>(&mut producer, LEVELS[0], Begin::Snapshot);
        rotate_away::<D>(&mut bed.db);
        assert_refused::<D>(&mut open, [way]);
        open.rollback()?;
        ready_to_rotate(&mut bed);
    }
    make_tick::<D>(&mut bed.db);
    assert!(bed.drain().is_empty());
    Ok(())
}

/// Three rotations lead to the table that the snapshot takes for the current one, four empty its next one again.
fn several_rotations_after_the_snapshot_are_refused<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    for rotations in 2..=7 {
        let mut open = begun::<D>(&mut producer, LEVELS[rotations % 2], Begin::Snapshot);
        for _ in 0..rotations {
            rotate_away::<D>(&mut bed.db);
        }
        assert_refused::<D>(&mut open, 0..WAYS);
        open.commit()?;
        ready_to_rotate(&mut bed);
    }
    Ok(())
}

fn a_rotation_after_the_id_is_fine<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    for level in LEVELS {
        let mut open = begun::<D>(&mut producer, level, Begin::Id);
        rotate_away::<D>(&mut bed.db);
        open.batch_execute("INSERT INTO work VALUES (1)")?;
        for way in 0..WAYS {
            insert_by::<D>(way, &mut open)?;
        }
        open.commit()?;
        make_tick::<D>(&mut bed.db);
        assert!(bed.drain().into_iter().eq(0..WAYS), "{level}");
        ready_to_rotate(&mut bed);
    }
    Ok(())
}

fn a_rotation_before_the_snapshot_is_fine<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    for round in 0..6 {
        rotate_away::<D>(&mut bed.db);
        let mut open = begun::<D>(&mut producer, LEVELS[round % 2], Begin::Snapshot);
        if round > 2 {
            open.batch_execute("INSERT INTO work VALUES (1)")?;
        }
        for way in 0..WAYS {
            insert_by::<D>(way, &mut open)?;
        }
        open.commit()?;
        make_tick::<D>(&mut bed.db);
        assert!(bed.drain().into_iter().eq(0..WAYS), "{round}");
        ready_to_rotate(&mut bed);
    }
    Ok(())
}

fn a_rotation_of_another_queue_is_fine<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    bed.db.create("other")?;
    bed.db.set_config("other", &QueueConfig::new().rotation_period(Duration::ZERO))?;
    let mut producer = bed.connect();
    let mut open = begun::<D>(&mut producer, "repeatable read", Begin::Snapshot);
    bed.db.call(maintenance::rotate_step1("other"))?;
    bed.db.call(maintenance::rotate_step2())?;
    assert_eq!(bed.db.info("other")?.unwrap().current_table, 1);
    for way in 0..WAYS {
        insert_by::<D>(way, &mut open)?;
    }
    open.commit()?;
    make_tick::<D>(&mut bed.db);
    assert!(bed.drain().into_iter().eq(0..WAYS));
    Ok(())
}

fn no_rotation_is_fine<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    for level in LEVELS {
        for work in [
            "",
            "SELECT FROM work",
            "INSERT INTO work VALUES (1)",
            "SAVEPOINT s; INSERT INTO work VALUES (1)",
        ] {
            for first in 0..WAYS {
                let mut open = bed.db.transaction()?;
                open.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?;
                open.batch_execute(work)?;
                insert_by::<D>(first, &mut open)?;
                insert_by::<D>(first, &mut open)?;
                open.commit()?;
                make_tick::<D>(&mut bed.db);
                assert_eq!(bed.drain(), [first, first], "{level} {work}");
            }
        }
    }
    // The session's own level, without a transaction around the call.
    bed.db.batch_execute("SET default_transaction_isolation = 'repeatable read'")?;
    bed.db.insert_event("q", "number", "8")?;
    assert_eq!(bed.db.insert_events("q", (9..12).map(|n: u32| NewEvent::new("number", n.to_string())))?, 3);
    bed.db.batch_execute("RESET default_transaction_isolation")?;
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [8, 9, 10, 11]);
    Ok(())
}

fn a_refused_transaction_goes_on<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    let mut open = begun::<D>(&mut producer, "serializable", Begin::Snapshot);
    rotate_away::<D>(&mut bed.db);
    assert_refused::<D>(&mut open, [0]);
    open.batch_execute("INSERT INTO work VALUES (1)")?;
    open.commit()?;
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM work"), 1);
    // The advice of the error helps.
    let mut open = begun::<D>(&mut producer, "serializable", Begin::Id);
    insert_by::<D>(0, &mut open)?;
    open.commit()?;
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [0]);
    Ok(())
}

fn read_committed_needs_nothing<D: Driver>() -> crate::Result {
    let mut bed = rotatable::<D>()?;
    let mut producer = bed.connect();
    for level in ["read committed", "read uncommitted"] {
        let mut open = begun::<D>(&mut producer, level, Begin::Snapshot);
        rotate_away::<D>(&mut bed.db);
        for way in 0..WAYS {
            insert_by::<D>(way, &mut open)?;
        }
        open.commit()?;
        make_tick::<D>(&mut bed.db);
        assert!(bed.drain().into_iter().eq(0..WAYS));
        ready_to_rotate(&mut bed);
    }
    Ok(())
}

/// The second statement fails as the first one would have.
fn what_is_no_rotation_keeps_its_error<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for level in LEVELS {
        let mut open = begun::<D>(&mut bed.db, level, Begin::Snapshot);
        assert_error!(open.insert_event("none", "t", "d"), Error::QueueNotFound { queue, .. } if queue == "none", crate::engine::refused_by_c(),
            ["\"none\""]);
        open.rollback()?;
        bed.db.batch_execute("UPDATE pgq.queue SET queue_disable_insert = true")?;
        let mut open = begun::<D>(&mut bed.db, level, Begin::Snapshot);
        assert_error!(
            open.insert_event("q", "t", "d"),
            Error::InsertDisabled { .. },
            crate::engine::refused_by_c(),
            ["\"q\""]
        );
        open.rollback()?;
        bed.db.batch_execute("UPDATE pgq.queue SET queue_disable_insert = false")?;
    }
    Ok(())
}

/// Producers that read, write and insert, and begin again when they are told to, while the tables rotate and rotate.
fn rotations_all_the_time<D: Driver>() -> crate::Result {
    const PRODUCERS: u32 = 4;
    const ROTATIONS: u32 = 12;

    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE work (x int)")?;
    bed.db.set_config("q", &QueueConfig::new().rotation_period(Duration::ZERO))?;
    let (enough, conninfo) = (AtomicBool::new(false), bed.database.conninfo().to_owned());
    let produce = |first: u32| {
        let mut db = D::Client::connect(&conninfo).unwrap();
        let (mut number, mut refused) = (first, 0);
        while !enough.load(Ordering::SeqCst) {
            match produce_one::<D>(&mut db, number) {
                Ok(()) => number += 1,
                Err(error) if error.is_transient() => {
                    refused += u32::from(matches!(error, Error::RotatedMeanwhile { .. }))
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        (first..number, refused)
    };
    let (mut delivered, expected, refused) = thread::scope(|scope| {
        let produce = &produce;
        let producers: Vec<_> = (0..PRODUCERS).map(|n| scope.spawn(move || produce(n * 1_000_000))).collect();
        let stop = StopOnDrop(&enough);
        let (mut delivered, mut rotations, mut table) = (Vec::new(), 0, 0);
        until("there were enough rotations", || {
            let last_round = producers.iter().all(|producer| producer.is_finished());
            bed.db.call(maintenance::rotate_step1("q")).unwrap();
            bed.db.call(maintenance::rotate_step2()).unwrap();
            let current = bed.db.info("q").unwrap().unwrap().current_table;
            rotations += u32::from(current != table);
            table = current;
            enough.store(rotations >= ROTATIONS, Ordering::SeqCst);
            make_tick::<D>(&mut bed.db);
            delivered.extend(bed.drain());
            last_round
        });
        drop(stop);
        let (mut expected, mut refused) = (Vec::new(), 0);
        for producer in producers {
            let (numbers, times) = producer.join().unwrap();
            expected.extend(numbers);
            refused += times;
        }
        (delivered, expected, refused)
    });
    println!("{} events, {refused} times refused", expected.len());
    delivered.sort_unstable();
    assert_eq!(delivered, expected);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM work"), i64::try_from(expected.len())?);
    Ok(())
}

fn produce_one<D: Driver>(db: &mut D::Client, number: u32) -> pgq_core::Result<()> {
    let level = LEVELS[number as usize % 2];
    let mut open = db.transaction()?;
    open.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?;
    open.query("SELECT count(*) FROM pg_class")?;
    // What the program does in the meantime, so that a rotation has the time.
    thread::sleep(Duration::from_millis(u64::from(number % 50)));
    open.batch_execute(&format!("INSERT INTO work VALUES ({number})"))?;
    let new = NewEvent::new("number", number.to_string());
    match number % 3 {
        0 => open.insert("q", &new).map(|_| ())?,
        1 => open.insert_events("q", [new]).map(|_| ())?,
        _ => open.copy_events("q", [new]).map(|_| ())?,
    }
    Ok(open.commit()?)
}
