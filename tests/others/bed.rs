use std::ops::RangeInclusive;

use pgq_core::{NewEvent, tick};
use pgq_sync::postgres::{Client, NoTls};
use pgq_sync::{ClientExt, Consumer, Queue};
pub(crate) use pgq_testkit::until;
use pgq_testkit::{Database, Server};

/// A database with queue `q`, a consumer `ours`, and a table for what others have seen.
pub(crate) struct Bed {
    pub(crate) database: Database,
    pub(crate) db: Client,
}

impl Bed {
    pub(crate) fn new() -> crate::Result<Self> {
        let database = Server::shared()?.database()?;
        let mut db = Client::connect(database.conninfo(), NoTls)?;
        Queue::new("q").create(&mut db)?;
        Consumer::new("q", "ours").register(&mut db)?;
        db.batch_execute("CREATE TABLE seen (consumer text, data text, retry integer)")?;
        Ok(Self { database, db })
    }

    /// Inserts the numbers, and another one to be retried.
    pub(crate) fn produce(&mut self, numbers: RangeInclusive<u32>) {
        let numbers = numbers.map(|number| NewEvent::new("number", number.to_string()));
        Queue::new("q").insert_events(&mut self.db, numbers).unwrap();
        Queue::new("q").insert_event(&mut self.db, "again", "0").unwrap();
    }

    pub(crate) fn tick(&mut self) {
        self.db.call(tick::force("q")).unwrap();
        self.db.call(tick::queue("q")).unwrap();
    }

    /// Ticks and moves retries as a ticker would, until the others have seen so much.
    pub(crate) fn serve_until_seen(&mut self, consumer: &str, count: i64) {
        until("the others have seen all", || {
            self.tick();
            self.db.call(pgq_core::maintenance::retry_events(1)).unwrap();
            self.seen(consumer).len() as i64 >= count
        });
    }

    /// The data and retry counts that another consumer has seen.
    pub(crate) fn seen(&mut self, consumer: &str) -> Vec<(u32, Option<i32>)> {
        let rows = self
            .db
            .query("SELECT data::int, retry FROM seen WHERE consumer = $1 ORDER BY 1", &[&consumer])
            .unwrap();
        rows.iter().map(|row| (row.get::<_, i32>(0).unsigned_abs(), row.get(1))).collect()
    }

    /// The numbers that are there for our consumer.
    pub(crate) fn read(&mut self) -> Vec<u32> {
        let consumer = Consumer::new("q", "ours");
        let mut numbers = Vec::new();
        for event in consumer.next_events(&mut self.db) {
            numbers.push(event.unwrap().data.unwrap().parse().unwrap());
        }
        numbers
    }

    /// Reads until so many numbers came, and sorts them.
    pub(crate) fn read_until(&mut self, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        until("our consumer has all", || {
            numbers.extend(self.read());
            numbers.len() >= count
        });
        numbers.sort_unstable();
        numbers
    }
}

/// What a consumer sees of [`Bed::produce`]: the retried event first, as its number is the lowest.
pub(crate) fn expected(numbers: RangeInclusive<u32>) -> Vec<(u32, Option<i32>)> {
    std::iter::once((0, Some(1))).chain(numbers.map(|number| (number, None))).collect()
}
