//! Do work that takes long, or touches nothing in the queue's database: without a transaction open meanwhile, at least once.
//!
//! Run it with `cargo run --example work_outside_the_database`. It starts a PostgreSQL server of its own, which goes away with it.

use std::error::Error;
use std::time::Duration;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, Queue};
use pgq::ticker::sync::Ticker;
use pgq::{Event, Filter};
use pgq_testkit::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    let ticker =
        Ticker::builder(database.conninfo().parse()?).retry_period(Duration::from_millis(100)).spawn()?;

    let queue = Queue::new("customers");
    queue.create(&mut db)?;
    let mails = Consumer::new("customers", "mails").filter(Filter::new().types(["welcome"]));
    mails.register(&mut db)?;
    for (event_type, address) in
        [("welcome", "ann@shop.test"), ("left", "bob@shop.test"), ("welcome", "no address")]
    {
        queue.insert_event(&mut db, event_type, address)?;
    }
    println!("Three events, two of them of the type that the consumer wants.");

    let mut consumer = mails.attach(db);
    let mut given_up = false;
    while !given_up {
        ticker.tick_now("customers")?;
        while let Some(mut batch) = consumer.next_loaded()? {
            for event in batch.take_events() {
                match send_mail(&event) {
                    Ok(()) => {}
                    Err(reason) if event.retry == 0 => {
                        println!("  not sent, for there is {reason}: it shall come again in a second");
                        batch.retry(&event, Duration::from_secs(1));
                    }
                    Err(reason) => {
                        println!("  given up, for there is still {reason}");
                        given_up = true;
                    }
                }
            }
            batch.finish(consumer.client())?;
        }
    }
    Ok(())
}

fn send_mail(event: &Event) -> Result<(), String> {
    let address = event.data.as_deref().unwrap_or_default();
    println!("Mail to {address}");
    if address.contains('@') { Ok(()) } else { Err(address.to_owned()) }
}
