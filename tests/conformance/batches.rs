use std::time::Duration;

use pgq_core::batch::Finish;
use pgq_core::{BatchId, Error, Event, Filter, Pace, batch};

use crate::bed::{Bed, number, tick};
use crate::driver::{Client, Consumer, Driver, Session, Transaction};

cases!(
    opened,
    opened_with_its_ticks,
    opened_at_a_pace,
    joined_from_ticks,
    an_open_batch_comes_whatever_the_pace,
    looked_at,
    read_at_once,
    read_by_cursor,
    read_through_a_filter,
    finished,
    not_open,
    position_lost,
);

fn opened<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(batch::next("q", "c"))?, None);
    tick::<D>(&mut db);
    let first = db.call(batch::next("q", "c"))?.unwrap();
    assert_eq!(db.call(batch::next("q", "c"))?, Some(first));
    assert_eq!(db.call(batch::finish(first))?, Finish::Done);
    assert_eq!(db.call(batch::next("q", "c"))?, None);
    for result in [db.call(batch::next("q", "none")), db.call(batch::next("none", "none"))] {
        assert_error!(result, Error::NotSubscribed { consumer, .. } if consumer == "none", "P0001",
            ["\"none\"", "register"]);
    }
    Ok(())
}

fn opened_with_its_ticks<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(batch::next_info("q", "c"))?, None);
    let first = db.info("q")?.unwrap().last_tick.unwrap();
    let second = tick::<D>(&mut db);
    tick::<D>(&mut db);
    let opened = db.call(batch::next_info("q", "c"))?.unwrap();
    assert_eq!((opened.prev_tick, opened.tick), (first, second));
    assert!(opened.prev_tick_time <= opened.tick_time);
    assert!(opened.prev_tick_event_seq < opened.tick_event_seq);
    assert_eq!(db.call(batch::next_custom("q", "c", Pace::default()))?, Some(opened.clone()));
    assert_eq!(db.call(batch::next("q", "c"))?, Some(opened.id));
    assert_error!(
        db.call(batch::next_info("q", "none")),
        Error::NotSubscribed { .. },
        "P0001",
        ["\"q\"", "\"none\""]
    );
    Ok(())
}

fn opened_at_a_pace<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let hour = Some(Duration::from_secs(3_600));
    for pace in [
        Pace { min_lag: hour, ..Pace::default() },
        Pace { min_interval: hour, ..Pace::default() },
        Pace { min_count: Some(1_000_000), ..Pace::default() },
        Pace { min_count: Some(u32::MAX), min_interval: hour, min_lag: hour },
    ] {
        assert_eq!(bed.db.call(batch::next_custom("q", "c", pace))?, None, "{pace:?}");
        assert!(bed.consumer().pace(pace).next_batch(&mut bed.db)?.is_none(), "{pace:?}");
    }
    bed.db.batch_execute("UPDATE pgq.tick SET tick_time = tick_time - interval '1 day' * (9 - tick_id)")?;
    for pace in [
        Pace { min_lag: hour, ..Pace::default() },
        Pace { min_interval: hour, ..Pace::default() },
        Pace { min_count: Some(3), ..Pace::default() },
        Pace { min_count: Some(1_000_000), min_interval: hour, min_lag: hour },
    ] {
        let consumer = bed.consumer().pace(pace);
        let mut batch = consumer.next_batch(&mut bed.db)?.expect("old and large enough");
        assert_eq!(crate::bed::read::<D>(&mut batch), [1, 2, 3], "{pace:?}");
        drop(batch);
        consumer.register_at(&mut bed.db, pgq_core::TickId(1))?;
    }
    Ok(())
}

/// Each tick was forced, so it is some 2,000 event ids after the one before it.
fn joined_from_ticks<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for number in 1..=3 {
        bed.produce([number]);
    }
    let consumer = bed.consumer().pace(Pace { min_count: Some(4_000), ..Pace::default() });
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    assert_eq!(crate::bed::read::<D>(&mut batch), [1, 2, 3]);
    Ok(())
}

fn an_open_batch_comes_whatever_the_pace<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let pace = Pace { min_count: Some(1_000_000), ..Pace::default() };
    assert_eq!(bed.db.call(batch::next_custom("q", "c", pace))?.unwrap().id, open);
    Ok(())
}

