//! Watch the change of a table travel: through a trigger, the queue, a ticker and a consumer, into a typed struct.
//!
//! Run it with `cargo run --example quickstart`. It starts a PostgreSQL server of its own, which goes away with it.
//! `quickstart_async` tells the same story with the asynchronous driver.

use std::error::Error;
use std::thread;
use std::time::Duration;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, Queue, TriggerExt};
use pgq::ticker::sync::Ticker;
use pgq::{QueueConfig, Trigger};
use pgq_testkit::Server;
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    id: i32,
    customer: String,
    cents: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;

    let queue = Queue::new("orders");
    queue.create(&mut db)?;
    queue.set_config(&mut db, &QueueConfig::new().ticker_max_lag(Duration::from_millis(100)))?;
    db.batch_execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, cents bigint)")?;
    let trigger = Trigger::logutriga("orders").backup();
    trigger.attach(&mut db, "orders")?;
    println!("A trigger writes every change of the table `orders` to the queue `orders`.");

    let ticker = Ticker::builder(database.conninfo().parse()?)
        .tick_period(Duration::from_millis(50))
        .retry_period(Duration::from_millis(100))
        .spawn()?;
    println!("A ticker runs inside this program.");

    let consumer = Consumer::new("orders", "billing");
    consumer.register(&mut db)?;
    println!("The consumer `billing` gets every change that is committed.");

    change_the_table(&mut db)?;
    consume(&mut db, &consumer)?;

    ticker.stop();
    trigger.detach(&mut db, "orders")?;
    consumer.unregister(&mut db)?;
    queue.drop(&mut db)?;
    println!("Ticker, trigger, consumer and queue are gone.");
    Ok(())
}

fn change_the_table(db: &mut Client) -> Result<(), Box<dyn Error>> {
    let mut transaction = db.transaction()?;
    transaction.execute("INSERT INTO orders VALUES (1, 'Ann', 1990), (2, 'Bob', 500)", &[])?;
    transaction.execute("UPDATE orders SET cents = 1490 WHERE id = 1", &[])?;
    transaction.commit()?;
    println!("Committed: two new orders, and a discount for the first.");

    let mut transaction = db.transaction()?;
    transaction.execute("INSERT INTO orders VALUES (3, 'Eve', 1)", &[])?;
    transaction.rollback()?;
    println!("Rolled back: a third order. No event of it will come.");
    Ok(())
}

fn consume(db: &mut Client, consumer: &Consumer) -> Result<(), Box<dyn Error>> {
    // Three changes, one of them twice.
    let mut expected = 4;
    while expected > 0 {
        let mut events = consumer.next_events(db);
        while let Some(event) = events.next().transpose()? {
            let change = event.change()?;
            let order: Order = change.row.deserialize()?;
            println!("{}: order {} of {}, {} cents", change.op, order.id, order.customer, order.cents);
            if let Some(old) = change.old {
                println!("  before, it cost {} cents", old.deserialize::<Order>()?.cents);
            }
            match event.retry {
                0 if order.id == 2 => {
                    events.retry(&event, Duration::from_secs(1))?;
                    println!("  not now: it shall come again in a second");
                }
                0 => {}
                retry => println!("  here it is again, with retry = {retry}"),
            }
            expected -= 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
