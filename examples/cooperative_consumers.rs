//! Share the batches of one consumer among several workers, and let them take over from one that dies.
//!
//! Run it with `cargo run --example cooperative_consumers`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use pgq::coop::IfBusy;
use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Batch, Queue, SubConsumer};
use pgq::ticker::sync::Ticker;
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let connect = || Client::connect(database.conninfo(), NoTls);
    let mut db = connect()?;
    db.batch_execute("CREATE TABLE mail (address text, sent_by text)")?;
    let ticker = Ticker::builder(database.conninfo().parse()?).spawn()?;
    let queue = Queue::new("mails");
    queue.create(&mut db)?;

    // Each would be a process of its own.
    let (one, two) = (SubConsumer::new("mails", "sender", "one"), SubConsumer::new("mails", "sender", "two"));
    let (mut first, mut second) = (connect()?, connect()?);
    one.register(&mut first)?;
    two.register(&mut second)?;
    for addresses in [["ann@shop.test", "bob@shop.test"], ["eve@shop.test", "dan@shop.test"]] {
        for address in addresses {
            queue.insert_event(&mut db, "welcome", address)?;
        }
        ticker.tick_now("mails")?;
    }

    let mut slow = one.next_batch(&mut first)?.ok_or("two batches are there")?;
    send(&mut slow, "one")?;
    println!("Worker one falls asleep before it finishes its batch.");

    let mut batch = two.next_batch(&mut second)?.ok_or("one batch is left")?;
    send(&mut batch, "two")?;
    batch.finish()?;
    println!("Worker two has finished its batch, and there is {}.", more(&two, &mut second)?);

    let dead_interval = Duration::from_millis(100);
    thread::sleep(dead_interval);
    let two = two.dead_interval(dead_interval);
    let mut batch = two.next_batch(&mut second)?.ok_or("worker one has been silent for too long")?;
    println!("Worker two takes over:");
    send(&mut batch, "two")?;
    batch.finish()?;

    match slow.finish() {
        Err(pgq::Error::BatchLost { .. }) => {
            println!("Worker one wakes up: its batch is lost, and its work rolled back.")
        }
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    for row in db.query("SELECT address, sent_by FROM mail ORDER BY address", &[])? {
        println!("  {} by {}", row.get::<_, &str>(0), row.get::<_, &str>(1));
    }
    two.unregister(&mut second, IfBusy::GiveBack)?;
    Ok(())
}

fn send(batch: &mut Batch<'_>, worker: &str) -> Result<(), Box<dyn Error>> {
    while let Some(event) = batch.next_event()? {
        let address = event.data.unwrap_or_default();
        println!("Worker {worker} sends to {address}");
        batch.transaction().execute("INSERT INTO mail VALUES ($1, $2)", &[&address, &worker])?;
    }
    Ok(())
}

fn more(worker: &SubConsumer, db: &mut Client) -> Result<&'static str, pgq::Error> {
    Ok(if worker.next_batch(db)?.is_some() { "more" } else { "no more" })
}
