use std::time::{Duration, Instant};

use pgq::sync::postgres::types::Type;
use pgq::sync::postgres::{Client, Transaction};
use pgq::sync::{ClientExt, Consumer, Queue};
use pgq::{BatchId, EventId, NewEvent, tick};

use crate::Result;
use crate::bed::{Bed, Kind};

/// Something that is done on every engine.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// The job that this one is compared with.
    pub(crate) base: Option<&'static str>,
    /// Does it, at a scale from 1 to 100.
    work: fn(&mut Bed, u32) -> Done,
}

/// How many times it was done, and in what time; `None` where the engine has nothing for it.
type Done = Result<Option<(u32, Duration)>>;

impl Job {
    pub(crate) fn speed(&self, bed: &mut Bed, scale: u32) -> Result<Option<f64>> {
        Ok((self.work)(bed, scale)?.map(|(count, time)| f64::from(count) / time.as_secs_f64()))
    }
}

const COPY: &str = "plain COPY into the event table";
const RETRY_ALL: &str = "batch_retry of 100,000 events";

pub(crate) const JOBS: [Job; 9] = [
    Job { name: "insert_event, one per statement", base: None, work: insert_each },
    Job { name: "insert_event, one per prepared statement", base: None, work: insert_prepared },
    Job { name: "insert_event, in a loop of the server", base: None, work: insert_in_a_loop },
    Job { name: COPY, base: None, work: copy },
    Job { name: "insert_events, 1,000 in a call", base: Some(COPY), work: insert_many },
    Job { name: "Queue::insert_events", base: Some(COPY), work: insert_by_queue },
    Job { name: "logutriga", base: None, work: log_changes },
    Job { name: RETRY_ALL, base: None, work: retry_all },
    Job { name: "retry of 1,000 of 100,000 events", base: Some(RETRY_ALL), work: retry_some },
];

/// 100 bytes.
const DATA: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Does it in a transaction, and times that up to the commit.
fn in_transaction(db: &mut Client, work: impl FnOnce(&mut Transaction<'_>) -> Result) -> Result<Duration> {
    timed(|| {
        let mut transaction = db.transaction()?;
        work(&mut transaction)?;
        Ok(transaction.commit()?)
    })
}

fn insert_each(bed: &mut Bed, scale: u32) -> Done {
    let count = 200 * scale;
    let insert = "SELECT pgq.insert_event('q', $1, $2)";
    let time = in_transaction(&mut bed.db, |transaction| {
        for _ in 0..count {
            transaction.query_typed(insert, &[(&"reading", Type::TEXT), (&DATA, Type::TEXT)])?;
        }
        Ok(())
    })?;
    Ok(Some((count, time)))
}

fn insert_prepared(bed: &mut Bed, scale: u32) -> Done {
    let count = 200 * scale;
    let time = in_transaction(&mut bed.db, |transaction| {
        let insert = transaction.prepare("SELECT pgq.insert_event('q', $1, $2)")?;
        for _ in 0..count {
            transaction.query(&insert, &[&"reading", &DATA])?;
        }
        Ok(())
    })?;
    Ok(Some((count, time)))
}

fn insert_in_a_loop(bed: &mut Bed, scale: u32) -> Done {
    let count = 500 * scale;
    let script = format!(
        "DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pgq.insert_event('q', 'reading', '{DATA}'); END LOOP; END $$"
    );
    let time = in_transaction(&mut bed.db, |transaction| Ok(transaction.batch_execute(&script)?))?;
    Ok(Some((count, time)))
}

fn copy(bed: &mut Bed, scale: u32) -> Done {
    let count = 3_000 * scale;
    let time = in_transaction(&mut bed.db, |transaction| {
        Queue::new("q").copy_events(transaction, events(count))?;
        Ok(())
    })?;
    Ok(Some((count, time)))
}

fn insert_many(bed: &mut Bed, scale: u32) -> Done {
    if bed.kind != Kind::Portable {
        return Ok(None);
    }
    let chunks = 3 * scale;
    let texts = |text: &str| vec![text.to_owned(); 1_000];
    let (types, data) = (texts("reading"), texts(DATA));
    let insert = "SELECT count(*) FROM pgq.insert_events('q', $1, $2, NULL, NULL, NULL, NULL)";
    let time = in_transaction(&mut bed.db, |transaction| {
        for _ in 0..chunks {
            transaction.query_typed(insert, &[(&types, Type::TEXT_ARRAY), (&data, Type::TEXT_ARRAY)])?;
        }
        Ok(())
    })?;
    Ok(Some((1_000 * chunks, time)))
}

fn insert_by_queue(bed: &mut Bed, scale: u32) -> Done {
    let count = 2_000 * scale;
    let time = in_transaction(&mut bed.db, |transaction| {
        Queue::new("q").insert_events(transaction, events(count))?;
        Ok(())
    })?;
    Ok(Some((count, time)))
}

fn events(count: u32) -> impl Iterator<Item = NewEvent<'static>> {
    (0..count).map(|_| NewEvent::new("reading", DATA))
}

