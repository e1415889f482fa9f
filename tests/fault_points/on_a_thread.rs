use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pgq_core::Result;
use pgq_core::fault_point::{Action, Hook, Point};
use pgq_sync::Consumer;
use pgq_sync::postgres::{Client, NoTls};

use crate::bed::{Bed, EVENTS, chunk, noted, once};
use crate::{BATCH, POINTS};

fn consumer(hook: Hook) -> Consumer {
    Consumer::new("q", "c").chunk(chunk()).with_fault_points(hook)
}

fn connect(bed: &Bed) -> Client {
    Client::connect(bed.database.conninfo(), NoTls).unwrap()
}

fn work(db: &mut Client, consumer: &Consumer) -> Result<()> {
    while let Some(mut batch) = consumer.next_batch(db)? {
        while let Some(event) = batch.next_event()? {
            batch.transaction().execute("INSERT INTO seen VALUES ($1)", &[&event.id.0])?;
        }
        batch.finish()?;
    }
    Ok(())
}

#[test]
fn points_are_reached_in_order() {
    let bed = Bed::new();
    let (hook, points) = noted();
    work(&mut connect(&bed), &consumer(hook)).unwrap();
    assert_eq!(*points.lock().unwrap(), BATCH);
}

#[test]
fn points_are_reached_in_order_between_batches() {
    let bed = Bed::new();
    bed.insert();
    let (hook, points) = noted();
    for event in consumer(hook).next_events(&mut connect(&bed)) {
        event.unwrap();
    }
    assert_eq!(*points.lock().unwrap(), [BATCH, BATCH].concat());
}

#[test]
fn points_are_reached_in_order_by_a_loaded_batch() {
    let bed = Bed::new();
    let (hook, points) = noted();
    let mut db = connect(&bed);
    let batch = consumer(hook).next_loaded(&mut db).unwrap().unwrap();
    batch.finish(&mut db).unwrap();
    assert_eq!(*points.lock().unwrap(), BATCH);
}

#[test]
fn errors_change_nothing() {
    for point in POINTS {
        let bed = Bed::new();
        let consumer = consumer(once(point, Action::Error));
        let mut db = connect(&bed);
        assert!(work(&mut db, &consumer).unwrap_err().is_connection(), "{point}");
        let committed = if point == Point::AfterCommit { EVENTS } else { 0 };
        assert_eq!(bed.seen(), committed, "{point}");
        work(&mut db, &consumer).unwrap();
        assert_eq!(bed.seen(), EVENTS, "{point}");
    }
}

#[test]
fn panics_change_nothing() {
    for point in POINTS {
        let bed = Bed::new();
        let consumer = consumer(once(point, Action::Panic));
        let mut db = connect(&bed);
        catch_unwind(AssertUnwindSafe(|| work(&mut db, &consumer))).unwrap_err();
        work(&mut db, &consumer).unwrap();
        assert_eq!(bed.seen(), EVENTS, "{point}");
    }
}

#[test]
fn sleeps() {
    let bed = Bed::new();
    let (start, pause) = (Instant::now(), Duration::from_millis(50));
    work(&mut connect(&bed), &consumer(once(Point::MidFetch, Action::Sleep(pause)))).unwrap();
    assert!(start.elapsed() >= pause);
    assert_eq!(bed.seen(), EVENTS);
}
