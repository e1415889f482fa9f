use pgq_core::chrono::{DateTime, Utc};
use pgq_core::event::{self, MAX_SIZE};
use pgq_core::{Error, Event, EventId, NewEvent, QueueConfig, batch, tick};

use crate::bed::{Bed, ids, terminate, tick as make_tick};
use crate::driver::{Client, Driver, Session, Transaction};

cases!(
    inserted,
    inserted_with_extras,
    null_and_empty_are_kept_apart,
    many_in_one_statement,
    thousands_in_chunks,
    many_or_none,
    inserted_raw,
    copied,
    copied_or_none,
    current_table,
    queue_not_found,
    disabled,
    too_many_in_one_transaction,
    too_large_before_anything_is_sent,
    larger_by_wish,
);

fn delivered<D: Driver>(db: &mut D::Client) -> Vec<Event> {
    make_tick::<D>(db);
    let open = db.call(batch::next("q", "c")).unwrap().unwrap();
    let events = db.call(batch::events(open)).unwrap();
    assert_eq!(db.call(batch::finish(open)).unwrap(), batch::Finish::Done);
    events
}

fn inserted<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let mut transaction = db.transaction()?;
    let txid = transaction.call(tick::current_txid())?;
    let id = transaction.insert_event("q", "paid", "42")?;
    let now: DateTime<Utc> = transaction.value("SELECT now()");
    transaction.commit()?;
    let [event] = <[Event; 1]>::try_from(delivered::<D>(&mut db)).unwrap();
    assert_eq!((event.id, event.time, event.txid, event.retry), (id, now, txid, 0));
    assert_eq!((event.event_type.as_deref(), event.data.as_deref()), (Some("paid"), Some("42")));
    assert_eq!((event.extra1, event.extra2, event.extra3, event.extra4), (None, None, None, None));
    Ok(())
}

fn inserted_with_extras<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new = NewEvent::new("t", "d").extra1("1").extra2("2").extra3("3").extra4("4");
    let id = db.insert("q", &new)?;
    let events = delivered::<D>(&mut db);
    assert_eq!(ids(&events), [id]);
    assert_eq!(NewEvent::from(&events[0]), new);
    Ok(())
}

fn null_and_empty_are_kept_apart<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let empty = || NewEvent::new("", "").extra1("").extra2("").extra3("").extra4("");
    let mixed = || NewEvent::default().data("").extra3("");
    let new = [NewEvent::default(), empty(), mixed()];
    for event in &new {
        db.insert("q", event)?;
    }
    db.insert_events("q", new.clone())?;
    let mut transaction = db.transaction()?;
    transaction.copy_events("q", new.clone())?;
    transaction.commit()?;
    let events = delivered::<D>(&mut db);
    assert_eq!(events.len(), 9);
    for (event, new) in events.iter().zip(new.iter().cycle()) {
        assert_eq!(&NewEvent::from(event), new);
    }
    Ok(())
}

fn many_in_one_statement<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new: Vec<_> =
        (0..500).map(|n| NewEvent::new("t", n.to_string()).extra4((n % 7).to_string())).collect();
    let inserted = db.call(event::insert_many("q", &new))?;
    assert!(inserted.is_sorted());
    let events = delivered::<D>(&mut db);
    assert_eq!(ids(&events), inserted);
    assert!(events.iter().map(NewEvent::from).eq(new));
    assert_eq!(db.call(event::insert_many("q", &[]))?, []);
    Ok(())
}

fn thousands_in_chunks<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new = (0..2_500).map(|n| NewEvent::new("t", n.to_string()));
    assert_eq!(db.insert_events("q", new.clone())?, 2_500);
    let events = delivered::<D>(&mut db);
    assert!(events.iter().map(NewEvent::from).eq(new));
    assert!(events.iter().all(|event| event.txid == events[0].txid));
    assert_eq!(db.insert_events("q", [])?, 0);
    Ok(())
}

fn many_or_none<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new = (0..2_500).map(|n| if n == 2_400 { NewEvent::new("t", "\0") } else { NewEvent::new("t", "x") });
    assert_error!(db.insert_events("q", new.clone()), Error::Encoding { .. }, "22021", ["NUL"]);
    let mut transaction = db.transaction()?;
    transaction.insert_event("q", "t", "before")?;
    assert!(transaction.insert_events("q", new).is_err());
    transaction.insert_event("q", "t", "after")?;
    transaction.commit()?;
    let data: Vec<_> = delivered::<D>(&mut db).into_iter().map(|event| event.data.unwrap()).collect();
    assert_eq!(data, ["before", "after"]);
    Ok(())
}

fn inserted_raw<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let time = DateTime::<Utc>::from_timestamp(1_000_000_000, 5_000).unwrap();
    let new = NewEvent::new("t", "d").extra2("x");
    let owner: i32 = db.value("SELECT sub_id FROM pgq.subscription");
    let id = Some(EventId(7_777));
    assert_eq!(db.call(event::insert_raw("q", id, Some(time), Some(owner), Some(3), &new))?, EventId(7_777));
    assert_eq!(db.call(event::insert_raw("q", None, None, Some(owner + 1), None, &new))?, EventId(2));
    let usual = db.call(event::insert_raw("q", None, None, None, None, &NewEvent::default()))?;
    let events = delivered::<D>(&mut db);
    // The second is another consumer's.
    assert_eq!(ids(&events), [usual, EventId(7_777)]);
    assert_eq!((events[1].time, events[1].retry), (time, 3));
    assert_eq!((events[0].retry, NewEvent::from(&events[0])), (0, NewEvent::default()));
    Ok(())
}

