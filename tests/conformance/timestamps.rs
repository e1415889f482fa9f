use pgq_core::batch::ChunkSize;
use pgq_core::chrono::Datelike;
use pgq_core::{Error, EventId, batch};
use pgq_testkit::Server;

use crate::bed::{Bed, insert, tick};
use crate::driver::{Batch, Consumer, Driver, NextEvents, Session};

cases!(far_but_finite, infinite, infinite_further_on, infinite_in_next_events, infinite_ticks);

/// Forty events, of which this one has this time.
fn spoiled<D: Driver>(at: u32, time: &str) -> crate::Result<Bed<D>> {
    let mut bed = Bed::<D>::new()?;
    insert::<D>(&mut bed.db, 1..=40);
    bed.db.batch_execute(&format!("UPDATE pgq.event_1_0 SET ev_time = '{time}' WHERE ev_id = {at}"))?;
    tick::<D>(&mut bed.db);
    Ok(bed)
}

fn far_but_finite<D: Driver>() -> crate::Result {
    for (time, year) in [("4713-01-01 BC", -4712), ("0001-01-01", 1), ("262000-01-01", 262_000)] {
        let mut bed = spoiled::<D>(1, time)?;
        let consumer = bed.consumer();
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(batch.next_event()?.unwrap().time.year(), year);
    }
    Ok(())
}

fn infinite<D: Driver>() -> crate::Result {
    for time in ["infinity", "-infinity", "294276-12-31"] {
        let mut bed = spoiled::<D>(2, time)?;
        let consumer = bed.consumer();
        let open = bed.db.call(batch::next("q", "c"))?.unwrap();
        for result in
            [bed.db.call(batch::events(open)).map(|_| ()), consumer.next_batch(&mut bed.db).map(|_| ())]
        {
            assert_error!(
                result,
                Error::EventTimestamp { event: EventId(2), column: "ev_time", .. },
                "",
                ["event 2", "ev_time"]
            );
        }
    }
    Ok(())
}

/// In a chunk that comes later, and may have been asked for in advance. The event must not be passed over.
fn infinite_further_on<D: Driver>() -> crate::Result {
    for (unread, chunk) in [(false, 5), (true, 5), (false, 1000), (true, 1000)] {
        let mut bed = spoiled::<D>(30, "infinity")?;
        let consumer = bed.consumer().chunk(ChunkSize { events: chunk, ..ChunkSize::default() });
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let mut events = batch.events(99);
        assert_error!(
            events.pop().unwrap(),
            Error::EventTimestamp { event: EventId(30), .. },
            "",
            ["event 30"]
        );
        if unread {
            assert_error!(batch.next_event(), Error::ReadInterrupted { .. }, "", ["drop the batch"]);
        }
        assert_error!(batch.finish(), Error::ReadInterrupted { .. }, "", ["drop the batch"]);

        // The way out: say that the rest is given up, or repair the event.
        bed.db.batch_execute("UPDATE pgq.event_1_0 SET ev_time = now() WHERE ev_id = 30")?;
        assert!(bed.drain().into_iter().eq(1..=40));
    }
    Ok(())
}

fn infinite_in_next_events<D: Driver>() -> crate::Result {
    let mut bed = spoiled::<D>(30, "infinity")?;
    let consumer = bed.consumer().chunk(ChunkSize { events: 5, ..ChunkSize::default() });
    let mut events = consumer.next_events(&mut bed.db);
    let mut results = std::iter::from_fn(|| events.next());
    assert_error!(
        results.find(|event| event.is_err()).unwrap(),
        Error::EventTimestamp { event: EventId(30), .. },
        "",
        ["event 30"]
    );
    assert!(results.next().is_none());
    drop(events);
    assert!(consumer.info(&mut bed.db)?.unwrap().current_batch.is_some());
    Ok(())
}

/// Nothing names a column for these, but nothing panics either.
fn infinite_ticks<D: Driver>() -> crate::Result {
    let mut bed = spoiled::<D>(1, "now")?;
    bed.db.batch_execute("UPDATE pgq.queue SET queue_switch_time = 'infinity'")?;
    assert_error!(bed.db.info("q"), Error::UnexpectedAnswer { .. }, "", ["pgq.get_queue_info"]);
    bed.db.batch_execute("UPDATE pgq.tick SET tick_time = 'infinity' WHERE tick_id = 2")?;
    assert_error!(
        bed.consumer().next_batch(&mut bed.db),
        Error::UnexpectedAnswer { .. },
        "",
        ["pgq.next_batch_custom"]
    );
    // PostgreSQL has infinite intervals since 17.
    if Server::shared()?.version() >= 17 {
        assert_error!(bed.db.info("q"), Error::UnexpectedAnswer { .. }, "", ["pgq.get_queue_info"]);
    } else {
        assert_error!(bed.db.info("q"), Error::Database { .. }, "22008", ["pgq.get_queue_info"]);
    }
    Ok(())
}