fn log_changes(bed: &mut Bed, scale: u32) -> Done {
    let count = if bed.kind == Kind::SqlOnly { 20 * scale } else { 500 * scale };
    let insert = format!(
        "INSERT INTO readings (name, value, at, valid, more) \
         SELECT 'reading no. ' || i, i * 1.25, now(), i % 2 = 0, jsonb_build_object('place', i, 'unit', 'kWh') \
         FROM generate_series(1, {count}) AS i"
    );
    let time = in_transaction(&mut bed.db, |transaction| Ok(transaction.batch_execute(&insert)?))?;
    bed.db.batch_execute("TRUNCATE readings")?;
    Ok(Some((count, time)))
}

/// Events of the batch that the two jobs about retries work on, at full scale.
const BATCH: u32 = 1_000;

fn retry_all(bed: &mut Bed, scale: u32) -> Done {
    let Some((batch, _)) = batch(bed, scale)? else { return Ok(None) };
    let time = retry(&mut bed.db, |transaction| {
        transaction.execute("SELECT pgq.batch_retry($1, 60)", &[&batch.0])?;
        Ok(())
    })?;
    Ok(Some((1, time)))
}

fn retry_some(bed: &mut Bed, scale: u32) -> Done {
    // The others would take minutes: they read the batch once for each.
    if bed.kind != Kind::Portable {
        return Ok(None);
    }
    let Some((batch, ids)) = batch(bed, scale)? else { return Ok(None) };
    let some: Vec<i64> = ids.iter().step_by(100).map(|id| id.0).collect();
    let seconds = vec![60; some.len()];
    let time = retry(&mut bed.db, |transaction| {
        transaction.execute("SELECT pgq.events_retry($1, $2, $3)", &[&batch.0, &some, &seconds])?;
        Ok(())
    })?;
    Ok(Some((1, time)))
}

/// Times the queueing of retries, and takes it back.
fn retry(db: &mut Client, work: impl FnOnce(&mut Transaction<'_>) -> Result) -> Result<Duration> {
    let mut transaction = db.transaction()?;
    let time = timed(|| work(&mut transaction))?;
    transaction.rollback()?;
    Ok(time)
}

/// The open batch of a queue of its own, which is filled the first time.
fn batch(bed: &mut Bed, scale: u32) -> Result<Option<(BatchId, Vec<EventId>)>> {
    let db = &mut bed.db;
    let (queue, consumer) = (Queue::new("retries"), Consumer::new("retries", "c"));
    queue.create(db)?;
    consumer.register(db)?;
    let filled = db.query_one("SELECT count(*) FROM pgq.subscription WHERE sub_batch IS NOT NULL", &[])?;
    if filled.get::<_, i64>(0) == 0 {
        let mut transaction = db.transaction()?;
        queue.copy_events(&mut transaction, events(BATCH * scale))?;
        transaction.commit()?;
        db.call(tick::force("retries"))?;
        db.call(tick::queue("retries"))?;
        db.batch_execute("VACUUM (ANALYZE)")?;
    }
    let Some(batch) = consumer.next_batch(db)? else { return Ok(None) };
    let id = batch.info().id;
    drop(batch);
    let rows = db.query("SELECT ev_id FROM pgq.get_batch_events($1)", &[&id.0])?;
    Ok(Some((id, rows.iter().map(|row| EventId(row.get(0))).collect())))
}
