//! Behind PgBouncer in transaction mode: each transaction, and each statement outside of one, may reach another session.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use pgq_core::batch::{ChunkSize, Finish};
use pgq_core::chrono::{TimeDelta, Utc};
use pgq_core::{
    EventId, Filter, NewEvent, Pace, QueueConfig, TickId, Trigger, batch, consumer, event, maintenance,
    queue, tick, version,
};
use pgq_testkit::{PgBouncer, Server, available};

use crate::bed::{Bed, ids, number, read, tick as make_tick, tick_on, until};
use crate::driver::{
    Attached, Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session, Transaction,
};
use crate::rotation::StopOnDrop;

cases!(every_call, producers_and_consumers_at_once);

/// Has clients of the pooler keep its sessions busy, now this one and now that one, while `work` runs.
fn moving<D: Driver>(conninfo: &str, work: impl FnOnce() -> crate::Result) -> crate::Result {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopOnDrop(&done);
        for number in 1..=2 {
            let done = &done;
            scope.spawn(move || {
                let mut db = D::Client::connect(conninfo).unwrap();
                while !done.load(Ordering::Relaxed) {
                    db.batch_execute(&format!("BEGIN; SELECT pg_sleep(0.00{number}); COMMIT")).unwrap();
                    thread::sleep(Duration::from_millis(number));
                }
            });
        }
        work()
    })
}

/// A note of the session that the client has now.
fn notes<D: Driver>(db: &mut impl Session<D>) {
    db.batch_execute("INSERT INTO seen VALUES (pg_backend_pid())").unwrap();
}

fn has_moved<D: Driver>(bed: &mut Bed<D>) {
    assert_eq!(bed.db.value::<i64>("SELECT count(DISTINCT pid) FROM seen"), 2);
}

fn every_call<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let Some(bouncer) = available(PgBouncer::before(Server::shared()?))? else { return Ok(()) };
    bed.db.batch_execute("CREATE TABLE seen (pid int); CREATE TABLE t (id int PRIMARY KEY)")?;
    let pooled = bouncer.conninfo(&bed.database);
    moving::<D>(&pooled, || {
        let mut db = D::Client::connect(&pooled)?;
        for round in 0..8 {
            administers::<D>(&mut db)?;
            produces::<D>(&mut db, round)?;
            consumes::<D>(&mut db)?;
            retries::<D>(&mut db)?;
            // No statement of ours stays on a session, where it would be in the way of another process's.
            db.batch_execute("DO 'BEGIN ASSERT NOT EXISTS (SELECT FROM pg_prepared_statements); END'")?;
        }
        Ok(())
    })?;
    has_moved(&mut bed);
    Ok(())
}

fn administers<D: Driver>(db: &mut D::Client) -> crate::Result {
    notes::<D>(db);
    db.call(version::installed())?.unwrap();
    db.create("other")?;
    db.set_config("other", &QueueConfig::new().rotation_period(Duration::ZERO))?;
    assert_eq!(db.info("other")?.unwrap().name, "other");
    assert_eq!(db.call(queue::info_all())?.len(), 2);
    let consumer = D::Consumer::new("other", "c");
    consumer.register(db)?;
    consumer.register_at(db, TickId(1))?;
    assert_eq!((db.consumers("other")?.len(), db.call(consumer::info_all())?.len()), (1, 2));
    consumer.info(db)?.unwrap();
    let trigger = Trigger::jsontriga("other");
    db.attach(&trigger, "t")?;
    db.batch_execute("INSERT INTO t VALUES (1)")?;
    tick_on::<D>(db, "other");
    db.call(tick::all())?;
    let event = consumer.next_batch(db)?.unwrap().next_event()?.unwrap();
    assert_eq!(event.change()?.row.get("id"), Some("1"));
    db.detach(&trigger, "t")?;
    db.batch_execute("DELETE FROM t")?;
    let marker = db.call(tick::current_txid())?;
    tick_on::<D>(db, "other");
    assert!(db.call(tick::covers("other", marker))?);
    assert_eq!(db.call(tick::queues())?, ["other", "q"]);
    db.call(tick::refusal("other"))?;
    db.call(tick::force_ahead())?;
    for operation in db.call(maintenance::operations())? {
        db.call(maintenance::run(&operation))?;
    }
    db.call(maintenance::rotate_step1("other"))?;
    db.call(maintenance::rotate_step2())?;
    db.call(maintenance::tables_to_vacuum())?;
    consumer.unregister(db)?;
    db.drop_queue("other")?;
    Ok(())
}

