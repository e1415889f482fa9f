//! Insert many events at once, without holding them all in memory.
//!
//! Run it with `cargo run --example bulk_insert`.

use std::error::Error;

use pgq::NewEvent;
use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, Queue};
use pgq::ticker::sync::Ticker;
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    let queue = Queue::new("readings");
    queue.create(&mut db)?;
    let consumer = Consumer::new("readings", "archive");
    consumer.register(&mut db)?;

    let inserted = queue.insert_events(&mut db, readings(5_000))?;
    println!("Inserted {inserted} events, a thousand in each statement: any `pgq_writer` may do that.");

    let mut transaction = db.transaction()?;
    let copied = queue.copy_events(&mut transaction, readings(50_000))?;
    transaction.commit()?;
    println!("Copied {copied} events by one COPY: faster, but it takes the rights of `pgq_admin`.");

    let ticker = Ticker::builder(database.conninfo().parse()?).spawn()?;
    ticker.tick_now("readings")?;
    let mut received = 0;
    for event in consumer.next_events(&mut db) {
        event?;
        received += 1;
    }
    println!("The consumer got {received} events.");
    Ok(())
}

fn readings(count: u32) -> impl Iterator<Item = NewEvent<'static>> {
    (0..count).map(|number| NewEvent::new("reading", format!("{number} degrees")).extra1("thermometer 7"))
}
