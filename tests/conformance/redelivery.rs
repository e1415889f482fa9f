use std::panic::{AssertUnwindSafe, catch_unwind};

use pgq_core::Error;
use pgq_core::batch::ChunkSize;

use crate::bed::{Bed, number, read, tick};
use crate::driver::{Batch, Consumer, Driver, LoadedBatch, NextEvents, Session};

cases!(
    a_dropped_batch_comes_again,
    writes_of_a_dropped_batch_are_gone,
    writes_of_a_finished_batch_stay,
    an_early_break_leaves_the_batch_open,
    a_finished_batch_before_the_break_is_done,
    a_panic_leaves_the_batch_open,
    an_error_of_the_loop_leaves_the_batch_open,
    unread_events_are_not_finished,
    unread_events_can_be_given_up,
    a_failed_transaction_is_not_finished,
    events_go_on_where_they_stopped,
    a_loaded_batch_that_is_dropped_comes_again,
    writes_before_it_is_loaded_are_gone,
);

fn a_dropped_batch_comes_again<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=30);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let info = batch.info().clone();
    batch.next_event()?;
    drop(batch);
    bed.produce(31..=40);
    let mut other = bed.connect();
    for db in [&mut bed.db, &mut other] {
        let mut batch = consumer.next_batch(db)?.unwrap();
        assert_eq!(batch.info(), &info);
        assert!(read::<D>(&mut batch).into_iter().eq(1..=30));
    }
    assert!(bed.drain().into_iter().eq(1..=40));
    assert!(consumer.next_batch(&mut bed.db)?.is_none());
    Ok(())
}

fn writes_of_a_dropped_batch_are_gone<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.transaction().batch_execute(&format!("INSERT INTO sink VALUES ({})", event.id))?;
    }
    assert_eq!(batch.transaction().value::<i64>("SELECT count(*) FROM sink"), 3);
    drop(batch);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    Ok(())
}

fn writes_of_a_finished_batch_stay<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.transaction().batch_execute(&format!("INSERT INTO sink VALUES ({})", event.id))?;
    }
    batch.finish()?;
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 3);
    assert!(bed.drain().is_empty());
    Ok(())
}

fn an_early_break_leaves_the_batch_open<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=30);
    let consumer = bed.consumer();
    for stop in [1, 16, 17, 30] {
        let mut events = consumer.next_events(&mut bed.db);
        for expected in 1..=stop {
            assert_eq!(number(&events.next().unwrap()?), expected);
        }
    }
    assert!(bed.drain().into_iter().eq(1..=30));
    Ok(())
}

fn a_finished_batch_before_the_break_is_done<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bed.produce(4..=6);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    for expected in 1..=4 {
        assert_eq!(number(&events.next().unwrap()?), expected);
    }
    drop(events);
    assert_eq!(bed.drain(), [4, 5, 6]);
    Ok(())
}

fn a_panic_leaves_the_batch_open<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut batch = consumer.next_batch(&mut bed.db).unwrap().unwrap();
        batch.next_event().unwrap();
        std::panic::resume_unwind(Box::new("in the loop"));
    }));
    assert!(panicked.is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut events = consumer.next_events(&mut bed.db);
        events.next().unwrap().unwrap();
        std::panic::resume_unwind(Box::new("in the loop"));
    }));
    assert!(panicked.is_err());
    // The same connection goes on.
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

fn an_error_of_the_loop_leaves_the_batch_open<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let fails = |db: &mut D::Client| -> crate::Result {
        let mut batch = consumer.next_batch(db)?.unwrap();
        while let Some(event) = batch.next_event()? {
            batch.transaction().batch_execute(&format!("SELECT 1 / (2 - {})", number(&event)))?;
        }
        Ok(batch.finish()?)
    };
    assert!(fails(&mut bed.db).is_err());
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

fn unread_events_are_not_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=40);
    let consumer = bed.consumer();
    // In the middle of a chunk, and at its end.
    for stop in [0, 1, 16, 20, 39] {
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let id = batch.info().id;
        for _ in 0..stop {
            batch.next_event()?.unwrap();
        }
        assert_error!(batch.finish(), Error::BatchUnread { batch, .. } if *batch == id, "",
            [id.to_string().as_str(), "finish_unread"]);
    }
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    for _ in 0..40 {
        batch.next_event()?.unwrap();
    }
    // All were read, though nobody has asked for the end.
    batch.finish()?;
    assert!(bed.drain().is_empty());
    Ok(())
}

fn unread_events_can_be_given_up<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let consumer = bed.consumer();
    for stop in [0, 1, 16, 30] {
        bed.produce(1..=30);
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        for _ in 0..stop {
            batch.next_event()?.unwrap();
        }
        batch.finish_unread()?;
        assert!(bed.drain().is_empty());
    }
    Ok(())
}

fn a_failed_transaction_is_not_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    batch.next_event()?;
    assert!(batch.transaction().batch_execute("SELECT 1 / 0").is_err());
    assert_error!(batch.finish(), Error::Database { .. }, "25P02", ["pgq.finish_batch"]);
    assert_eq!(bed.drain(), [1]);
    Ok(())
}

fn events_go_on_where_they_stopped<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for stop in [0, 3, 5, 16, 19, 30] {
        bed.produce(1..=30);
        let consumer = bed.consumer().chunk(ChunkSize { events: 5, ..ChunkSize::default() });
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let mut numbers: Vec<_> =
            batch.events(stop).into_iter().map(|event| number(&event.unwrap())).collect();
        numbers.extend(batch.events(2).into_iter().map(|event| number(&event.unwrap())));
        numbers.extend(read::<D>(&mut batch));
        assert!(numbers.into_iter().eq(1..=30), "{stop}");
        batch.finish()?;
    }
    tick::<D>(&mut bed.db);
    assert!(bed.drain().is_empty());
    Ok(())
}

fn a_loaded_batch_that_is_dropped_comes_again<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=30);
    let consumer = bed.consumer();
    let loaded = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    let id = loaded.info().id;
    assert!(loaded.events().iter().map(number).eq(1..=30));
    drop(loaded);
    let loaded = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    assert_eq!(loaded.info().id, id);
    loaded.finish(&mut bed.db)?;
    assert!(bed.drain().is_empty());
    Ok(())
}

/// The batch comes again when the process dies now, and then they would be there twice.
fn writes_before_it_is_loaded_are_gone<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=30);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    assert_eq!(number(&batch.next_event()?.unwrap()), 1);
    batch.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
    let loaded = batch.load()?;
    assert!(loaded.events().iter().map(number).eq(2..=30));
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    drop(loaded);
    let loaded = consumer.next_loaded(&mut bed.db)?.unwrap();
    assert!(loaded.events().iter().map(number).eq(1..=30));
    loaded.finish(&mut bed.db)?;
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    assert!(bed.drain().is_empty());
    Ok(())
}
