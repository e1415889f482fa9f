use pgq_core::Error;
use pgq_core::batch::{self, ChunkSize};
use pgq_testkit::{Database, Server, Shutdown};

use crate::bed::{Bed, number, read, terminate};
use crate::driver::{Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session};

cases!(
    after_the_batch_was_opened,
    while_it_is_read,
    while_next_events_reads,
    before_it_is_finished,
    before_a_loaded_batch_is_finished,
    the_server,
    exactly_once_under_repeated_kills,
);

fn lost_connection(error: &Error) {
    assert!(error.is_connection() && error.is_transient(), "{error:?}");
}

fn after_the_batch_was_opened<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let mut victim = bed.connect();
    let id = victim.call(batch::next("q", "c"))?.unwrap();
    let pid = victim.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    lost_connection(&bed.consumer().next_batch(&mut victim).err().unwrap());
    let consumer = bed.consumer();
    assert_eq!(consumer.next_batch(&mut bed.db)?.unwrap().info().id, id);
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

fn while_it_is_read<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=30);
    let mut victim = bed.connect();
    let consumer = bed.consumer().chunk(ChunkSize { events: 5, ..ChunkSize::default() });
    let mut batch = consumer.next_batch(&mut victim)?.unwrap();
    for expected in 1..=7 {
        assert_eq!(number(&batch.next_event()?.unwrap()), expected);
    }
    let pid = batch.transaction().value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    // What is here already still comes.
    let mut expected = 8;
    let error = loop {
        match batch.next_event() {
            Ok(event) => assert_eq!(number(&event.unwrap()), expected),
            Err(error) => break error,
        }
        expected += 1;
    };
    lost_connection(&error);
    drop(batch);
    assert!(bed.drain().into_iter().eq(1..=30));
    Ok(())
}

fn while_next_events_reads<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bed.produce(4..=30);
    let mut victim = bed.connect();
    let pid = victim.value("SELECT pg_backend_pid()");
    let consumer = bed.consumer().chunk(ChunkSize { events: 5, ..ChunkSize::default() });
    let mut events = consumer.next_events(&mut victim);
    for expected in 1..=5 {
        assert_eq!(number(&events.next().unwrap()?), expected);
    }
    terminate::<D>(&mut bed.db, pid);
    let error = loop {
        match events.next().unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    lost_connection(&error);
    assert!(events.next().is_none());
    assert!(bed.drain().into_iter().eq(4..=30));
    Ok(())
}

fn before_it_is_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=3);
    let mut victim = bed.connect();
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut victim)?.unwrap();
    assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
    batch.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
    let pid = batch.transaction().value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    lost_connection(&batch.finish().err().unwrap());
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

fn before_a_loaded_batch_is_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let mut victim = bed.connect();
    let consumer = bed.consumer();
    let loaded = consumer.next_batch(&mut victim)?.unwrap().load()?;
    let pid = victim.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    lost_connection(&loaded.finish(&mut victim).err().unwrap());
    let loaded = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    // Another connection finishes it as well as the one that it was read on.
    loaded.finish(&mut bed.connect())?;
    assert!(bed.drain().is_empty());
    Ok(())
}

fn the_server<D: Driver>() -> crate::Result {
    let server = Server::start()?;
    let mut bed = Bed::<D>::on(crate::engine::new_database(&server).create()?)?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=3);
    for kill in [true, false] {
        let consumer = bed.consumer();
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
        batch.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
        if kill {
            server.kill()?;
            server.start_again()?;
        } else {
            server.restart(Shutdown::Immediate)?;
        }
        lost_connection(&batch.finish().err().unwrap());
        bed.db = bed.connect();
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    }
    assert_eq!(bed.drain(), [1, 2, 3]);
    server.kill()?;
    let refused = D::Client::connect(bed.database.conninfo()).map_err(Error::from);
    lost_connection(&refused.err().unwrap());
    lost_connection(&bed.consumer().next_batch(&mut bed.db).err().unwrap());
    Ok(())
}

/// Works on batches, and has its session killed after ever more steps, so that every step is once the last one.
fn exactly_once_under_repeated_kills<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    for first in [1, 11, 21] {
        bed.produce(first..first + 10);
    }
    let mut attempts = 0;
    for steps in (0..13).cycle() {
        attempts += 1;
        match work::<D>(&bed.database, &mut bed.db, steps) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => lost_connection(error.downcast_ref().unwrap()),
        }
    }
    assert!(attempts > 25, "{attempts}");
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 30);
    assert_eq!(bed.db.value::<i64>("SELECT count(DISTINCT id) FROM sink"), 30);
    Ok(())
}

fn work<D: Driver>(database: &Database, killer: &mut D::Client, steps: u32) -> crate::Result<bool> {
    let mut db = D::Client::connect(database.conninfo())?;
    let pid = db.value("SELECT pg_backend_pid()");
    let consumer = D::Consumer::new("q", "c").chunk(ChunkSize { events: 4, ..ChunkSize::default() });
    let Some(mut batch) = consumer.next_batch(&mut db)? else { return Ok(false) };
    let mut step = 0;
    let mut last = || {
        step += 1;
        if step > steps {
            terminate::<D>(killer, pid);
        }
    };
    while let Some(event) = batch.next_event()? {
        last();
        let insert = format!("INSERT INTO sink VALUES ({})", event.id);
        batch.transaction().batch_execute(&insert).map_err(Error::from)?;
    }
    last();
    batch.finish()?;
    Ok(true)
}
