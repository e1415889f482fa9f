use std::collections::BTreeMap;

use pgq_sync::postgres::types::ToSql;
use pgq_sync::postgres::{Client, Error, NoTls};

use crate::history::{CONSUMERS, PRODUCERS, Step};

/// A queue on one engine, and everybody who uses it. What a step brings to light is told as text, which must not depend on the engine.
pub(crate) struct World {
    admin: Client,
    reader: Client,
    holds: bool,
    queue: String,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    next_number: u32,
    committed: Vec<u32>,
}

struct Producer {
    db: Client,
    in_transaction: bool,
    inserted: Vec<u32>,
    savepoint: Option<usize>,
}

#[derive(Default)]
struct Consumer {
    batch: Option<i64>,
    /// Id and number of each event of the batch, in their order.
    events: Vec<(i64, u32)>,
    retried: Vec<u32>,
    done: BTreeMap<u32, usize>,
}

impl World {
    pub(crate) fn new(conninfo: &str) -> Self {
        let connect = || {
            let mut db = Client::connect(conninfo, NoTls).unwrap();
            db.batch_execute("SET lock_timeout = '20s'").unwrap();
            db
        };
        let producer =
            || Producer { db: connect(), in_transaction: false, inserted: Vec::new(), savepoint: None };
        Self {
            admin: connect(),
            reader: connect(),
            holds: false,
            queue: String::new(),
            producers: (0..PRODUCERS).map(|_| producer()).collect(),
            consumers: Vec::new(),
            next_number: 0,
            committed: Vec::new(),
        }
    }

    /// Begins with a fresh queue of this name.
    pub(crate) fn begin(&mut self, queue: &str) {
        self.end();
        self.queue = queue.to_owned();
        self.consumers = (0..CONSUMERS).map(|_| Consumer::default()).collect();
        self.next_number = 0;
        self.committed.clear();
        let period = "SELECT pgq.create_queue($1) + pgq.set_queue_config($1, 'rotation_period', '0')";
        self.admin.execute(period, &[&queue]).unwrap();
        self.admin.execute("SELECT pgq.register_consumer($1, 'c0')", &[&queue]).unwrap();
    }

    /// Ends what is open, and drops the queue.
    pub(crate) fn end(&mut self) {
        for producer in 0..PRODUCERS {
            self.end_transaction(producer, false);
        }
        self.release();
        let drop = "SELECT pgq.drop_queue(queue_name, true) FROM pgq.queue";
        self.admin.execute(drop, &[]).unwrap();
    }

    pub(crate) fn step(&mut self, step: Step) -> String {
        match step {
            Step::Begin(producer) => self.begin_transaction(producer),
            Step::Insert(producer, count) => self.insert(producer, count),
            Step::Savepoint(producer) => self.savepoint(producer),
            Step::RollbackToSavepoint(producer) => self.rollback_to_savepoint(producer),
            Step::Commit(producer) => self.end_transaction(producer, true),
            Step::Rollback(producer) => self.end_transaction(producer, false),
            Step::Tick => self.value("SELECT pgq.force_tick($1) + pgq.ticker($1)", &[]),
            Step::Register(consumer) => self.call(consumer, "SELECT pgq.register_consumer($1, $2)"),
            Step::Unregister(consumer) => self.call(consumer, "SELECT pgq.unregister_consumer($1, $2)"),
            Step::Rewind(consumer) => self.rewind(consumer),
            Step::Open(consumer) => self.open(consumer),
            Step::Finish(consumer) => self.finish(consumer),
            Step::RetrySome(consumer, mask) => self.retry_some(consumer, mask),
            Step::RetryAll(consumer) => self.retry_all(consumer),
            Step::MoveRetries => self.move_retries(),
            Step::Rotate => self.rotate(),
            Step::Hold => self.hold(),
            Step::Release => self.release(),
        }
    }

    /// Lets everybody finish, and every consumer read to the end.
    pub(crate) fn settle(&mut self) -> String {
        let mut told = String::new();
        for producer in 0..PRODUCERS {
            told += &self.end_transaction(producer, true);
        }
        told += &self.release();
        for _ in 0..2 {
            told += &self.move_retries();
            told += &self.step(Step::Tick);
            for consumer in 0..CONSUMERS {
                loop {
                    told += &self.open(consumer);
                    if self.consumers[consumer].batch.is_none() {
                        break;
                    }
                    told += &self.finish(consumer);
                }
            }
        }
        told
    }