fn looked_at<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(batch::info(BatchId(999)))?, None);
    tick::<D>(&mut db);
    let opened = db.call(batch::next_info("q", "c"))?.unwrap();
    let info = db.call(batch::info(opened.id))?.unwrap();
    assert_eq!((info.queue.as_str(), info.consumer.as_str()), ("q", "c"));
    assert_eq!((info.start, info.end), (opened.prev_tick_time, opened.tick_time));
    assert_eq!((info.prev_tick, info.tick), (opened.prev_tick, opened.tick));
    assert_eq!((info.seq_start, info.seq_end), (opened.prev_tick_event_seq, opened.tick_event_seq));
    assert!(info.lag < Duration::from_secs(60));
    assert_eq!(db.call(batch::finish(opened.id))?, Finish::Done);
    assert_eq!(db.call(batch::info(opened.id))?, None);
    Ok(())
}

fn read_at_once<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=5);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    assert_eq!(numbers(&bed.db.call(batch::events(open))?), [1, 2, 3, 4, 5]);
    assert_eq!(bed.db.call(batch::events(open))?.len(), 5);
    Ok(())
}

fn read_by_cursor<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=5);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let name = "Here's \"a\" cursor; --";
    let mut transaction = bed.db.transaction()?;
    assert_eq!(numbers(&transaction.call(batch::cursor(open, name, 2, &Filter::new()))?), [1, 2]);
    assert_eq!(numbers(&transaction.call(batch::fetch(open, name, 2))?), [3, 4]);
    assert_eq!(numbers(&transaction.call(batch::fetch(open, name, 2))?), [5]);
    assert_eq!(transaction.call(batch::fetch(open, name, 2))?, []);
    transaction.call(batch::close(name))?;
    assert_eq!(transaction.call(batch::cursor(open, name, 0, &Filter::new()))?, []);
    assert_eq!(numbers(&transaction.call(batch::fetch(open, name, 9))?), [1, 2, 3, 4, 5]);
    assert_error!(
        transaction.call(batch::cursor(open, name, 1, &Filter::new())),
        Error::Database { .. },
        "42P03",
        ["pgq.get_batch_cursor"]
    );
    transaction.rollback()?;

    // Without a transaction the cursor is gone with the statement.
    assert_eq!(bed.db.call(batch::cursor(open, name, 2, &Filter::new()))?.len(), 2);
    assert_error!(bed.db.call(batch::fetch(open, name, 2)), Error::Database { .. }, "34000", ["FETCH"]);
    assert_error!(bed.db.call(batch::close(name)), Error::Database { .. }, "34000", ["CLOSE"]);
    Ok(())
}

fn read_through_a_filter<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.insert_event("q", "a", "1")?;
    bed.db.insert_event("q", "b", "2")?;
    tick::<D>(&mut bed.db);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let only_b = Filter::new().types(["b"]);
    assert_eq!(numbers(&bed.db.call(batch::cursor(open, "cursor", 9, &only_b))?), [2]);
    Ok(())
}

fn finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut other = bed.connect();
    bed.produce([1]);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let mut transaction = bed.db.transaction()?;
    assert_eq!(transaction.call(batch::finish(open))?, Finish::Done);
    assert_eq!(transaction.call(batch::finish(open))?, Finish::NotOpen);
    transaction.rollback()?;
    assert_eq!(other.call(batch::finish(open))?, Finish::Done);
    assert_eq!(other.call(batch::finish(open))?, Finish::NotOpen);
    assert_eq!(other.call(batch::finish(BatchId(999)))?, Finish::NotOpen);
    Ok(())
}

fn not_open<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let none = BatchId(999);
    for result in [db.call(batch::events(none)), db.call(batch::cursor(none, "cursor", 1, &Filter::new()))] {
        assert_error!(result, Error::BatchNotFound { batch: BatchId(999), .. }, "P0001", ["999"]);
    }
    assert_error!(
        db.call(batch::retry(none, Duration::ZERO)),
        Error::BatchNotFound { batch: BatchId(999), .. },
        "P0001",
        ["999"]
    );
    Ok(())
}

fn position_lost<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    bed.db.batch_execute("DELETE FROM pgq.tick WHERE tick_id = 1")?;
    assert_error!(bed.consumer().next_batch(&mut bed.db),
        Error::PositionLost { queue, consumer, .. } if queue == "q" && consumer == "c", "P0001",
        ["\"q\"", "\"c\"", "Consumer::register_at"]);
    Ok(())
}

fn numbers(events: &[Event]) -> Vec<u32> {
    events.iter().map(number).collect()
}
