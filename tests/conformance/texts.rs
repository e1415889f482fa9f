use pgq_core::batch::ChunkSize;
use pgq_core::{Created, Error, Filter, NewEvent, QueueConfig, TickId, batch, maintenance};
use pgq_testkit::Server;

use crate::bed::{Bed, tick, tick_on};
use crate::driver::{Batch, Client, Consumer, Driver, NextEvents, Session, Transaction};

cases!(any_name, any_payload, nul, another_encoding, bytes_of_no_encoding, bytes_of_no_encoding_further_on);

fn names() -> Vec<String> {
    let names = [
        "with space",
        " padded ",
        "it's",
        "double \"quoted\"",
        "dotted.name.here",
        "; DROP TABLE pgq.queue; --",
        r"back\slash",
        "日本語 🦀 é",
        "$1 $$ %s {}",
        "tab\tline\n",
        "select",
        "UPPER",
        "upper",
        "",
    ];
    names.into_iter().map(String::from).chain(["x".repeat(500), "é".repeat(250)]).collect()
}

fn any_name<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    for name in names() {
        assert_eq!(db.create(&name)?, Created::New, "{name}");
        let consumer = D::Consumer::new(&name, &name);
        assert_eq!(consumer.register(&mut db)?, Created::New, "{name}");
    }
    for name in names() {
        let consumer = D::Consumer::new(&name, &name);
        assert_eq!(db.create(&name)?, Created::Existed);
        assert_eq!(consumer.register(&mut db)?, Created::Existed);
        db.set_config(&name, &QueueConfig::new().ticker_max_count(7))?;
        let info = db.info(&name)?.unwrap();
        assert_eq!((info.name.as_str(), info.ticker_max_count), (name.as_str(), 7));
        db.insert_event(&name, &name, "1")?;
        let mut transaction = db.transaction()?;
        transaction.copy_events(&name, [NewEvent::new(name.as_str(), "2")])?;
        transaction.commit()?;
        tick_on::<D>(&mut db, &name);
        let filtered = consumer.clone().filter(Filter::new().types([name.as_str()]));
        assert_eq!(crate::bed::drain::<D>(&mut db, &filtered), [1, 2], "{name}");
        db.call(maintenance::rotate_step1(&name))?;
        assert_eq!(consumer.info(&mut db)?.unwrap().name, name);
        assert_error!(
            consumer.register_at(&mut db, TickId(999)),
            Error::TickNotFound { .. },
            "P0001",
            [format!("{name:?}").as_str()]
        );
        assert_eq!(consumer.unregister(&mut db)?, 1);
        db.drop_queue(&name)?;
        assert_error!(db.drop_queue(&name), Error::QueueNotFound { queue, .. } if *queue == name, "P0001",
            [format!("{name:?}").as_str()]);
    }
    Ok(())
}

fn any_payload<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let texts = names();
    let new: Vec<_> = texts
        .iter()
        .map(|text| {
            let text = text.as_str();
            NewEvent::new(text, text).extra1(text).extra2(text).extra3(text).extra4(text)
        })
        .collect();
    bed.db.insert_events("q", new.clone())?;
    for event in &new {
        bed.db.insert("q", event)?;
    }
    let mut transaction = bed.db.transaction()?;
    transaction.copy_events("q", new.clone())?;
    transaction.commit()?;
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    for expected in new.iter().cycle().take(3 * new.len()) {
        assert_eq!(&NewEvent::from(&batch.next_event()?.unwrap()), expected);
    }
    assert_eq!(batch.next_event()?, None);
    Ok(())
}

fn nul<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for result in [
        bed.db.insert_event("q", "t", "a\0b").map(|_| ()),
        bed.db.insert_event("q", "a\0b", "d").map(|_| ()),
        bed.db.insert_event("a\0b", "t", "d").map(|_| ()),
        bed.db.insert("q", &NewEvent::default().extra4("\0")).map(|_| ()),
        bed.db.create("a\0b").map(|_| ()),
        D::Consumer::new("q", "a\0b").register(&mut bed.db).map(|_| ()),
        D::Consumer::new("q", "a\0b").next_batch(&mut bed.db).map(|_| ()),
    ] {
        assert_error!(result, Error::Encoding { .. }, "22021", ["NUL"]);
    }
    Ok(())
}

fn another_encoding<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::on(crate::engine::new_database(Server::shared()?).encoding("LATIN1").create()?)?;
    bed.db.insert_event("q", "t", "é")?;
    for result in [bed.db.insert_event("q", "t", "日本").map(|_| ()), bed.db.create("日本").map(|_| ())] {
        assert_error!(result, Error::Encoding { .. }, "22P05", ["encoding of the database"]);
    }
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    assert_eq!(batch.next_event()?.unwrap().data.as_deref(), Some("é"));
    Ok(())
}

fn spoiled<D: Driver>(at: u32) -> crate::Result<Bed<D>> {
    let mut bed =
        Bed::<D>::on(crate::engine::new_database(Server::shared()?).encoding("SQL_ASCII").create()?)?;
    crate::bed::insert::<D>(&mut bed.db, 1..=40);
    bed.db.batch_execute(&format!(
        "SET client_encoding = 'SQL_ASCII'; UPDATE pgq.event_1_0 SET ev_data = E'\\xff' WHERE ev_id = {at}; RESET client_encoding"
    ))?;
    tick::<D>(&mut bed.db);
    Ok(bed)
}

fn bytes_of_no_encoding<D: Driver>() -> crate::Result {
    let mut bed = spoiled::<D>(3)?;
    assert_error!(bed.consumer().next_batch(&mut bed.db), Error::Encoding { .. }, "22021", ["encoding"]);
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    assert_error!(bed.db.call(batch::events(open)), Error::Encoding { .. }, "22021", ["encoding"]);
    Ok(())
}

/// In a chunk that comes later, and may have been asked for in advance.
fn bytes_of_no_encoding_further_on<D: Driver>() -> crate::Result {
    let mut bed = spoiled::<D>(30)?;
    let consumer = bed.consumer().chunk(ChunkSize { events: 5, ..ChunkSize::default() });
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let mut events = batch.events(99);
    assert_error!(events.pop().unwrap(), Error::Encoding { .. }, "22021", ["encoding"]);
    assert!(events.into_iter().all(|event| event.is_ok()));
    assert!(batch.next_event().is_err());
    assert!(batch.finish().is_err());

    let mut events = consumer.next_events(&mut bed.db);
    let mut results = std::iter::from_fn(|| events.next());
    assert_error!(
        results.find(|event| event.is_err()).unwrap(),
        Error::Encoding { .. },
        "22021",
        ["encoding"]
    );
    assert!(results.next().is_none());
    Ok(())
}