    /// What the first consumer lost, or was done with twice; empty if all is well. Ask after [`settle`](Self::settle).
    pub(crate) fn wrongs(&self) -> String {
        let done = &self.consumers[0].done;
        let lost: Vec<_> = self.committed.iter().filter(|number| !done.contains_key(number)).collect();
        let made_up: Vec<_> = done.keys().filter(|number| !self.committed.contains(number)).collect();
        let repeated: Vec<_> = done.iter().filter(|(_, count)| **count > 1).collect();
        if lost.is_empty() && made_up.is_empty() && repeated.is_empty() {
            return String::new();
        }
        format!("lost {lost:?}, made up {made_up:?}, repeated {repeated:?}")
    }

    fn begin_transaction(&mut self, producer: usize) -> String {
        let producer = &mut self.producers[producer];
        if !producer.in_transaction {
            producer.db.batch_execute("BEGIN").unwrap();
            producer.in_transaction = true;
        }
        String::new()
    }

    fn insert(&mut self, producer: usize, count: u8) -> String {
        let producer = &mut self.producers[producer];
        for _ in 0..count {
            let number = self.next_number;
            self.next_number += 1;
            let insert = "SELECT pgq.insert_event($1, 'number', $2)";
            producer.db.query_one(insert, &[&self.queue, &number.to_string()]).unwrap();
            if producer.in_transaction { &mut producer.inserted } else { &mut self.committed }.push(number);
        }
        String::new()
    }

    fn savepoint(&mut self, producer: usize) -> String {
        let producer = &mut self.producers[producer];
        if producer.in_transaction {
            producer.db.batch_execute("SAVEPOINT s").unwrap();
            producer.savepoint = Some(producer.inserted.len());
        }
        String::new()
    }

    fn rollback_to_savepoint(&mut self, producer: usize) -> String {
        let producer = &mut self.producers[producer];
        if let Some(kept) = producer.savepoint {
            producer.db.batch_execute("ROLLBACK TO s").unwrap();
            producer.inserted.truncate(kept);
        }
        String::new()
    }

    fn end_transaction(&mut self, producer: usize, commit: bool) -> String {
        let producer = &mut self.producers[producer];
        if producer.in_transaction {
            producer.db.batch_execute(if commit { "COMMIT" } else { "ROLLBACK" }).unwrap();
            let inserted = std::mem::take(&mut producer.inserted);
            self.committed.extend(inserted.into_iter().filter(|_| commit));
            producer.in_transaction = false;
            producer.savepoint = None;
        }
        String::new()
    }

    fn rewind(&mut self, consumer: usize) -> String {
        self.consumers[consumer].batch = None;
        self.call(
            consumer,
            "SELECT pgq.register_consumer_at($1, $2, min(tick_id)) FROM pgq.tick \
             WHERE tick_queue = (SELECT queue_id FROM pgq.queue WHERE queue_name = $1)",
        )
    }

    fn open(&mut self, consumer: usize) -> String {
        let name = format!("c{consumer}");
        let next = "SELECT pgq.next_batch($1, $2)";
        let batch = match self.admin.query_one(next, &[&self.queue, &name]) {
            Ok(row) => row.get::<_, Option<i64>>(0),
            Err(error) => return self.forget(consumer, &error),
        };
        let state = &mut self.consumers[consumer];
        if state.batch != batch {
            state.retried.clear();
        }
        state.batch = batch;
        let Some(batch) = batch else { return "none ".to_owned() };
        let read = "SELECT ev_id, ev_data::int, ev_retry, ev_type FROM pgq.get_batch_events($1)";
        let rows = match self.admin.query(read, &[&batch]) {
            Ok(rows) => rows,
            Err(error) => return self.forget(consumer, &error),
        };
        let event =
            |row: &pgq_sync::postgres::Row| (row.get::<_, i64>(0), row.get::<_, i32>(1).unsigned_abs());
        state.events = rows.iter().map(event).collect();
        let retries: Vec<Option<i32>> = rows.iter().map(|row| row.get(2)).collect();
        // Not their ids: the first tick that is forced passes over one more in C.
        let numbers: Vec<u32> = state.events.iter().map(|(_, number)| *number).collect();
        format!("{numbers:?} {retries:?} ")
    }

    fn forget(&mut self, consumer: usize, error: &Error) -> String {
        self.consumers[consumer].batch = None;
        text(error)
    }

