use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, thread};

use pgq_sync::Consumer;
use pgq_sync::postgres::error::SqlState;
use pgq_sync::postgres::{Client, Error, IsolationLevel, NoTls, Transaction};

/// Eight producers of all kinds, while the tables rotate as fast as they can: nothing is lost, nothing comes twice.
#[test]
fn nothing_is_lost_or_repeated() -> crate::Result {
    let seconds = env::var("PGQ_TEST_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(30);
    let database = crate::bed::portable();
    let conninfo = database.conninfo().to_owned();
    let mut db = Client::connect(&conninfo, NoTls)?;
    db.batch_execute(
        "SELECT pgq.create_queue('q'), pgq.set_queue_config('q', 'rotation_period', '0'), pgq.register_consumer('q', 'c')",
    )?;
    let state = Arc::new(State::default());
    let mut threads = Vec::new();
    for producer in 0..8 {
        let (conninfo, state) = (conninfo.clone(), Arc::clone(&state));
        threads.push(thread::spawn(move || produce(&conninfo, producer, &state)));
    }
    let maintenance = {
        let (conninfo, state) = (conninfo.clone(), Arc::clone(&state));
        thread::spawn(move || maintain(&conninfo, &state))
    };
    let mut seen = BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        consume_one(&mut db, &mut seen);
    }
    state.producers_stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("a producer failed");
    }
    let produced = state.produced.lock().unwrap().clone();
    let give_up = Instant::now() + Duration::from_secs(60);
    while seen.len() < produced.len() && Instant::now() < give_up {
        consume_one(&mut db, &mut seen);
    }
    state.maintenance_stops.store(true, Ordering::Relaxed);
    maintenance.join().expect("the maintenance failed");
    while consume_one(&mut db, &mut seen) {}

    let lost: Vec<_> = produced.iter().filter(|event| !seen.contains_key(*event)).collect();
    let repeated: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    let rotations = state.rotations.load(Ordering::Relaxed);
    println!(
        "{} events, {rotations} rotations, {} transactions run again",
        produced.len(),
        state.run_again.load(Ordering::Relaxed)
    );
    assert!(lost.is_empty(), "{} of {} events are lost: {lost:?}", lost.len(), produced.len());
    assert!(repeated.is_empty(), "{repeated:?}");
    assert_eq!(seen.len(), produced.len());
    // How many more is a matter of speed.
    assert!(rotations >= 3, "only {rotations} rotations: none came back to the table that it began with");
    Ok(())
}

#[derive(Default)]
struct State {
    produced: Mutex<Vec<String>>,
    rotations: AtomicU64,
    run_again: AtomicU64,
    producers_stop: AtomicBool,
    maintenance_stops: AtomicBool,
}

fn produce(conninfo: &str, producer: usize, state: &State) {
    let mut db = Client::connect(conninfo, NoTls).unwrap();
    let isolation =
        if producer % 2 == 0 { IsolationLevel::ReadCommitted } else { IsolationLevel::RepeatableRead };
    let insert = match producer / 2 {
        0 => insert_at_once,
        1 => insert_after_rotation,
        2 => copy_at_once,
        _ => copy_after_rotation,
    };
    for round in 0.. {
        if state.producers_stop.load(Ordering::Relaxed) {
            return;
        }
        let event = format!("{producer}-{round}");
        let done = db.build_transaction().isolation_level(isolation).start().and_then(|mut transaction| {
            insert(&mut transaction, &event, state)?;
            transaction.commit()
        });
        match done {
            Ok(()) => state.produced.lock().unwrap().push(event),
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                state.run_again.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("producer {producer}: {error:?}"),
        }
    }
}

fn insert_at_once(transaction: &mut Transaction<'_>, event: &str, _: &State) -> Result<(), Error> {
    transaction.execute("SELECT pgq.insert_event('q', 'load', $1)", &[&event]).map(drop)
}

fn insert_after_rotation(transaction: &mut Transaction<'_>, event: &str, state: &State) -> Result<(), Error> {
    wait_for_rotation(transaction, state)?;
    insert_at_once(transaction, event, state)
}

fn copy_at_once(transaction: &mut Transaction<'_>, event: &str, _: &State) -> Result<(), Error> {
    let row = transaction.query_one("SELECT pgq.current_event_table('q')", &[])?;
    let table: String = row.get(0);
    let mut copy = transaction.copy_in(&format!("COPY {table} (ev_time, ev_type, ev_data) FROM STDIN"))?;
    copy.write_all(format!("now\tload\t{event}\n").as_bytes()).unwrap();
    copy.finish().map(drop)
}

fn copy_after_rotation(transaction: &mut Transaction<'_>, event: &str, state: &State) -> Result<(), Error> {
    wait_for_rotation(transaction, state)?;
    copy_at_once(transaction, event, state)
}

/// Takes a snapshot, if the transaction keeps one, and waits until the tables were rotated after that.
fn wait_for_rotation(transaction: &mut Transaction<'_>, state: &State) -> Result<(), Error> {
    transaction.query_one("SELECT count(*) FROM pgq.queue", &[])?;
    let before = state.rotations.load(Ordering::Relaxed);
    while state.rotations.load(Ordering::Relaxed) == before && !state.producers_stop.load(Ordering::Relaxed) {
        thread::yield_now();
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn maintain(conninfo: &str, state: &State) {
    let mut db = Client::connect(conninfo, NoTls).unwrap();
    let current = "SELECT queue_cur_table FROM pgq.queue";
    while !state.maintenance_stops.load(Ordering::Relaxed) {
        db.query("SELECT pgq.force_tick('q')", &[]).unwrap();
        db.query("SELECT pgq.ticker('q')", &[]).unwrap();
        let before: i32 = db.query_one(current, &[]).unwrap().get(0);
        db.query("SELECT pgq.maint_rotate_tables_step1('q')", &[]).unwrap();
        db.query("SELECT pgq.maint_rotate_tables_step2()", &[]).unwrap();
        let after: i32 = db.query_one(current, &[]).unwrap().get(0);
        if after != before {
            state.rotations.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One batch at a time: the next is often there before this one is done, so a loop until there is none may not end.
fn consume_one(db: &mut Client, seen: &mut BTreeMap<String, usize>) -> bool {
    let Some(mut batch) = Consumer::new("q", "c").next_batch(db).unwrap() else { return false };
    while let Some(event) = batch.next_event().unwrap() {
        *seen.entry(event.data.unwrap()).or_default() += 1;
    }
    batch.finish().unwrap();
    true
}