fn produces<D: Driver>(db: &mut D::Client, round: u32) -> crate::Result {
    let new = |number: u32| NewEvent::new("number", number.to_string());
    notes::<D>(db);
    db.insert_event("q", "number", "1")?;
    notes::<D>(db);
    db.insert("q", &new(2))?;
    db.insert_events("q", (3..50).map(new))?;
    db.call(event::insert_many("q", &[new(50), new(51)]))?;
    db.call(event::insert_raw("q", None, None, None, None, &new(52)))?;
    let mut open = db.transaction()?;
    open.insert("q", &new(53))?;
    assert_eq!(open.copy_events("q", (54..=100).map(new))?, 47);
    notes::<D>(&mut open);
    open.commit()?;
    let mut open = db.transaction()?;
    open.copy_events("q", [new(1_000)])?;
    open.rollback()?;
    let mut open = db.transaction()?;
    let level = if round % 2 == 0 { "repeatable read" } else { "serializable" };
    open.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?;
    open.insert("q", &new(101))?;
    open.copy_events("q", [new(102)])?;
    open.commit()?;
    Ok(())
}

fn consumes<D: Driver>(db: &mut D::Client) -> crate::Result {
    let consumer = D::Consumer::new("q", "c").chunk(ChunkSize { events: 7, ..ChunkSize::default() });
    make_tick::<D>(db);
    let mut batch = consumer.next_batch(db)?.unwrap();
    assert_eq!(number(&batch.next_event()?.unwrap()), 1);
    assert_eq!(batch.events(2).len(), 2);
    notes::<D>(batch.transaction());
    drop(batch);
    let open = db.call(batch::next("q", "c"))?.unwrap();
    assert_eq!(db.call(batch::next_info("q", "c"))?.unwrap().id, open);
    assert_eq!(db.call(batch::next_custom("q", "c", Pace::default()))?.unwrap().id, open);
    assert_eq!(db.call(batch::info(open))?.unwrap().consumer, "c");
    assert_eq!(db.call(batch::events(open))?.len(), 102);
    let mut transaction = db.transaction()?;
    assert_eq!(transaction.call(batch::cursor(open, "cursor", 100, &Filter::new()))?.len(), 100);
    assert_eq!(transaction.call(batch::fetch(open, "cursor", 100))?.len(), 2);
    transaction.call(batch::close("cursor"))?;
    transaction.rollback()?;
    let loaded = consumer.next_loaded(db)?.unwrap();
    assert_eq!(loaded.info().id, open);
    notes::<D>(db);
    loaded.finish(db)?;
    db.insert_event("q", "number", "7")?;
    make_tick::<D>(db);
    let mut batch = consumer.next_batch(db)?.unwrap();
    assert_eq!(read::<D>(&mut batch), [7]);
    notes::<D>(batch.transaction());
    batch.finish()?;
    assert!(consumer.attach_mut(db).next_batch()?.is_none());
    Ok(())
}

fn retries<D: Driver>(db: &mut D::Client) -> crate::Result {
    let consumer = D::Consumer::new("q", "c");
    crate::bed::insert::<D>(db, 0..6);
    make_tick::<D>(db);
    let open = db.call(batch::next("q", "c"))?.unwrap();
    let events = ids(&db.call(batch::events(open))?);
    db.call(event::retry_after(open, events[0], Duration::ZERO))?;
    db.call(event::retry_at(open, events[1], Utc::now() - TimeDelta::hours(1)))?;
    db.call(event::retry_many(open, &[(events[2], Duration::ZERO)]))?;
    db.call(event::retry_many_raw("q", "c", open, &[(events[3], Duration::ZERO)]))?;
    assert_eq!(db.call(batch::retry(open, Duration::ZERO))?, 2);
    assert_eq!(db.call(batch::finish(open))?, Finish::Done);
    let now = Utc::now() - TimeDelta::hours(1);
    let raw: EventId =
        db.call(event::retry_raw("q", "c", now, None, now, None, &NewEvent::new("number", "6")))?;
    assert!(raw > events[5]);
    assert_eq!(db.call(maintenance::retry_events(1))?, 7);

    // All again, then two of them, through the batch; then one through the events.
    make_tick::<D>(db);
    let mut batch = consumer.next_batch(db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.retry(&event, Duration::ZERO);
    }
    batch.finish()?;
    assert_eq!(db.call(maintenance::retry_events_enabled(100))?, 7);
    make_tick::<D>(db);
    let mut batch = consumer.next_batch(db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        if number(&event) < 2 {
            batch.retry(&event, Duration::ZERO);
        }
    }
    batch.finish()?;
    assert_eq!(db.call(maintenance::retry_events(1))?, 2);
    make_tick::<D>(db);
    let mut events = consumer.next_events(db);
    while let Some(event) = events.next_event()? {
        if number(&event) == 1 {
            events.retry(&event, Duration::ZERO)?;
        }
    }
    drop(events);
    assert_eq!(db.call(maintenance::retry_events(1))?, 1);
    make_tick::<D>(db);
    let mut loaded = consumer.next_loaded(db)?.unwrap();
    assert_eq!(number(&loaded.take_events()[0]), 1);
    loaded.finish(db)?;
    assert!(consumer.next_batch(db)?.is_none());
    Ok(())
}

