use std::time::Duration;

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
    before_its_first_event_is_read,
    before_it_is_loaded,
    before_next_events_reads_it,
    before_its_retries_are_queued,
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
    first.retry(&event, Duration::ZERO);
    let second = consumer.next_batch(&mut other)?.unwrap().load()?;
    second.finish(&mut other)?;
    assert_error!(first.finish(&mut bed.db), Error::BatchLost { .. }, "", ["\"q\"", "\"c\""]);
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);

    bed.produce(3..=4);
    let mut first = consumer.next_batch(&mut bed.db)?.unwrap().load()?;
    for event in first.events().to_vec() {
        first.retry(&event, Duration::ZERO);
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

/// Has a function of PgQ wait at its beginning while somebody holds the advisory lock 42.
fn wait_in<D: Driver>(db: &mut D::Client, function: &str) {
    let waits = r"begin perform pg_advisory_lock(42); perform pg_advisory_unlock(42);";
    let change = format!(
        r"DO $$ BEGIN EXECUTE regexp_replace(pg_get_functiondef('{function}'::regprocedure), '\nbegin\n', E'\n{waits}\n', 'i'); END $$"
    );
    db.batch_execute(&change).unwrap();
}

/// Somebody finishes the batch just before `work` gets to call the function.
fn taken_before<D: Driver, T: Send>(
    function: &str,
    work: impl FnOnce(&D::Consumer, &mut D::Client) -> pgq_core::Result<T> + Send,
) -> crate::Result<Error> {
    let mut bed = Bed::<D>::new()?;
    wait_in::<D>(&mut bed.db, function);
    bed.produce(1..=3);
    let (conninfo, mut other) = (bed.database.conninfo().to_owned(), bed.connect());
    let id = bed.db.call(batch::next("q", "c"))?.unwrap();
    other.batch_execute("SELECT pg_advisory_lock(42)")?;
    let result = std::thread::scope(|scope| -> crate::Result<_> {
        let mut other = other;
        let worker =
            scope.spawn(|| work(&D::Consumer::new("q", "c"), &mut D::Client::connect(&conninfo).unwrap()));
        wait_for_waiters::<D>(&mut bed.db, 1);
        assert_eq!(bed.db.call(batch::finish(id))?, batch::Finish::Done);
        other.batch_execute("SELECT pg_advisory_unlock(42)")?;
        Ok(worker.join().unwrap())
    })?;
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);
    let error = result.err().expect("the batch is gone");
    assert!(error.is_transient() && !error.is_connection(), "{error:?}");
    let text = error.to_string();
    assert!(matches!(&error, Error::BatchLost { batch, .. } if *batch == id), "{error:?}");
    assert!(text.contains("\"q\"") && text.contains("\"c\"") && text.contains(&id.to_string()), "{text}");
    // The consumer goes on as if nothing was.
    bed.produce([4]);
    assert_eq!(bed.drain(), [4]);
    Ok(error)
}

const CURSOR: &str = "pgq.get_batch_cursor(bigint, text, integer, text)";

fn before_its_first_event_is_read<D: Driver>() -> crate::Result {
    taken_before::<D, _>(CURSOR, |consumer, db| consumer.next_batch(db).map(drop))?;
    taken_before::<D, _>("pgq.batch_event_sql(bigint)", |consumer, db| consumer.next_batch(db).map(drop))?;
    Ok(())
}

fn before_it_is_loaded<D: Driver>() -> crate::Result {
    taken_before::<D, _>(CURSOR, |consumer, db| consumer.next_loaded(db).map(drop))?;
    Ok(())
}

fn before_next_events_reads_it<D: Driver>() -> crate::Result {
    taken_before::<D, _>(CURSOR, |consumer, db| {
        let mut events = consumer.next_events(db);
        let first = events.next_event();
        assert!(first.is_ok() || events.next_event()?.is_none());
        first
    })?;
    Ok(())
}

/// All alike, and some of them by an admin.
fn before_its_retries_are_queued<D: Driver>() -> crate::Result {
    for (function, count) in [("pgq.batch_retry(bigint, integer)", 3), (crate::engine::retries_some(), 2)] {
        taken_before::<D, _>(function, |consumer, db| {
            let mut batch = consumer.next_batch(db)?.unwrap();
            for event in batch.events(3).into_iter().take(count) {
                batch.retry(&event?, Duration::ZERO);
            }
            batch.finish()
        })?;
        taken_before::<D, _>(function, |consumer, db| {
            let mut loaded = consumer.next_loaded(db)?.unwrap();
            for event in loaded.take_events().iter().take(count) {
                loaded.retry(event, Duration::ZERO);
            }
            loaded.finish(db)
        })?;
    }
    Ok(())
}
