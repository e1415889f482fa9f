use pgq_core::{Error, TickId, batch};

use crate::bed::{Bed, number, read, wait_for_waiters};
use crate::driver::{Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session, Transaction};

cases!(
    to_a_finish_that_commits_later,
    not_to_a_finish_that_is_rolled_back,
    to_a_second_session,
    to_an_unregister,
    to_a_move,
    to_a_new_registration,
    while_next_events_reads,
    while_it_is_loaded,
    to_a_dropped_queue,
);

/// Reads a batch, has `meanwhile` done, and finishes: nothing of it may stay.
fn lost<D: Driver>(meanwhile: impl FnOnce(&D::Consumer, &mut D::Client)) -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE sink (id bigint)")?;
    bed.produce(1..=3);
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let id = batch.info().id;
    assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
    batch.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
    meanwhile(&consumer, &mut other);
    let finished = batch.finish();
    assert!(finished.as_ref().err().unwrap().is_transient());
    assert_error!(finished,
        Error::BatchLost { queue, consumer, batch, .. } if queue == "q" && consumer == "c" && *batch == id, "",
        ["\"q\"", "\"c\"", id.to_string().as_str(), "rolled back"]);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
    Ok(())
}

fn to_a_second_session<D: Driver>() -> crate::Result {
    lost::<D>(|consumer, other| {
        let mut batch = consumer.next_batch(other).unwrap().unwrap();
        assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
        batch.finish().unwrap();
    })
}

fn to_an_unregister<D: Driver>() -> crate::Result {
    lost::<D>(|consumer, other| assert_eq!(consumer.unregister(other).unwrap(), 1))
}

fn to_a_move<D: Driver>() -> crate::Result {
    lost::<D>(|consumer, other| {
        consumer.register_at(other, TickId(1)).unwrap();
    })
}

fn to_a_new_registration<D: Driver>() -> crate::Result {
    lost::<D>(|consumer, other| {
        consumer.unregister(other).unwrap();
        consumer.register(other).unwrap();
    })
}

/// Somebody else has finished the batch and not committed yet; the finish of ours has to wait what becomes of it.
fn contested<D: Driver>(commits: bool) -> crate::Result<pgq_core::Result<()>> {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let (mut first, conninfo) = (bed.connect(), bed.database.conninfo().to_owned());
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let mut transaction = first.transaction()?;
    assert_eq!(transaction.call(batch::finish(open))?, batch::Finish::Done);
    let finished = std::thread::scope(|scope| -> crate::Result<_> {
        let second = scope.spawn(|| {
            let mut db = D::Client::connect(&conninfo).unwrap();
            let mut batch = D::Consumer::new("q", "c").next_batch(&mut db).unwrap().unwrap();
            assert_eq!(read::<D>(&mut batch), [1]);
            batch.finish()
        });
        wait_for_waiters::<D>(&mut bed.db, 1);
        if commits {
            transaction.commit()?
        } else {
            transaction.rollback()?
        }
        Ok(second.join().unwrap())
    })?;
    assert!(bed.drain().is_empty());
    Ok(finished)
}

fn to_a_finish_that_commits_later<D: Driver>() -> crate::Result {
    assert_error!(contested::<D>(true)?, Error::BatchLost { .. }, "", ["\"q\"", "\"c\""]);
    Ok(())
}

fn not_to_a_finish_that_is_rolled_back<D: Driver>() -> crate::Result {
    Ok(contested::<D>(false)??)
}

fn while_next_events_reads<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    bed.produce(3..=4);
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    let mut events = consumer.next_events(&mut bed.db);
    for expected in 1..=2 {
        assert_eq!(number(&events.next().unwrap()?), expected);
    }
    let mut batch = consumer.next_batch(&mut other)?.unwrap();
    assert_eq!(read::<D>(&mut batch), [1, 2]);
    batch.finish()?;
    assert_error!(events.next().unwrap(), Error::BatchLost { .. }, "", ["\"q\"", "\"c\""]);
    assert!(events.next().is_none());
    drop(events);
    assert_eq!(bed.drain(), [3, 4]);
    Ok(())
}

fn while_it_is_loaded<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    let mut first = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    let event = first.events()[0].clone();
    first.retry(&event, std::time::Duration::ZERO);
    let second = consumer.next_batch(&mut other)?.unwrap().load()?;
    second.finish(&mut other)?;
    assert_error!(first.finish(&mut bed.db), Error::BatchLost { .. }, "", ["\"q\"", "\"c\""]);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);

    bed.produce(3..=4);
    let mut first = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    for event in first.events().to_vec() {
        first.retry(&event, std::time::Duration::ZERO);
    }
    consumer.next_batch(&mut other)?.unwrap().finish_unread()?;
    assert_error!(first.finish(&mut bed.db), Error::BatchLost { .. }, "", ["\"q\"", "\"c\"", "meanwhile"]);
    Ok(())
}

fn to_a_dropped_queue<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    let loaded = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    other.drop_with_consumers("q")?;
    assert_error!(loaded.finish(&mut bed.db), Error::BatchLost { .. }, "", ["\"q\""]);
    assert_error!(consumer.next_batch(&mut bed.db), Error::NotSubscribed { .. }, "P0001", ["\"q\"", "\"c\""]);
    Ok(())
}
