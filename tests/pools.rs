//! Clients of the usual pools work as they are, in the words of the docs of `pgq-sync` and `pgq-async`.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::error::Error;

use bb8_postgres::PostgresConnectionManager;
use deadpool_postgres::{Manager, Pool};
use pgq_async::futures::TryStreamExt;
use pgq_core::{Event, tick};
use pgq_sync::postgres::{self, NoTls};
use pgq_testkit::{Database, Server};
use r2d2_postgres::r2d2;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A database with queue `q` and its consumer `c`.
fn database() -> Result<Database> {
    use pgq_sync::{Consumer, Queue};

    let database = Server::shared()?.database()?;
    let conninfo = database.conninfo();
    let prepare = || -> Result<(), pgq_core::Error> {
        let mut db = postgres::Client::connect(conninfo, NoTls)?;
        Queue::new("q").create(&mut db)?;
        Consumer::new("q", "c").register(&mut db)?;
        Ok(())
    };
    // The sync client may not be used on a thread of a runtime.
    std::thread::scope(|scope| scope.spawn(prepare).join().unwrap())?;
    Ok(database)
}

fn data(event: &Event) -> &str {
    event.data.as_deref().unwrap()
}

#[test]
fn r2d2() -> Result {
    use pgq_sync::{ClientExt, Consumer, Queue};

    let database = database()?;
    let manager = r2d2_postgres::PostgresConnectionManager::new(database.conninfo().parse()?, NoTls);
    let pool = r2d2::Pool::builder().max_size(1).build(manager)?;
    let (queue, consumer) = (Queue::new("q"), Consumer::new("q", "c"));

    queue.insert_event(&mut *pool.get()?, "type", "data")?;
    let mut client = pool.get()?;
    queue.insert_event(&mut *client, "type", "2")?;
    client.call(tick::force("q"))?;
    client.call(tick::queue("q"))?;
    let mut transaction = client.transaction()?;
    queue.insert_event(&mut transaction, "type", "3")?;
    transaction.commit()?;
    drop(client);

    let mut texts = Vec::new();
    for event in consumer.next_events(&mut *pool.get()?) {
        texts.push(data(&event?).to_owned());
    }
    assert_eq!(texts, ["data", "2"]);

    let mut client = pool.get()?;
    client.call(tick::force("q"))?;
    client.call(tick::queue("q"))?;
    let mut batch = consumer.next_batch(&mut client)?.unwrap();
    assert_eq!(data(&batch.next_event()?.unwrap()), "3");
    drop(batch);
    let mut attached = consumer.attach(&mut *client);
    assert_eq!(data(&attached.next_events().next().unwrap()?), "3");
    Ok(())
}

#[tokio::test]
async fn deadpool() -> Result {
    use pgq_async::{ClientExt, Consumer, Queue};

    let database = database()?;
    let pool = Pool::builder(Manager::new(database.conninfo().parse()?, NoTls)).max_size(1).build()?;
    let (queue, consumer) = (Queue::new("q"), Consumer::new("q", "c"));

    queue.insert_event(&**pool.get().await?, "type", "data").await?;
    let mut client = pool.get().await?;
    queue.insert_event(&**client, "type", "2").await?;
    client.call(tick::force("q")).await?;
    client.call(tick::queue("q")).await?;
    let transaction = client.transaction().await?;
    queue.insert_event(&*transaction, "type", "3").await?;
    transaction.commit().await?;
    drop(client);

    let mut client = pool.get().await?;
    let events: Vec<_> = consumer.next_events(&mut client).try_collect().await?;
    assert_eq!(events.iter().map(data).collect::<Vec<_>>(), ["data", "2"]);
    client.call(tick::force("q")).await?;
    client.call(tick::queue("q")).await?;
    let mut batch = consumer.next_batch(&mut client).await?.unwrap();
    assert_eq!(data(&batch.next_event().await?.unwrap()), "3");
    drop(batch);
    let mut attached = consumer.attach(&mut **client);
    assert_eq!(data(&attached.next_events().try_next().await?.unwrap()), "3");
    drop(attached);
    drop(client);
    assert!(Consumer::new("q", "c").next_events(&mut **pool.get().await?).try_next().await?.is_some());
    Ok(())
}

#[tokio::test]
async fn bb8() -> Result {
    use pgq_async::{ClientExt, Consumer, Queue};

    let database = database()?;
    let manager = PostgresConnectionManager::new(database.conninfo().parse()?, NoTls);
    let pool = bb8::Pool::builder().max_size(1).build(manager).await?;
    let (queue, consumer) = (Queue::new("q"), Consumer::new("q", "c"));

    queue.insert_event(&*pool.get().await?, "type", "data").await?;
    let mut client = pool.get().await?;
    queue.insert_event(&*client, "type", "2").await?;
    client.call(tick::force("q")).await?;
    client.call(tick::queue("q")).await?;
    let transaction = client.transaction().await?;
    queue.insert_event(&transaction, "type", "3").await?;
    transaction.commit().await?;
    drop(client);

    let mut client = pool.get().await?;
    let events: Vec<_> = consumer.next_events(&mut client).try_collect().await?;
    assert_eq!(events.iter().map(data).collect::<Vec<_>>(), ["data", "2"]);
    client.call(tick::force("q")).await?;
    client.call(tick::queue("q")).await?;
    let mut batch = consumer.next_batch(&mut client).await?.unwrap();
    assert_eq!(data(&batch.next_event().await?.unwrap()), "3");
    drop(batch);
    let mut attached = consumer.attach(&mut *client);
    assert_eq!(data(&attached.next_events().try_next().await?.unwrap()), "3");
    drop(attached);
    drop(client);
    assert!(Consumer::new("q", "c").next_events(&mut *pool.get().await?).try_next().await?.is_some());
    Ok(())
}