/// Three consumers and two producers share the two sessions. Each consumer gets everything once, and every tenth event once more.
fn producers_and_consumers_at_once<D: Driver>() -> crate::Result {
    const EACH: u32 = 120;

    let mut bed = Bed::<D>::new()?;
    let Some(bouncer) = available(PgBouncer::before(Server::shared()?))? else { return Ok(()) };
    bed.db.batch_execute("CREATE TABLE seen (pid int)")?;
    let names = ["c", "d", "e"];
    for name in names {
        D::Consumer::new("q", name).register(&mut bed.db)?;
    }
    let (conninfo, done) = (bouncer.conninfo(&bed.database), AtomicBool::new(false));
    let (conninfo, done, got) = (&conninfo, &done, &AtomicU32::new(0));
    let consumed = thread::scope(|scope| {
        let stop = StopOnDrop(done);
        for first in [0, 1_000] {
            scope.spawn(move || {
                let mut db = D::Client::connect(conninfo).unwrap();
                (first..first + EACH).for_each(|number| produce_one::<D>(&mut db, number));
            });
        }
        let consumers = names.map(|name| scope.spawn(move || consume::<D>(conninfo, name, got, done)));
        // All once, and a tenth once more, for each of the three.
        let all = 3 * (2 * EACH + 2 * EACH / 10);
        until("all is produced, retried and consumed", || {
            bed.db.call(maintenance::retry_events(10)).unwrap();
            make_tick::<D>(&mut bed.db);
            thread::sleep(Duration::from_millis(10));
            got.load(Ordering::SeqCst) >= all
        });
        drop(stop);
        consumers.map(|consumer| consumer.join().unwrap())
    });
    let numbers = || (0..EACH).chain(1_000..1_000 + EACH);
    let mut expected: Vec<_> = numbers().map(|number| (number, 0)).collect();
    expected.extend(numbers().filter(|number| number % 10 == 0).map(|number| (number, 1)));
    expected.sort_unstable();
    for mut delivered in consumed {
        delivered.sort_unstable();
        assert_eq!(delivered, expected);
    }
    has_moved(&mut bed);
    Ok(())
}

fn produce_one<D: Driver>(db: &mut D::Client, number: u32) {
    let new = NewEvent::new("number", number.to_string());
    match number % 4 {
        0 => drop(db.insert("q", &new).unwrap()),
        1 => drop(db.insert_events("q", [new]).unwrap()),
        kind => {
            let mut open = db.transaction().unwrap();
            if kind == 2 {
                open.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").unwrap();
            }
            notes::<D>(&mut open);
            open.copy_events("q", [new]).unwrap();
            open.commit().unwrap();
        }
    }
}

/// What the consumer got, each in its own way, with the counts of the retries.
fn consume<D: Driver>(conninfo: &str, name: &str, count: &AtomicU32, done: &AtomicBool) -> Vec<(u32, u32)> {
    let mut db = D::Client::connect(conninfo).unwrap();
    let consumer = D::Consumer::new("q", name);
    let again = |event: &pgq_core::Event| event.retry == 0 && number(event) % 10 == 0;
    let mut got = Vec::new();
    loop {
        let before = got.len();
        let last_round = done.load(Ordering::SeqCst);
        if name == "c" {
            while let Some(mut batch) = consumer.next_batch(&mut db).unwrap() {
                while let Some(event) = batch.next_event().unwrap() {
                    got.push((number(&event), event.retry));
                    if again(&event) {
                        batch.retry(&event, Duration::ZERO);
                    }
                }
                batch.finish().unwrap();
            }
        } else if name == "d" {
            let mut events = consumer.next_events(&mut db);
            while let Some(event) = events.next_event().unwrap() {
                got.push((number(&event), event.retry));
                if again(&event) {
                    events.retry(&event, Duration::ZERO).unwrap();
                }
            }
        } else {
            while let Some(mut loaded) = consumer.next_loaded(&mut db).unwrap() {
                for event in loaded.take_events() {
                    got.push((number(&event), event.retry));
                    if again(&event) {
                        loaded.retry(&event, Duration::ZERO);
                    }
                }
                loaded.finish(&mut db).unwrap();
            }
        }
        count.fetch_add(u32::try_from(got.len() - before).unwrap(), Ordering::SeqCst);
        if last_round {
            return got;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
