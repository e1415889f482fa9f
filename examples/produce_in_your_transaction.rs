//! Insert an event in the transaction that it tells about: either both are committed or neither is.
//!
//! Run it with `cargo run --example produce_in_your_transaction`.

use std::error::Error;

use pgq::NewEvent;
use pgq::sync::postgres::{Client, NoTls, Transaction};
use pgq::sync::{Consumer, Queue};
use pgq::ticker::sync::Ticker;
use pgq_testkit::Server;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    account: i32,
    cents: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    db.batch_execute("CREATE TABLE account (id int PRIMARY KEY, cents bigint CHECK (cents >= 0))")?;
    db.batch_execute("INSERT INTO account VALUES (1, 2000), (2, 100)")?;
    Queue::new("payments").create(&mut db)?;
    let consumer = Consumer::new("payments", "mailer");
    consumer.register(&mut db)?;

    for payment in [Payment { account: 1, cents: 1990 }, Payment { account: 2, cents: 1990 }] {
        let mut transaction = db.transaction()?;
        match pay(&mut transaction, &payment) {
            Ok(()) => {
                transaction.commit()?;
                println!("Account {} pays: committed, with its event.", payment.account);
            }
            Err(_) => {
                transaction.rollback()?;
                println!("Account {} cannot pay: rolled back, and its event too.", payment.account);
            }
        }
    }

    Ticker::builder(database.conninfo().parse()?).spawn()?.tick_now("payments")?;
    println!("The consumer gets:");
    for event in consumer.next_events(&mut db) {
        let event = event?;
        let payment: Payment = event.json()?;
        let shop = event.extra1.as_deref().unwrap_or("no shop");
        println!("  account {} paid {} cents to {shop}", payment.account, payment.cents);
    }
    Ok(())
}

/// Writes the event first, so that it is there when the account turns out to be empty.
fn pay(transaction: &mut Transaction<'_>, payment: &Payment) -> Result<(), Box<dyn Error>> {
    let event = NewEvent::json("payment", payment)?.extra1("shop 3");
    Queue::new("payments").insert(transaction, &event)?;
    let withdraw = "UPDATE account SET cents = cents - $1 WHERE id = $2";
    transaction.execute(withdraw, &[&payment.cents, &payment.account])?;
    Ok(())
}