    fn finish(&mut self, consumer: usize) -> String {
        let Some(batch) = self.consumers[consumer].batch else { return String::new() };
        let told = self.value_of("SELECT pgq.finish_batch($1)", &[&batch]);
        let state = &mut self.consumers[consumer];
        state.batch = None;
        if told == "1 " {
            for (_, number) in state.events.iter().filter(|(_, number)| !state.retried.contains(number)) {
                *state.done.entry(*number).or_default() += 1;
            }
        }
        told
    }

    fn retry_some(&mut self, consumer: usize, mask: u8) -> String {
        let chosen: Vec<_> = match self.retriable(consumer) {
            Some(events) => events
                .iter()
                .enumerate()
                .filter(|(place, _)| mask >> (place % 8) & 1 == 1)
                .map(|(_, e)| *e)
                .collect(),
            None => return String::new(),
        };
        let batch = self.consumers[consumer].batch;
        let mut told = String::new();
        for (id, number) in chosen {
            told += &self.value_of("SELECT pgq.event_retry($1, $2, 0)", &[&batch, &id]);
            self.consumers[consumer].retried.push(number);
        }
        told
    }

    fn retry_all(&mut self, consumer: usize) -> String {
        let Some(events) = self.retriable(consumer) else { return String::new() };
        let batch = self.consumers[consumer].batch;
        self.consumers[consumer].retried = events.iter().map(|(_, number)| *number).collect();
        self.value_of("SELECT pgq.batch_retry($1, 0)", &[&batch])
    }

    /// The events of the open batch, unless one is in it twice, after a rewind: what happens to those is up to the engine. The first
    /// consumer asks for retries once a batch: whoever asks again after they were moved gets the event as often.
    fn retriable(&self, consumer: usize) -> Option<Vec<(i64, u32)>> {
        let state = &self.consumers[consumer];
        if consumer == 0 && !state.retried.is_empty() {
            return None;
        }
        let events = state.batch.map(|_| state.events.clone())?;
        events.is_sorted_by(|one, next| one.0 < next.0).then_some(events)
    }

    fn move_retries(&mut self) -> String {
        let mut told = String::new();
        loop {
            let moved: i32 = self.admin.query_one("SELECT pgq.maint_retry_events()", &[]).unwrap().get(0);
            if moved == 0 {
                return told;
            }
            told += &format!("{moved} ");
        }
    }

    fn rotate(&mut self) -> String {
        let step1 = self.value("SELECT pgq.maint_rotate_tables_step1($1)", &[]);
        let step2 = self.value_of("SELECT pgq.maint_rotate_tables_step2()", &[]);
        let now = self.value("SELECT queue_cur_table FROM pgq.queue WHERE queue_name = $1", &[]);
        format!("{step1}{step2}table {now}")
    }

    fn hold(&mut self) -> String {
        if !self.holds {
            let id: i32 = self.admin.query_one("SELECT queue_id FROM pgq.queue", &[]).unwrap().get(0);
            self.reader.batch_execute(&format!("BEGIN; SELECT count(*) FROM pgq.event_{id}")).unwrap();
            self.holds = true;
        }
        String::new()
    }

    fn release(&mut self) -> String {
        if self.holds {
            self.reader.batch_execute("ROLLBACK").unwrap();
            self.holds = false;
        }
        String::new()
    }

    fn call(&mut self, consumer: usize, sql: &str) -> String {
        let name = format!("c{consumer}");
        self.value(sql, &[&name])
    }

    /// The answer of a function whose first argument is the queue.
    fn value(&mut self, sql: &str, more: &[&(dyn ToSql + Sync)]) -> String {
        let queue = self.queue.clone();
        let mut arguments: Vec<&(dyn ToSql + Sync)> = vec![&queue];
        arguments.extend(more);
        self.value_of(sql, &arguments)
    }

    fn value_of(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> String {
        tell(self.admin.query_one(sql, arguments))
    }
}

fn tell(answer: Result<pgq_sync::postgres::Row, Error>) -> String {
    match answer {
        Ok(row) => {
            let number =
                row.try_get::<_, Option<i64>>(0).or_else(|_| Ok(row.get::<_, Option<i32>>(0).map(i64::from)));
            match number as Result<Option<i64>, Error> {
                Ok(Some(number)) => format!("{number} "),
                _ => "null ".to_owned(),
            }
        }
        Err(error) => text(&error),
    }
}

/// The message alone: an error of C has another SQLSTATE than one of PL/pgSQL.
fn text(error: &Error) -> String {
    format!("{} ", error.as_db_error().map_or("connection lost", |error| error.message()))
}
