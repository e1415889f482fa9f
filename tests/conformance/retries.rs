use std::time::Duration;

use pgq_core::{BatchId, Error, EventId, Filter, Pace, TickId, batch, event, maintenance};
use pgq_testkit::Database;

use crate::bed::{Bed, drain, ids, number, tick};
use crate::driver::{Attached, Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session};
use crate::engine::is_portable;
use crate::privileges::Login;

cases!(
    counts_up,
    only_for_that_consumer,
    not_when_the_batch_is_dropped,
    later,
    the_last_wish_counts,
    from_next_events,
    too_late,
    of_an_event_of_another_batch,
    from_a_loaded_batch,
    from_a_loaded_batch_in_a_loop,
    through_a_filter,
    all_by_one_statement,
    several_by_an_admin,
    several_by_a_reader,
    an_event_that_is_there_twice,
);

/// Queue `q` with these events in an open batch.
pub(crate) fn opened<D: Driver>(bed: &mut Bed<D>, count: u32) -> (BatchId, Vec<EventId>) {
    bed.produce(1..=count);
    let open = bed.db.call(batch::next("q", "c")).unwrap().unwrap();
    (open, ids(&bed.db.call(batch::events(open)).unwrap()))
}

/// Has the due events moved back and gives what is delivered then, with the retry counts.
pub(crate) fn retried<D: Driver>(bed: &mut Bed<D>) -> Vec<(u32, u32)> {
    bed.db.call(maintenance::retry_events(10)).unwrap();
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    std::iter::from_fn(|| events.next()).map(|event| event.map(|e| (number(&e), e.retry)).unwrap()).collect()
}

pub(crate) fn done<D: Driver>(db: &mut D::Client, open: BatchId) {
    assert_eq!(db.call(batch::finish(open)).unwrap(), batch::Finish::Done);
}

fn counts_up<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    for retry in 0..4 {
        let consumer = bed.consumer();
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let event = batch.next_event()?.unwrap();
        assert_eq!((number(&event), event.retry, event.id), (1, retry, EventId(1)));
        batch.retry(&event, Duration::ZERO);
        batch.finish_unread()?;
        bed.db.call(maintenance::retry_events(1))?;
        tick::<D>(&mut bed.db);
    }
    Ok(())
}

fn only_for_that_consumer<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let other = D::Consumer::new("q", "other");
    other.register(&mut bed.db)?;
    let (open, ids) = opened(&mut bed, 2);
    bed.db.call(event::retry_after(open, ids[0], Duration::ZERO))?;
    done::<D>(&mut bed.db, open);
    assert_eq!(drain::<D>(&mut bed.db, &other), [1, 2]);
    assert_eq!(retried(&mut bed), [(1, 1)]);
    assert!(drain::<D>(&mut bed.db, &other).is_empty());
    assert_eq!(other.info(&mut bed.db)?.unwrap().last_tick, bed.db.info("q")?.unwrap().last_tick);
    Ok(())
}

fn not_when_the_batch_is_dropped<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.retry(&event, Duration::ZERO);
    drop(batch);
    assert_eq!(bed.drain(), [1, 2]);
    assert_eq!(retried(&mut bed), []);
    Ok(())
}

fn later<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let delays = [Duration::from_millis(1), Duration::from_secs(100), Duration::MAX];
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    for delay in delays {
        let event = batch.next_event()?.unwrap();
        batch.retry(&event, delay);
    }
    batch.finish()?;
    let due = bed.db.query(
        "SELECT extract(epoch FROM ev_retry_after - now())::float8 FROM pgq.retry_queue ORDER BY ev_id",
    )?;
    let due: Vec<f64> = due.iter().map(|row| row.get(0)).collect();
    // Rounded up to a whole second, and as far as seconds in 32 bits go.
    for (due, expected) in due.into_iter().zip([1.0, 100.0, f64::from(i32::MAX)]) {
        assert!(due > expected - 60.0 && due <= expected, "{due} {expected}");
    }
    Ok(())
}

fn the_last_wish_counts<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.retry(&event, Duration::from_secs(3_600));
    batch.retry(&event, Duration::ZERO);
    batch.finish_unread()?;
    assert_eq!(retried(&mut bed), [(1, 1)]);
    Ok(())
}

fn from_next_events<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bed.produce(4..=5);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    while let Some(event) = events.next() {
        let event = event?;
        if [2, 5].contains(&number(&event)) {
            events.retry(&event, Duration::ZERO)?;
        }
    }
    drop(events);
    assert_eq!(retried(&mut bed), [(2, 1), (5, 1)]);
    Ok(())
}

fn too_late<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    let event = events.next().unwrap()?;
    assert!(events.next().is_none());
    assert_error!(events.retry(&event, Duration::ZERO), Error::RetryTooLate { event, .. } if *event == EventId(1), "",
        ["event 1"]);
    Ok(())
}

/// It is too late for that one, and the later batch is as it was.
fn of_an_event_of_another_batch<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    bed.produce(2..=4);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    let first = events.next().unwrap()?;
    let second = events.next().unwrap()?;
    assert_eq!((number(&first), number(&second)), (1, 2));
    assert_error!(events.retry(&first, Duration::ZERO), Error::RetryTooLate { event, .. } if *event == first.id, "",
        ["event 1"]);
    let third = events.next().unwrap()?;
    // One that was not the last, but is of this batch.
    events.retry(&second, Duration::ZERO)?;
    assert_error!(events.retry(&first, Duration::ZERO), Error::RetryTooLate { .. }, "", ["event 1"]);
    let fourth = events.next().unwrap()?;
    assert_eq!((number(&third), number(&fourth)), (3, 4));
    assert!(events.next().is_none());
    assert_error!(
        events.retry(&fourth, Duration::ZERO),
        Error::RetryTooLate { .. },
        "",
        [fourth.id.to_string().as_str()]
    );
    drop(events);
    let info = consumer.info(&mut bed.db)?.unwrap();
    assert_eq!((info.current_batch, info.last_tick), (None, bed.db.info("q")?.unwrap().last_tick));
    assert_eq!(retried(&mut bed), [(2, 1)]);
    Ok(())
}

