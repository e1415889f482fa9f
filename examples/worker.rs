//! Leave the loop to a worker: it connects, waits for batches, calls a handler for each event, and retries and gives up what fails.
//!
//! Run it with `cargo run --example worker`.

use std::error::Error;
use std::time::Duration;

use pgq::NewEvent;
use pgq::sync::postgres::{Client, NoTls, Transaction};
use pgq::sync::{Consumer, DeadLetters, Queue, Worker};
use pgq::ticker::sync::Ticker;
use pgq::worker::{Delivery, RetryPolicy, WorkerOptions};
use pgq_testkit::{Server, until};

#[derive(serde::Deserialize, serde::Serialize)]
struct Order {
    customer: String,
    cents: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    db.batch_execute("CREATE TABLE invoice (customer text, cents bigint CHECK (cents > 0))")?;
    let orders = Queue::new("orders");
    orders.create(&mut db)?;
    Consumer::new("orders", "billing").register(&mut db)?;
    let ticker =
        Ticker::builder(database.conninfo().parse()?).retry_period(Duration::from_millis(50)).spawn()?;

    let retries = RetryPolicy::new().attempts(2).pauses(Duration::ZERO, Duration::ZERO);
    let worker = Worker::builder(database.conninfo().parse()?, Consumer::new("orders", "billing"))
        .options(WorkerOptions::new().retries(retries))
        .on("order.paid", write_invoice)
        .spawn()?;

    let mut events = Vec::new();
    for (customer, cents) in [("Ann", 1990), ("Bob", -5), ("Eve", 500)] {
        let order = Order { customer: customer.to_owned(), cents };
        events.push(NewEvent::json("order.paid", &order)?);
    }
    orders.insert_events(&mut db, events)?;
    until("the order that fails is given up", || {
        // Or wait for the next ticks.
        ticker.tick_now("orders").is_ok() && worker.stats().events.dead > 0
    });
    let stats = worker.stop()?;
    println!("{} events are done.", stats.events.done);

    for letter in DeadLetters::of("orders").all(&mut db) {
        let letter = letter?;
        println!("Given up after {} attempts: {}", letter.attempts, letter.event.data.unwrap_or_default());
    }
    let invoices: i64 = db.query_one("SELECT count(*) FROM invoice", &[])?.try_get(0)?;
    println!("There are {invoices} invoices.");
    Ok(())
}

/// What it writes is committed with the end of the batch; what an event wrote that fails is undone.
fn write_invoice(order: Delivery<Order>, transaction: &mut Transaction<'_>) -> Result<(), pgq::Error> {
    let Order { customer, cents } = order.payload;
    println!("{customer} pays {cents} cents, attempt {}", order.attempt);
    let insert = "INSERT INTO invoice (customer, cents) VALUES ($1, $2)";
    transaction.execute(insert, &[&customer, &cents])?;
    Ok(())
}
