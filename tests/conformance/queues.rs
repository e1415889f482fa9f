use std::time::Duration;

use pgq_core::{Created, Error, QueueConfig, grants, queue, tick, version};

use crate::bed::{Bed, tick_on};
use crate::driver::{Client, Driver, Session, Transaction};

cases!(
    created_once,
    created_in_a_transaction,
    dropped,
    dropped_with_consumers,
    configured,
    configured_all_or_nothing,
    configured_raw,
    looked_at,
    looked_at_without_ticks,
    version_and_grants,
);

fn created_once<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.create("orders")?, Created::New);
    assert_eq!(db.create("orders")?, Created::Existed);
    assert_eq!(db.create("Orders")?, Created::New);
    Ok(())
}

fn created_in_a_transaction<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut other = bed.connect();
    let mut transaction = bed.db.transaction()?;
    assert_eq!(transaction.create("orders")?, Created::New);
    transaction.insert_event("orders", "t", "1")?;
    assert_eq!(other.info("orders")?, None);
    transaction.rollback()?;
    assert_eq!(bed.db.info("orders")?, None);
    Ok(())
}

fn dropped<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_error!(db.drop_queue("q"), Error::QueueHasConsumers { queue, .. } if queue == "q", "P0001",
        ["\"q\"", "drop_with_consumers"]);
    db.create("orders")?;
    db.drop_queue("orders")?;
    assert_eq!(db.info("orders")?, None);
    assert_error!(db.drop_queue("orders"), Error::QueueNotFound { queue, .. } if queue == "orders", "P0001",
        ["\"orders\"", "Queue::create"]);
    Ok(())
}

fn dropped_with_consumers<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.drop_with_consumers("q")?;
    assert_eq!(db.info("q")?, None);
    assert_eq!(db.consumers("q")?, []);
    assert_error!(db.drop_with_consumers("q"), Error::QueueNotFound { .. }, "P0001", ["\"q\""]);
    Ok(())
}

fn configured<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let before = db.info("q")?.unwrap();
    let config = QueueConfig::new().ticker_max_count(7).ticker_max_lag(Duration::from_millis(1_500));
    db.set_config("q", &config.ticker_paused(true))?;
    let after = db.info("q")?.unwrap();
    assert_eq!(after.ticker_max_count, 7);
    assert_eq!(after.ticker_max_lag, Duration::from_millis(1_500));
    assert!(after.ticker_paused);
    assert_eq!(after.ticker_idle_period, before.ticker_idle_period);

    let config =
        QueueConfig::new().ticker_idle_period(Duration::from_secs(5)).rotation_period(Duration::ZERO);
    db.set_config("q", &config.external_ticker(true).ticker_paused(false))?;
    let after = db.info("q")?.unwrap();
    assert_eq!((after.ticker_max_count, after.ticker_paused, after.external_ticker), (7, false, true));
    assert_eq!((after.ticker_idle_period, after.rotation_period), (Duration::from_secs(5), Duration::ZERO));
    assert_error!(
        db.set_config("none", &QueueConfig::new().ticker_paused(true)),
        Error::QueueNotFound { .. },
        "P0001",
        ["\"none\""]
    );
    Ok(())
}

fn configured_all_or_nothing<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let before = db.info("q")?.unwrap();
    // The second parameter fails on the server, so the first must not stay.
    db.batch_execute("ALTER TABLE pgq.queue ADD CHECK (queue_ticker_max_lag < '1 hour')")?;
    let config = QueueConfig::new().ticker_max_count(7).ticker_max_lag(Duration::from_secs(7_200));
    assert_error!(db.set_config("q", &config), Error::Database { .. }, "23514", ["pgq.set_queue_config"]);
    assert_eq!(db.info("q")?.unwrap().ticker_max_count, before.ticker_max_count);

    assert_error!(
        db.set_config("q", &QueueConfig::new().ticker_max_count(0)),
        Error::InvalidValue { name: "ticker_max_count", .. },
        "",
        ["ticker_max_count", "0"]
    );
    Ok(())
}

fn configured_raw<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.call(queue::set_config("q", "ticker_max_count", "9"))?;
    assert_eq!(db.info("q")?.unwrap().ticker_max_count, 9);
    assert_error!(db.call(queue::set_config("q", "ticker_max_size", "1")),
        Error::UnknownParameter { parameter, .. } if parameter == "ticker_max_size", "P0001", ["\"ticker_max_size\""]);
    assert_error!(
        db.call(queue::set_config("none", "ticker_max_count", "1")),
        Error::QueueNotFound { .. },
        "P0001",
        ["\"none\""]
    );
    assert_error!(
        db.call(queue::set_config("q", "ticker_max_count", "many")),
        Error::Database { .. },
        "22P02",
        ["pgq.set_queue_config"]
    );
    Ok(())
}

fn looked_at<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.create("a")?;
    let names: Vec<_> = db.call(queue::info_all())?.into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["a", "q"]);
    assert_eq!(db.info("none")?, None);

    let info = db.call(queue::info("q"))?.unwrap();
    assert_eq!((info.name.as_str(), info.tables, info.current_table), ("q", 3, 0));
    assert_eq!(info.rotation_period, Duration::from_secs(2 * 60 * 60));
    assert_eq!((info.external_ticker, info.ticker_paused, info.ticker_max_count), (false, false, 500));
    assert_eq!(info.ticker_max_lag, Duration::from_secs(3));
    assert_eq!(info.ticker_idle_period, Duration::from_secs(60));
    assert_eq!(
        (info.events_per_second, info.new_events, info.last_tick.map(|tick| tick.0)),
        (None, Some(0), Some(1))
    );
    assert!(info.ticker_lag.unwrap() < Duration::from_secs(60));
    let age =
        db.value::<f64>("SELECT extract(epoch FROM queue_switch_time - 'epoch')::float8 FROM pgq.queue");
    assert_eq!(info.switch_time.timestamp_micros(), (age * 1e6).round() as i64);

    let last = tick_on::<D>(&mut db, "q");
    for _ in 0..3 {
        db.insert_event("q", "t", "1")?;
    }
    let info = db.info("q")?.unwrap();
    assert_eq!((info.last_tick, info.new_events), (Some(last), Some(3)));
    assert!(info.events_per_second.unwrap() > 0.0);
    Ok(())
}

fn looked_at_without_ticks<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.batch_execute("DELETE FROM pgq.tick")?;
    let info = db.info("q")?.unwrap();
    assert_eq!((info.ticker_lag, info.events_per_second), (None, None));
    assert_eq!((info.new_events, info.last_tick), (None, None));
    let consumer = db.consumers("q")?.pop().unwrap();
    assert_eq!((consumer.lag, consumer.pending_events), (None, None));
    assert_eq!(consumer.last_tick.map(|tick| tick.0), Some(1));
    // Without any tick one is due whatever the schedule.
    assert!(db.call(tick::queue("q"))?.is_some());
    Ok(())
}

fn version_and_grants<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert!(db.call(version::installed())?.unwrap().starts_with("3."));
    db.batch_execute(
        "REVOKE ALL ON pgq.event_1 FROM pgq_admin; GRANT SELECT ON pgq.event_template TO pgq_writer",
    )?;
    db.call(grants::apply("q"))?;
    assert!(db.value::<bool>(
        "SELECT has_table_privilege('pgq_admin', 'pgq.event_1', 'INSERT') \
         AND has_table_privilege('pgq_writer', 'pgq.event_1_0', 'SELECT')"
    ));
    assert_error!(db.call(grants::apply("none")), Error::QueueNotFound { .. }, "P0001", ["\"none\""]);
    Ok(())
}
