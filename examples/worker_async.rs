//! Leave the loop to a worker: it connects, waits for batches, calls a handler for each event, and retries and gives up what fails.
//!
//! Run it with `cargo run --example worker_async`. `worker` tells the same story with the blocking driver.

use std::error::Error;
use std::time::Duration;

use pgq::NewEvent;
use pgq::aio::futures::FutureExt;
use pgq::aio::futures::future::BoxFuture;
use pgq::aio::tokio_postgres::{self, NoTls, Transaction};
use pgq::aio::{Consumer, DeadLetters, Queue, Worker};
use pgq::ticker::aio::Ticker;
use pgq::worker::{Delivery, RetryPolicy, WorkerOptions};
use pgq_testkit::Server;

#[derive(serde::Deserialize, serde::Serialize)]
struct Order {
    customer: String,
    cents: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let (mut db, connection) = tokio_postgres::connect(database.conninfo(), NoTls).await?;
    tokio::spawn(connection);
    db.batch_execute("CREATE TABLE invoice (customer text, cents bigint CHECK (cents > 0))").await?;
    let orders = Queue::new("orders");
    orders.create(&db).await?;
    Consumer::new("orders", "billing").register(&db).await?;
    let ticker =
        Ticker::builder(database.conninfo().parse()?).retry_period(Duration::from_millis(50)).spawn();

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
    orders.insert_events(&mut db, events).await?;
    while worker.stats().events.dead == 0 {
        // Or wait for the next ticks.
        ticker.tick_now("orders").await?;
    }
    let stats = worker.stop().await?;
    println!("{} events are done.", stats.events.done);

    let letters = DeadLetters::of("orders");
    let mut letters = letters.all(&db);
    while let Some(letter) = letters.next_letter().await? {
        println!("Given up after {} attempts: {}", letter.attempts, letter.event.data.unwrap_or_default());
    }
    let invoices: i64 = db.query_one("SELECT count(*) FROM invoice", &[]).await?.try_get(0)?;
    println!("There are {invoices} invoices.");
    ticker.stop().await;
    Ok(())
}

/// What it writes is committed with the end of the batch; what an event wrote that fails is undone.
fn write_invoice<'t>(
    order: Delivery<Order>,
    transaction: &'t mut Transaction<'_>,
) -> BoxFuture<'t, Result<(), pgq::Error>> {
    async move {
        let Order { customer, cents } = order.payload;
        println!("{customer} pays {cents} cents, attempt {}", order.attempt);
        let insert = "INSERT INTO invoice (customer, cents) VALUES ($1, $2)";
        transaction.execute(insert, &[&customer, &cents]).await?;
        Ok(())
    }
    .boxed()
}
