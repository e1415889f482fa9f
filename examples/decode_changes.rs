//! Decode what each of PgQ's three trigger functions writes about the change of a row.
//!
//! Run it with `cargo run --example decode_changes`.

use std::error::Error;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{Consumer, Queue, TriggerExt};
use pgq::ticker::sync::Ticker;
use pgq::{Change, Event, Trigger};
use pgq_testkit::Server;
use serde::Deserialize;

#[derive(Deserialize)]
struct Product {
    name: String,
    price: f64,
    note: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let database = Server::shared()?.database()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    Queue::new("changes").create(&mut db)?;
    let consumer = Consumer::new("changes", "reader");
    consumer.register(&mut db)?;

    db.batch_execute("CREATE TABLE product (id int PRIMARY KEY, name text, price numeric, note text)")?;
    let triggers =
        [Trigger::logutriga("changes"), Trigger::jsontriga("changes"), Trigger::sqltriga("changes")];
    for (trigger, name) in triggers.into_iter().zip(["1_logutriga", "2_jsontriga", "3_sqltriga"]) {
        // Triggers of one table need different names, and fire in their order.
        trigger.backup().name(name).attach(&mut db, "product")?;
    }

    let ticker = Ticker::builder(database.conninfo().parse()?).spawn()?;
    for statement in [
        "INSERT INTO product VALUES (1, 'pen', 2.50, NULL)",
        "UPDATE product SET price = 3.00, note = 'now in red & blue' WHERE id = 1",
        "DELETE FROM product WHERE id = 1",
    ] {
        println!("{statement}");
        db.batch_execute(statement)?;
        ticker.tick_now("changes")?;
        for event in consumer.next_events(&mut db) {
            show(&event?)?;
        }
    }
    Ok(())
}

fn show(event: &Event) -> Result<(), Box<dyn Error>> {
    let (written_type, data) = (event.event_type.as_deref(), event.data.as_deref());
    println!("  event {} {}", written_type.unwrap_or("NULL"), data.unwrap_or("NULL"));
    let change = event.change()?;
    match &change.sql {
        Some(sql) => println!("    {} of a row, as SQL: {sql}", change.op),
        None => show_row(&change)?,
    }
    Ok(())
}

fn show_row(change: &Change) -> Result<(), Box<dyn Error>> {
    let table = change.table.as_deref().unwrap_or("an unknown table");
    let Product { name, price, note } = change.row.deserialize()?;
    let note = note.unwrap_or_else(|| "no note".to_owned());
    println!("    {} of {table} with key {:?}: {name} for {price:.2}, {note}", change.op, change.key);
    if let (Some(columns), Some(old)) = (change.changed_columns(), &change.old) {
        for column in columns {
            println!("    {column} was {}", old.get(column).unwrap_or("NULL"));
        }
    }
    Ok(())
}
