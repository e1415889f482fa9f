//! Produce and consume through the clients of a connection pool: deadpool, bb8 and r2d2.
//!
//! Run it with `cargo run --example pool`.

use std::error::Error;

use pgq::aio::futures::TryStreamExt;
use pgq::{aio, sync, ticker};
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;

    with_r2d2(database.conninfo())?;
    // Not `#[tokio::main]`: the blocking driver cannot be used inside a runtime.
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(with_deadpool(database.conninfo()))?;
    runtime.block_on(with_bb8(database.conninfo()))
}

fn with_r2d2(conninfo: &str) -> Result<(), Box<dyn Error>> {
    use r2d2_postgres::{PostgresConnectionManager, r2d2};

    let manager = PostgresConnectionManager::new(conninfo.parse()?, sync::postgres::NoTls);
    let pool = r2d2::Pool::builder().max_size(2).build(manager)?;
    let queue = sync::Queue::new("r2d2");
    let consumer = sync::Consumer::new("r2d2", "reader");
    queue.create(&mut *pool.get()?)?;
    consumer.register(&mut *pool.get()?)?;

    let mut client = pool.get()?;
    let mut transaction = client.transaction()?;
    queue.insert_event(&mut transaction, "greeting", "hello from r2d2")?;
    transaction.commit()?;

    ticker::sync::Ticker::builder(conninfo.parse()?).spawn()?.tick_now("r2d2")?;
    for event in consumer.next_events(&mut client) {
        println!("{}", event?.data.unwrap_or_default());
    }
    Ok(())
}

async fn with_deadpool(conninfo: &str) -> Result<(), Box<dyn Error>> {
    use deadpool_postgres::{Manager, Pool};

    let manager = Manager::new(conninfo.parse()?, aio::tokio_postgres::NoTls);
    let pool = Pool::builder(manager).max_size(2).build()?;
    let queue = aio::Queue::new("deadpool");
    let consumer = aio::Consumer::new("deadpool", "reader");
    queue.create(&**pool.get().await?).await?;
    consumer.register(&**pool.get().await?).await?;

    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    queue.insert_event(&*transaction, "greeting", "hello from deadpool").await?;
    transaction.commit().await?;

    ticker::aio::Ticker::builder(conninfo.parse()?).spawn().tick_now("deadpool").await?;
    let mut events = consumer.next_events(&mut client);
    while let Some(event) = events.try_next().await? {
        println!("{}", event.data.unwrap_or_default());
    }
    Ok(())
}

async fn with_bb8(conninfo: &str) -> Result<(), Box<dyn Error>> {
    use bb8_postgres::PostgresConnectionManager;

    let manager = PostgresConnectionManager::new(conninfo.parse()?, aio::tokio_postgres::NoTls);
    let pool = bb8::Pool::builder().max_size(2).build(manager).await?;
    let queue = aio::Queue::new("bb8");
    let consumer = aio::Consumer::new("bb8", "reader");
    queue.create(&*pool.get().await?).await?;
    consumer.register(&*pool.get().await?).await?;

    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    queue.insert_event(&transaction, "greeting", "hello from bb8").await?;
    transaction.commit().await?;

    ticker::aio::Ticker::builder(conninfo.parse()?).spawn().tick_now("bb8").await?;
    let mut events = consumer.next_events(&mut client);
    while let Some(event) = events.try_next().await? {
        println!("{}", event.data.unwrap_or_default());
    }
    Ok(())
}
