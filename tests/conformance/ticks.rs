use std::time::Duration;

use pgq_core::chrono::{DateTime, Utc};
use pgq_core::{Error, QueueConfig, TickId, tick};

use crate::bed::{Bed, insert, tick_on};
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};

cases!(due_queues, one_queue, forced, paused, external, led, covered, restored_from_a_dump);

/// A queue whose next tick comes only by many events, or by force.
fn unhurried<D: Driver>(db: &mut D::Client, queue: &str) {
    let hour = Duration::from_secs(3_600);
    db.set_config(queue, &QueueConfig::new().ticker_max_lag(hour).ticker_idle_period(hour)).unwrap();
    tick_on::<D>(db, queue);
}

fn due_queues<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.create("other")?;
    for queue in ["q", "other"] {
        unhurried::<D>(&mut db, queue);
    }
    assert_eq!(db.call(tick::all())?, 0);
    db.call(tick::force("q"))?;
    assert_eq!(db.call(tick::all())?, 1);
    db.call(tick::force("q"))?;
    db.call(tick::force("other"))?;
    db.set_config("other", &QueueConfig::new().ticker_paused(true))?;
    assert_eq!(db.call(tick::all())?, 1);
    db.batch_execute("UPDATE pgq.queue SET queue_ticker_paused = true")?;
    assert_eq!(db.call(tick::all())?, 0);
    Ok(())
}

fn one_queue<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    unhurried::<D>(&mut db, "q");
    insert::<D>(&mut db, 1..=499);
    assert_eq!(db.call(tick::queue("q"))?, None);
    insert::<D>(&mut db, [500]);
    assert_eq!(db.call(tick::queue("q"))?, Some(TickId(3)));
    assert_error!(db.call(tick::queue("none")), Error::QueueNotFound { queue, .. } if queue == "none", "P0001",
        ["\"none\""]);
    Ok(())
}

fn forced<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(tick::force("q"))?, Some(TickId(1)));
    assert_eq!(db.call(tick::queue("q"))?, Some(TickId(2)));
    assert_eq!(db.call(tick::force("q"))?, Some(TickId(2)));
    assert_eq!(db.call(tick::force("none"))?, None);
    db.set_config("q", &QueueConfig::new().ticker_paused(true))?;
    assert!(db.call(tick::force("q")).is_ok());
    Ok(())
}

fn paused<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.set_config("q", &QueueConfig::new().ticker_paused(true))?;
    assert_error!(db.call(tick::queue("q")), Error::TickerPaused { queue, .. } if queue == "q", "P0001",
        ["\"q\"", "ticker_paused"]);
    Ok(())
}

fn external<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let time = DateTime::<Utc>::from_timestamp(1_700_000_000, 123_456_000).unwrap();
    assert_error!(bed.db.call(tick::external("q", TickId(10), time, 100)),
        Error::NotExternalTicker { queue, .. } if queue == "q", "P0001", ["\"q\"", "external_ticker"]);
    bed.db.set_config("q", &QueueConfig::new().external_ticker(true))?;
    assert_error!(bed.db.call(tick::queue("q")), Error::ExternalTicker { queue, .. } if queue == "q", "P0001", ["\"q\""]);
    insert::<D>(&mut bed.db, [1]);
    assert_eq!(bed.db.call(tick::external("q", TickId(10), time, 100))?, TickId(10));
    assert_error!(
        bed.db.call(tick::external("q", TickId(10), time, 100)),
        Error::Database { .. },
        "23505",
        ["pgq.ticker"]
    );
    let consumer = bed.consumer();
    let batch = consumer.next_batch(&mut bed.db)?.unwrap();
    assert_eq!(
        (batch.info().tick, batch.info().tick_time, batch.info().tick_event_seq),
        (TickId(10), time, 100)
    );
    Ok(())
}

fn led<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    let (mut first, mut second) = (bed.connect(), bed.connect());
    assert!(first.call(tick::lead())?.is_some());
    assert!(second.call(tick::lead())?.is_none());
    assert!(first.call(tick::lead())?.is_some());
    let pid = first.value("SELECT pg_backend_pid()");
    crate::bed::terminate::<D>(&mut second, pid);
    assert!(second.call(tick::lead())?.is_some());
    Ok(())
}

fn covered<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut other = bed.connect();
    let mut transaction = bed.db.transaction()?;
    let marker = transaction.call(tick::current_txid())?;
    assert_eq!(transaction.call(tick::current_txid())?, marker);
    crate::bed::tick::<D>(&mut other);
    assert!(!other.call(tick::covers("q", marker))?);
    transaction.commit()?;
    assert!(!other.call(tick::covers("q", marker))?);
    crate::bed::tick::<D>(&mut other);
    assert!(other.call(tick::covers("q", marker))?);
    assert!(!other.call(tick::covers("none", marker))?);
    Ok(())
}

fn restored_from_a_dump<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.batch_execute("UPDATE pgq.tick SET tick_snapshot = '4000000000:4000000000:'")?;
    db.call(tick::force("q"))?;
    assert_error!(db.call(tick::queue("q")), Error::ForeignTicks { .. }, "P0001", ["another cluster"]);
    assert_error!(db.call(tick::all()), Error::ForeignTicks { .. }, "P0001", ["drop and create"]);
    Ok(())
}
