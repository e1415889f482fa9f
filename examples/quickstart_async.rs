//! Watch the change of a table travel: through a trigger, the queue, a ticker and a consumer, into a typed struct.
//!
//! Run it with `cargo run --example quickstart_async`. It starts a PostgreSQL server of its own, which goes away with it.
//! `quickstart` tells the same story with the blocking driver.

use std::error::Error;
use std::time::Duration;

use pgq::aio::tokio_postgres::{self, Client, NoTls};
use pgq::aio::{Consumer, Queue, TriggerExt};
use pgq::ticker::aio::Ticker;
use pgq::{QueueConfig, Trigger};
use pgq_testkit::Server;
use serde::Deserialize;
use tokio::time;

#[derive(Deserialize)]
struct Order {
    id: i32,
    customer: String,
    cents: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let (mut db, connection) = tokio_postgres::connect(database.conninfo(), NoTls).await?;
    tokio::spawn(connection);

    let queue = Queue::new("orders");
    queue.create(&db).await?;
    queue.set_config(&db, &QueueConfig::new().ticker_max_lag(Duration::from_millis(100))).await?;
    db.batch_execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, cents bigint)").await?;
    let trigger = Trigger::logutriga("orders").backup();
    trigger.attach(&db, "orders").await?;
    println!("A trigger writes every change of the table `orders` to the queue `orders`.");

    let ticker = Ticker::builder(database.conninfo().parse()?)
        .tick_period(Duration::from_millis(50))
        .retry_period(Duration::from_millis(100))
        .spawn();
    println!("A ticker runs inside this program.");

    let consumer = Consumer::new("orders", "billing");
    consumer.register(&db).await?;
    println!("The consumer `billing` gets every change that is committed.");

    change_the_table(&mut db).await?;
    consume(&mut db, &consumer).await?;

    ticker.stop().await;
    trigger.detach(&db, "orders").await?;
    consumer.unregister(&db).await?;
    queue.drop(&db).await?;
    println!("Ticker, trigger, consumer and queue are gone.");
    Ok(())
}

async fn change_the_table(db: &mut Client) -> Result<(), Box<dyn Error>> {
    let transaction = db.transaction().await?;
    transaction.execute("INSERT INTO orders VALUES (1, 'Ann', 1990), (2, 'Bob', 500)", &[]).await?;
    transaction.execute("UPDATE orders SET cents = 1490 WHERE id = 1", &[]).await?;
    transaction.commit().await?;
    println!("Committed: two new orders, and a discount for the first.");

    let transaction = db.transaction().await?;
    transaction.execute("INSERT INTO orders VALUES (3, 'Eve', 1)", &[]).await?;
    transaction.rollback().await?;
    println!("Rolled back: a third order. No event of it will come.");
    Ok(())
}

async fn consume(db: &mut Client, consumer: &Consumer) -> Result<(), Box<dyn Error>> {
    // Three changes, one of them twice.
    let mut expected = 4;
    while expected > 0 {
        let mut events = consumer.next_events(db);
        while let Some(event) = events.next_event().await? {
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
        time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
