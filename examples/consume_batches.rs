//! Let each event take effect exactly once: what it does is committed together with the end of its batch.
//!
//! Run it with `cargo run --example consume_batches`.

use std::error::Error;

use pgq::NewEvent;
use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Batch, Consumer, Queue};
use pgq::ticker::sync::Ticker;
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    db.batch_execute("CREATE TABLE invoice (customer text, cents bigint)")?;
    let queue = Queue::new("orders");
    queue.create(&mut db)?;
    let consumer = Consumer::new("orders", "billing");
    consumer.register(&mut db)?;
    let orders = [("Ann", "1990"), ("Bob", "500"), ("Eve", "1")];
    queue.insert_events(&mut db, orders.map(|(customer, cents)| NewEvent::new(customer, cents)))?;
    Ticker::builder(database.conninfo().parse()?).spawn()?.tick_now("orders")?;

    if let Some(mut batch) = consumer.next_batch(&mut db)? {
        println!("Batch {}:", batch.info().id);
        write_invoices(&mut batch)?;
        println!("The program crashes before the end of the batch.");
        drop(batch);
    }
    println!("There are {} invoices.", count_invoices(&mut db)?);

    while let Some(mut batch) = consumer.next_batch(&mut db)? {
        println!("Batch {} again:", batch.info().id);
        write_invoices(&mut batch)?;
        batch.finish()?;
        println!("The batch is finished.");
    }
    println!("There are {} invoices.", count_invoices(&mut db)?);
    Ok(())
}

fn write_invoices(batch: &mut Batch<'_>) -> Result<(), Box<dyn Error>> {
    while let Some(event) = batch.next_event()? {
        let customer = event.event_type.unwrap_or_default();
        let cents: i64 = event.data.unwrap_or_default().parse()?;
        let insert = "INSERT INTO invoice (customer, cents) VALUES ($1, $2)";
        batch.transaction().execute(insert, &[&customer, &cents])?;
        println!("  an invoice for {customer} over {cents} cents");
    }
    Ok(())
}

fn count_invoices(db: &mut Client) -> Result<i64, Box<dyn Error>> {
    Ok(db.query_one("SELECT count(*) FROM invoice", &[])?.try_get(0)?)
}
