//! Test your own consumer: on a throw-away server, with a ticker inside the test, and without a sleep.
//!
//! Run it with `cargo run --example embedded_ticker_in_a_test`. In your crate, `bill_orders` is part of the program, and the
//! function after it is a `#[test]`; `pgq-testkit` is one of the `[dev-dependencies]`.

use std::error::Error;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, Queue};
use pgq::ticker::sync::Ticker;
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    bills_every_order_once()?;
    println!("bills_every_order_once ... ok");
    Ok(())
}

/// What is to be tested: bills the orders that are there, and tells how many.
fn bill_orders(db: &mut Client) -> Result<u64, Box<dyn Error>> {
    let mut billed = 0;
    while let Some(mut batch) = Consumer::new("orders", "billing").next_batch(db)? {
        while let Some(event) = batch.next_event()? {
            let insert = "INSERT INTO invoice (customer) VALUES ($1)";
            billed += batch.transaction().execute(insert, &[&event.data])?;
        }
        batch.finish()?;
    }
    Ok(billed)
}

fn bills_every_order_once() -> Result<(), Box<dyn Error>> {
    // One server for all tests of the process, and a database for each.
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    db.batch_execute("CREATE TABLE invoice (customer text)")?;
    let orders = Queue::new("orders");
    orders.create(&mut db)?;
    Consumer::new("orders", "billing").register(&mut db)?;
    let ticker = Ticker::builder(database.conninfo().parse()?).spawn()?;

    orders.insert_event(&mut db, "order", "Ann")?;
    orders.insert_event(&mut db, "order", "Bob")?;
    // From here on, the consumer can see what was committed before.
    ticker.tick_now("orders")?;
    assert_eq!(bill_orders(&mut db)?, 2);
    assert_eq!(bill_orders(&mut db)?, 0, "they are done");
    Ok(())
}
