use std::time::Duration;

use pgq_core::chrono::{TimeDelta, Utc};
use pgq_core::event::{self, Retry};
use pgq_core::{BatchId, Error, EventId, NewEvent, batch};

use crate::bed::Bed;
use crate::driver::{Client, Driver, Session, Transaction};
use crate::retries::{done, opened, retried};

cases!(after_seconds, at_a_time, many, many_raw, all, raw);

fn after_seconds<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 3);
    assert_eq!(bed.db.call(event::retry_after(open, ids[1], Duration::ZERO))?, Retry::Queued);
    assert_eq!(bed.db.call(event::retry_after(open, ids[1], Duration::ZERO))?, Retry::WasQueued);
    assert_eq!(bed.db.call(event::retry_after(open, ids[2], Duration::from_secs(3_600)))?, Retry::Queued);
    assert_error!(bed.db.call(event::retry_after(open, EventId(999), Duration::ZERO)),
        Error::EventNotFound { batch, event: Some(EventId(999)), .. } if *batch == open, "P0001", ["999"]);
    assert_error!(
        bed.db.call(event::retry_after(BatchId(777), ids[0], Duration::ZERO)),
        Error::EventNotFound { .. },
        "P0001",
        ["777"]
    );
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(2, 1)]);
    Ok(())
}

fn at_a_time<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 3);
    let hour = TimeDelta::hours(1);
    assert_eq!(bed.db.call(event::retry_at(open, ids[0], Utc::now() + hour))?, Retry::Queued);
    assert_eq!(bed.db.call(event::retry_at(open, ids[2], Utc::now() - hour))?, Retry::Queued);
    assert_eq!(bed.db.call(event::retry_at(open, ids[2], Utc::now()))?, Retry::WasQueued);
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(3, 1)]);
    Ok(())
}

fn many<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 4);
    assert_eq!(bed.db.call(event::retry_many(open, &[]))?, 0);
    assert_eq!(
        bed.db.call(event::retry_many(
            open,
            &[(ids[0], Duration::ZERO), (ids[1], Duration::from_secs(3_600))]
        ))?,
        2
    );
    assert_eq!(
        bed.db.call(event::retry_many(open, &[(ids[0], Duration::ZERO), (ids[2], Duration::ZERO)]))?,
        1
    );
    assert_error!(bed.db.call(event::retry_many(open, &[(ids[3], Duration::ZERO), (EventId(999), Duration::ZERO)])),
        Error::EventNotFound { batch, event: None, .. } if *batch == open, "P0001", [open.to_string().as_str()]);
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(1, 1), (3, 1)]);
    Ok(())
}

fn many_raw<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 4);
    assert_eq!(bed.db.call(event::retry_many_raw("q", "c", open, &[]))?, 0);
    assert_eq!(
        bed.db.call(event::retry_many_raw(
            "q",
            "c",
            open,
            &[(ids[0], Duration::ZERO), (ids[1], Duration::from_secs(3_600))]
        ))?,
        2
    );
    assert_eq!(
        bed.db.call(event::retry_many_raw(
            "q",
            "c",
            open,
            &[(ids[0], Duration::ZERO), (ids[2], Duration::ZERO)]
        ))?,
        1
    );
    assert_error!(
        bed.db.call(event::retry_many_raw("q", "none", open, &[(ids[3], Duration::ZERO)])),
        Error::NotSubscribed { .. },
        "P0001",
        ["\"q\"", "\"none\""]
    );
    let mut transaction = bed.db.transaction()?;
    assert_error!(transaction.call(event::retry_many_raw("q", "c", open, &[(ids[3], Duration::ZERO), (EventId(999), Duration::ZERO)])),
        Error::EventNotFound { batch, event: Some(EventId(999)), .. } if *batch == open, "", ["event 999"]);
    transaction.rollback()?;
    assert_error!(
        bed.db.call(event::retry_many_raw("q", "c", BatchId(777), &[(ids[3], Duration::ZERO)])),
        Error::BatchNotFound { batch: BatchId(777), .. },
        "P0001",
        ["777"]
    );
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(1, 1), (3, 1)]);
    Ok(())
}

fn all<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 4);
    assert_eq!(bed.db.call(event::retry_after(open, ids[0], Duration::from_secs(3_600)))?, Retry::Queued);
    assert_eq!(bed.db.call(batch::retry(open, Duration::ZERO))?, 3);
    assert_eq!(bed.db.call(batch::retry(open, Duration::ZERO))?, 0);
    done::<D>(&mut bed.db, open);
    assert_eq!(retried(&mut bed), [(2, 1), (3, 1), (4, 1)]);
    Ok(())
}

fn raw<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (now, new) = (Utc::now() - TimeDelta::hours(1), NewEvent::new("number", "7"));
    let id = bed.db.call(event::retry_raw("q", "c", now, None, now, Some(4), &new))?;
    let given = bed.db.call(event::retry_raw(
        "q",
        "c",
        now,
        Some(EventId(500)),
        now,
        None,
        &NewEvent::new("number", "8"),
    ))?;
    assert_eq!((id, given), (EventId(1), EventId(500)));
    assert_error!(
        bed.db.call(event::retry_raw("q", "c", now, Some(given), now, None, &new)),
        Error::Database { .. },
        "23505",
        ["pgq.event_retry_raw"]
    );
    assert_error!(bed.db.call(event::retry_raw("q", "none", now, None, now, None, &new)),
        Error::NotSubscribed { consumer, .. } if consumer == "none", "P0001", ["\"none\""]);
    assert_eq!(retried(&mut bed), [(7, 4), (8, 0)]);
    Ok(())
}
