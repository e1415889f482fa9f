//! Apply events to another database exactly once, though there are two commits and a crash in between.
//!
//! Run it with `cargo run --example exactly_once_elsewhere`.

use std::error::Error;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, ExactlyOnce, Queue};
use pgq::ticker::sync::Ticker;
use pgq::{EmptyBatches, NewEvent};
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let (shop, warehouse) = (Server::shared()?.database()?, Server::shared()?.database()?);
    let mut db = Client::connect(shop.conninfo(), NoTls)?;
    let mut target = Client::connect(warehouse.conninfo(), NoTls)?;
    target.batch_execute("CREATE TABLE stock_change (article text, pieces integer)")?;

    let queue = Queue::new("sales");
    queue.create(&mut db)?;
    // The record goes from tick to tick, so it needs every batch, also those without events.
    let consumer = Consumer::new("sales", "warehouse").empty_batches(EmptyBatches::HandOver);
    consumer.register(&mut db)?;
    queue.insert_events(
        &mut db,
        [("chair", "-2"), ("table", "-1")].map(|(article, n)| NewEvent::new(article, n)),
    )?;
    Ticker::builder(shop.conninfo().parse()?).spawn()?.tick_now("sales")?;

    let crash_between_the_commits = apply(&consumer, &mut db, &mut target, Crash::Yes);
    println!("{}", crash_between_the_commits.err().ok_or("it should have crashed")?);
    apply(&consumer, &mut db, &mut target, Crash::No)?;
    let rows = target.query_one("SELECT count(*) FROM stock_change", &[])?;
    println!("The warehouse has {} changes.", rows.get::<_, i64>(0));
    Ok(())
}

#[derive(PartialEq)]
enum Crash {
    Yes,
    No,
}

fn apply(
    consumer: &Consumer,
    db: &mut Client,
    target: &mut Client,
    crash: Crash,
) -> Result<(), Box<dyn Error>> {
    // Names the queue and its database, for the record does not tell them apart.
    let once = ExactlyOnce::new("shop: sales");
    while let Some(mut batch) = consumer.next_batch(db)? {
        match once.by_tick(target, batch.info())? {
            Some(mut transaction) => {
                while let Some(event) = batch.next_event()? {
                    let (article, pieces) =
                        (event.event_type.unwrap_or_default(), event.data.unwrap_or_default());
                    let pieces: i32 = pieces.parse()?;
                    transaction.execute("INSERT INTO stock_change VALUES ($1, $2)", &[&article, &pieces])?;
                    println!("{article}: {pieces}");
                }
                transaction.commit()?;
                if crash == Crash::Yes {
                    return Err(
                        "The program crashes: the changes are committed, the batch is not finished.".into()
                    );
                }
                batch.finish()?;
            }
            None => {
                println!("The batch comes again, and was applied before.");
                batch.finish_unread()?;
            }
        }
    }
    Ok(())
}