fn copied<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new = (0..3_000).map(|n| NewEvent::new("t", n.to_string()).extra1("x"));
    let mut transaction = db.transaction()?;
    assert_eq!(transaction.copy_events("q", new.clone())?, 3_000);
    assert_eq!(transaction.copy_events("q", [])?, 0);
    let now: DateTime<Utc> = transaction.value("SELECT now()");
    transaction.commit()?;
    let events = delivered::<D>(&mut db);
    assert!(events.iter().map(NewEvent::from).eq(new));
    assert!(events.iter().all(|event| event.time == now && event.txid == events[0].txid));
    Ok(())
}

fn copied_or_none<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let too_large = || NewEvent::new("t", "12345678").max_size(8);
    let mut transaction = db.transaction()?;
    let new = (0..100).map(|n| if n == 50 { too_large() } else { NewEvent::new("t", "x") });
    assert_error!(
        transaction.copy_events("q", new),
        Error::EventTooLarge { size: 9, limit: 8, .. },
        "",
        ["9", "8"]
    );
    drop(transaction);
    let mut transaction = db.transaction()?;
    let nul = [NewEvent::new("t", "x"), NewEvent::new("t", "\0")];
    assert_error!(transaction.copy_events("q", nul), Error::Encoding { .. }, "22021", ["NUL"]);
    drop(transaction);
    assert_eq!(delivered::<D>(&mut db), []);
    Ok(())
}

fn current_table<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(event::current_table("q"))?, "pgq.event_1_0");
    Ok(())
}

fn queue_not_found<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let new = NewEvent::new("t", "d");
    for result in [
        db.insert_event("none", "t", "d"),
        db.insert("none", &new),
        db.insert_events("none", [new.clone()]).map(|_| EventId(0)),
        db.call(event::insert_raw("none", None, None, None, None, &new)),
    ] {
        assert_error!(result, Error::QueueNotFound { queue, .. } if queue == "none", crate::engine::refused_by_c(),
            ["\"none\"", "Queue::create"]);
    }
    let copied = db.transaction()?.copy_events("none", [new]).map(|_| String::new());
    for result in [copied, db.call(event::current_table("none"))] {
        assert_error!(result, Error::QueueNotFound { queue, .. } if queue == "none", "P0001", ["\"none\""]);
    }
    Ok(())
}

fn disabled<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.batch_execute("UPDATE pgq.queue SET queue_disable_insert = true")?;
    let new = NewEvent::new("t", "d");
    assert_error!(db.insert("q", &new), Error::InsertDisabled { queue, .. } if queue == "q", crate::engine::refused_by_c(),
        ["\"q\"", "queue_disable_insert"]);
    let copied = db.transaction()?.copy_events("q", [new]).map(|_| String::new());
    for result in [copied, db.call(event::current_table("q"))] {
        assert_error!(result, Error::InsertDisabled { queue, .. } if queue == "q", "P0001", ["\"q\""]);
    }
    Ok(())
}

fn too_many_in_one_transaction<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.batch_execute("UPDATE pgq.queue SET queue_per_tx_limit = 2")?;
    let new = NewEvent::new("t", "d");
    assert_eq!(db.insert_events("q", [new.clone(), new.clone()])?, 2);
    assert_error!(db.insert_events("q", [new.clone(), new.clone(), new.clone()]),
        Error::TransactionLimit { queue, .. } if queue == "q", crate::engine::refused_by_c(), ["\"q\"", "queue_per_tx_limit"]);
    assert_eq!(delivered::<D>(&mut db).len(), 2);
    db.set_config("q", &QueueConfig::new())?;
    Ok(())
}

/// The connection is dead, so a refusal can only have come from this side.
fn too_large_before_anything_is_sent<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let pid = bed.db.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.connect(), pid);
    let large = "x".repeat(MAX_SIZE);
    let new = NewEvent::new("t", large.as_str());
    for result in [
        bed.db.insert_event("q", "t", &large),
        bed.db.insert("q", &new),
        bed.db.call(event::insert_many("q", std::slice::from_ref(&new))).map(|_| EventId(0)),
        bed.db.call(event::insert_raw("q", None, None, None, None, &new)),
    ] {
        assert_error!(result, Error::EventTooLarge { limit: MAX_SIZE, .. }, "", ["67108865", "67108864"]);
    }
    assert!(bed.db.insert_event("q", "t", "small").err().unwrap().is_connection());
    Ok(())
}

fn larger_by_wish<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    let data = "x".repeat(MAX_SIZE + 1);
    let new = NewEvent::default().data(data.as_str()).max_size(MAX_SIZE + 1);
    db.insert("q", &new)?;
    assert_eq!(delivered::<D>(&mut db)[0].data.as_deref().map(str::len), Some(MAX_SIZE + 1));
    assert_error!(db.insert("q", &new.max_size(10)), Error::EventTooLarge { limit: 10, .. }, "", ["10"]);
    Ok(())
}
