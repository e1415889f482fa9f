//! What the portable engine has beyond PgQ's own, and is used where it is there.

use std::time::Duration;

use pgq_core::batch::RetryMeans;
use pgq_core::{Error, EventId, NewEvent, batch, event};

use crate::bed::{Bed, number, ready_to_rotate, rotate, tick};
use crate::driver::{Batch, Client, Consumer, Driver, Session};
use crate::engine::is_portable;

cases!(
    many_events,
    many_events_are_one_insert,
    many_events_after_a_rotation,
    some_retries,
    some_retries_are_one_statement,
    an_event_that_is_not_there,
);

/// Has the functions fail, so that it shows when they are used.
fn spoil<D: Driver>(db: &mut D::Client, function: &str) {
    let spoil = format!(
        "DO $$ BEGIN EXECUTE regexp_replace(pg_get_functiondef('{function}'::regproc), 'LANGUAGE.*', \
         E'LANGUAGE plpgsql AS ''begin raise exception $x${function} is used$x$; end'''); END $$"
    );
    db.batch_execute(&spoil).unwrap();
}

fn is_used<T>(result: pgq_core::Result<T>, function: &str) {
    let error = result.err().unwrap();
    let message = error.database().and_then(|database| database.message()).unwrap_or_default();
    assert_eq!(message, format!("{function} is used"));
}

/// The same order and values by both ways, in several chunks.
fn many_events<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let event = |number: u32| match number % 3 {
        0 => NewEvent::new("t", number.to_string()),
        1 => NewEvent::default().data(number.to_string()).extra2("x"),
        _ => NewEvent::new("", number.to_string()).extra1("").extra3("'").extra4("日本"),
    };
    assert_eq!(bed.db.insert_events("q", (0..2500).map(event))?, 2500);
    if is_portable() {
        let events: Vec<_> = (2500..2600).map(event).collect();
        let ids = bed.db.call(event::insert_all("q", &events))?;
        assert!(ids.is_sorted() && ids.len() == 100 && ids[0] > EventId(2500));
        assert!(bed.db.call(event::insert_all("q", &[]))?.is_empty());
        assert_error!(bed.db.call(event::insert_all("none", &events)), Error::QueueNotFound { queue, .. } if queue == "none",
            "P0001", ["none"]);
    }
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let mut expected = 0;
    while let Some(got) = batch.next_event()? {
        assert_eq!(NewEvent::from(&got), event(expected));
        expected += 1;
    }
    assert!(expected == 2500 || expected == 2600);
    Ok(())
}

fn many_events_are_one_insert<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    assert_eq!(bed.db.call(event::can_insert_all())?, is_portable());
    if !is_portable() {
        return Ok(());
    }
    spoil::<D>(&mut bed.db, "pgq.insert_events");
    let events = |count| (0..count).map(|_| NewEvent::new("t", "d"));
    assert_eq!(bed.db.insert_events("q", events(1000))?, 1000);
    is_used(bed.db.insert_events("q", events(1001)), "pgq.insert_events");
    bed.db.batch_execute("DROP FUNCTION pgq.insert_events")?;
    assert_eq!(bed.db.insert_events("q", events(3000))?, 3000);
    Ok(())
}

fn many_events_after_a_rotation<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    if !is_portable() {
        return Ok(());
    }
    ready_to_rotate(&mut bed);
    let mut db = bed.connect();
    db.batch_execute("SET default_transaction_isolation = 'repeatable read'")?;
    let mut transaction = db.transaction()?;
    assert_eq!(transaction.value::<i32>("SELECT 1"), 1);
    rotate::<D>(&mut bed.db);
    let refused = transaction.call(event::insert_all("q", &[NewEvent::new("t", "d")]));
    assert!(refused.as_ref().err().unwrap().is_transient());
    assert_error!(refused, Error::RotatedMeanwhile { queue, .. } if queue == "q", "40001", ["\"q\"", "again"]);
    Ok(())
}

/// Has the second of three events retried, twice over.
fn some_retries<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    if is_portable() {
        assert_eq!(bed.db.call(batch::retry_means(open))?, Some(RetryMeans::Set));
        let wish = [(EventId(2), Duration::ZERO)];
        assert_eq!(bed.db.call(event::retry_set(open, &wish))?, 1);
        assert_eq!(bed.db.call(event::retry_set(open, &wish))?, 0);
    }
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    for event in batch.events(9) {
        let event = event?;
        if number(&event) == 2 {
            batch.retry(&event, Duration::ZERO);
        }
    }
    batch.finish()?;
    bed.db.call(pgq_core::maintenance::retry_events(1))?;
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [2]);
    Ok(())
}

fn some_retries_are_one_statement<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    if !is_portable() {
        return Ok(());
    }
    spoil::<D>(&mut bed.db, "pgq.events_retry");
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let first = batch.next_event()?.unwrap();
    batch.retry(&first, Duration::ZERO);
    is_used(batch.finish_unread(), "pgq.events_retry");
    Ok(())
}

fn an_event_that_is_not_there<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    if !is_portable() {
        return Ok(());
    }
    bed.produce([1]);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let wishes = [(EventId(1), Duration::ZERO), (EventId(999), Duration::ZERO)];
    assert_error!(bed.db.call(event::retry_set(open, &wishes)), Error::EventNotFound { batch, .. } if *batch == open,
        "P0001", [open.to_string().as_str()]);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);
    Ok(())
}
