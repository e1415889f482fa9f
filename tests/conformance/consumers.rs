use std::time::Duration;

use pgq_core::{Created, Error, TickId, batch, consumer};

use crate::bed::{Bed, tick};
use crate::driver::{Attached, Batch, Client, Consumer, Driver, Session, Transaction};

cases!(
    registered,
    moved,
    unregistered,
    looked_at,
    attached_by_value,
    attached_by_reference,
    registered_in_a_transaction
);

fn registered<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let consumer = D::Consumer::new("q", "billing");
    assert_eq!(consumer.register(&mut db)?, Created::New);
    assert_eq!(consumer.register(&mut db)?, Created::Existed);
    assert_error!(D::Consumer::new("none", "billing").register(&mut db),
        Error::QueueNotFound { queue, .. } if queue == "none", "P0001", ["\"none\"", "Queue::create"]);
    db.batch_execute("DELETE FROM pgq.tick")?;
    assert_error!(D::Consumer::new("q", "late").register(&mut db), Error::NoTicks { queue, .. } if queue == "q", "P0001",
        ["\"q\"", "ticker"]);
    Ok(())
}

fn moved<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let start = bed.db.info("q")?.unwrap().last_tick.unwrap();
    bed.produce(1..=3);
    let middle = bed.db.info("q")?.unwrap().last_tick.unwrap();
    bed.produce(4..=5);
    let (consumer, other) = (bed.consumer(), D::Consumer::new("q", "other"));
    assert_eq!(bed.drain(), [1, 2, 3, 4, 5]);

    assert_eq!(consumer.register_at(&mut bed.db, start)?, Created::Existed);
    assert_eq!(bed.drain(), [1, 2, 3, 4, 5]);
    assert_eq!(consumer.register_at(&mut bed.db, middle)?, Created::Existed);
    assert_eq!(bed.drain(), [4, 5]);
    assert_eq!(other.register_at(&mut bed.db, start)?, Created::New);
    assert_eq!(other.register_at(&mut bed.db, middle)?, Created::Existed);
    assert_eq!(crate::bed::drain::<D>(&mut bed.db, &other), [4, 5]);

    assert_error!(consumer.register_at(&mut bed.db, TickId(999)),
        Error::TickNotFound { queue, tick: TickId(999), .. } if queue == "q", "P0001", ["\"q\"", "999"]);
    assert_error!(
        D::Consumer::new("none", "c").register_at(&mut bed.db, start),
        Error::QueueNotFound { .. },
        "P0001",
        ["\"none\""]
    );
    assert_eq!(consumer.info(&mut bed.db)?.unwrap().pending_events, Some(0));
    Ok(())
}

fn unregistered<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    drop(consumer.next_batch(&mut bed.db)?.unwrap());
    assert_eq!(consumer.unregister(&mut bed.db)?, 1);
    assert_eq!(consumer.unregister(&mut bed.db)?, 0);
    assert_eq!(D::Consumer::new("none", "c").unregister(&mut bed.db)?, 0);
    assert_eq!(consumer.info(&mut bed.db)?, None);
    assert_error!(consumer.next_batch(&mut bed.db),
        Error::NotSubscribed { queue, consumer, .. } if queue == "q" && consumer == "c", "P0001",
        ["\"q\"", "\"c\"", "register"]);
    Ok(())
}

fn looked_at<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.create("a")?;
    D::Consumer::new("a", "z").register(&mut bed.db)?;
    D::Consumer::new("q", "b").register(&mut bed.db)?;
    let all = bed.db.call(consumer::info_all())?;
    let names: Vec<_> = all.iter().map(|info| (info.queue.as_str(), info.name.as_str())).collect();
    assert_eq!(names, [("a", "z"), ("q", "b"), ("q", "c")]);
    assert_eq!(bed.db.consumers("q")?.len(), 2);
    assert_eq!(bed.db.call(consumer::info_queue("none"))?, []);
    assert_eq!(bed.db.call(consumer::info("q", "none"))?, None);

    let before = bed.consumer().info(&mut bed.db)?.unwrap();
    assert_eq!((before.last_tick, before.current_batch, before.next_tick), (Some(TickId(1)), None, None));
    assert_eq!(before.pending_events, Some(0));
    assert!(before.last_seen < Duration::from_secs(60) && before.lag.unwrap() < Duration::from_secs(60));

    let last = tick::<D>(&mut bed.db);
    let batch = bed.db.call(batch::next("q", "c"))?.unwrap();
    let after = bed.consumer().info(&mut bed.db)?.unwrap();
    assert_eq!(
        (after.last_tick, after.current_batch, after.next_tick),
        (Some(TickId(1)), Some(batch), Some(last))
    );
    assert!(after.pending_events.unwrap() > 0);

    bed.db.batch_execute("UPDATE pgq.subscription SET sub_last_tick = NULL")?;
    let lost = bed.consumer().info(&mut bed.db)?.unwrap();
    assert_eq!((lost.lag, lost.last_tick, lost.pending_events), (None, None, None));
    Ok(())
}

fn attached_by_value<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    attached::<D>(D::Consumer::new("q", "c").attach(bed.connect()))
}

fn attached_by_reference<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    attached::<D>(D::Consumer::new("q", "c").attach_mut(&mut bed.db))?;
    assert!(bed.drain().is_empty());
    Ok(())
}

fn attached<D: Driver>(mut consumer: impl Attached<D>) -> crate::Result {
    use crate::driver::NextEvents;

    assert_eq!(consumer.register()?, Created::Existed);
    let mut batch = consumer.next_batch()?.unwrap();
    assert_eq!(crate::bed::read::<D>(&mut batch), [1, 2, 3]);
    batch.finish()?;
    assert_eq!(consumer.register_at(TickId(1))?, Created::Existed);
    assert_eq!(consumer.info()?.unwrap().last_tick, Some(TickId(1)));
    let mut events = consumer.next_events();
    for number in 1..=3 {
        assert_eq!(crate::bed::number(&events.next().unwrap()?), number);
    }
    assert!(events.next().is_none());
    drop(events);
    assert_eq!(consumer.client().value::<i32>("SELECT 1"), 1);
    assert_eq!(consumer.unregister()?, 1);
    assert_eq!(consumer.register()?, Created::New);
    Ok(())
}

fn registered_in_a_transaction<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut transaction = bed.db.transaction()?;
    assert_eq!(transaction.call(consumer::register("q", "late"))?, Created::New);
    transaction.insert_event("q", "t", "1")?;
    transaction.commit()?;
    tick::<D>(&mut bed.db);
    assert_eq!(crate::bed::drain::<D>(&mut bed.db, &D::Consumer::new("q", "late")), [1]);
    Ok(())
}