fn from_a_loaded_batch<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let mut loaded = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    let event = loaded.events()[1].clone();
    loaded.retry(&event, Duration::ZERO);
    loaded.finish(&mut bed.db)?;
    assert_eq!(retried(&mut bed), [(2, 1)]);
    Ok(())
}

fn from_a_loaded_batch_in_a_loop<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bed.produce(4..=30);
    let consumer = bed.consumer();
    let mut seen = Vec::new();
    while let Some(mut loaded) = consumer.next_loaded(&mut bed.db)? {
        for event in loaded.take_events() {
            seen.push(number(&event));
            if number(&event) % 3 == 2 {
                loaded.retry(&event, Duration::ZERO);
            }
        }
        assert!(loaded.events().is_empty() && loaded.take_events().is_empty());
        loaded.finish(&mut bed.db)?;
    }
    assert!(seen.into_iter().eq(1..=30));
    assert!(retried(&mut bed).into_iter().eq((1..=30).filter(|n| n % 3 == 2).map(|n| (n, 1))));

    bed.produce([31]);
    let mut db = bed.connect();
    let mut attached = bed.consumer().attach_mut(&mut db);
    let loaded = attached.next_loaded()?.unwrap();
    assert_eq!(number(&loaded.events()[0]), 31);
    loaded.finish(attached.client())?;
    assert!(attached.next_loaded()?.is_none());
    Ok(())
}

/// All that passed the filter is retried, which is not all of the batch.
fn through_a_filter<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for (event_type, data) in [("a", "1"), ("b", "2"), ("a", "3")] {
        bed.db.insert_event("q", event_type, data)?;
    }
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer().filter(Filter::new().types(["a"]));
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.retry(&event, Duration::ZERO);
    }
    batch.finish()?;
    assert_eq!(retried(&mut bed), [(1, 1), (3, 1)]);
    Ok(())
}

/// Reads three events as a role that may use only some of the functions, has the first `count` retried, and finishes.
fn as_role<D: Driver>(role: &str, revoked: &str, count: usize) -> crate::Result<Vec<(u32, u32)>> {
    let database: Database = crate::engine::database()?;
    let login = Login::new(&database, role);
    let mut bed = Bed::<D>::on(database)?;
    bed.db.batch_execute(revoked)?;
    bed.produce(1..=3);
    let mut db = D::Client::connect(&bed.database.conninfo_as(login.name()))?;
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut db)?.unwrap();
    let mut seen = 0;
    while let Some(event) = batch.next_event()? {
        seen += 1;
        if seen <= count {
            batch.retry(&event, Duration::ZERO);
        }
    }
    batch.finish()?;
    drop(db);
    Ok(retried(&mut bed))
}

const ONE_BY_ONE: &str = "REVOKE EXECUTE ON FUNCTION pgq.event_retry(bigint, bigint, integer), \
     pgq.event_retry(bigint, bigint, timestamptz) FROM pgq_reader, pgq_admin;";
const WHOLE: &str = "REVOKE EXECUTE ON FUNCTION pgq.batch_retry FROM pgq_reader, pgq_admin;";

fn all_by_one_statement<D: Driver>() -> crate::Result {
    assert_eq!(as_role::<D>("pgq_reader", ONE_BY_ONE, 3)?, [(1, 1), (2, 1), (3, 1)]);
    Ok(())
}

fn several_by_an_admin<D: Driver>() -> crate::Result {
    assert_eq!(as_role::<D>("pgq_admin", &(ONE_BY_ONE.to_owned() + WHOLE), 2)?, [(1, 1), (2, 1)]);
    Ok(())
}

fn several_by_a_reader<D: Driver>() -> crate::Result {
    assert_eq!(as_role::<D>("pgq_reader", WHOLE, 2)?, [(1, 1), (2, 1)]);
    Ok(())
}

/// The original and its retry copy, in one batch after a move back.
fn an_event_that_is_there_twice<D: Driver>() -> crate::Result {
    let database = crate::engine::database()?;
    let reader = Login::new(&database, "pgq_reader");
    let mut bed = Bed::<D>::on(database)?;
    let (open, ids) = opened(&mut bed, 2);
    bed.db.call(event::retry_after(open, ids[0], Duration::ZERO))?;
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(1, 1)]);
    let joined = bed.consumer().pace(Pace { min_count: Some(4_000), ..Pace::default() });
    joined.register_at(&mut bed.db, TickId(1))?;

    let mut db = D::Client::connect(&bed.database.conninfo_as(reader.name()))?;
    let mut batch = joined.next_batch(&mut db)?.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = batch.next_event()? {
        seen.push((number(&event), event.retry));
        if number(&event) == 1 {
            batch.retry(&event, Duration::ZERO);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, 0), (1, 1), (2, 0)]);
    if is_portable() {
        batch.finish()?;
    } else {
        assert_error!(batch.finish(), Error::InvalidValue { .. }, "", ["1", "twice", "pgq_admin"]);
        let mut batch = joined.next_batch(&mut bed.db)?.unwrap();
        while let Some(event) = batch.next_event()? {
            if number(&event) == 1 {
                batch.retry(&event, Duration::ZERO);
            }
        }
        batch.finish()?;
    }
    drop(db);
    assert_eq!(retried(&mut bed), [(1, 2)]);
    Ok(())
}
