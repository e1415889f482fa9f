use pgq_async::futures::FutureExt;
use pgq_core::worker::{Delivery, FailureKind, Notice, Outcome, Urlencoded};
use pgq_core::{Change, Event};

use crate::bed::{Bed, until_finished};
use crate::driver::{Handled, Tx};

cases!(json, urlencoded, changes, deliveries, undecodable_ones_are_failures, undecodable_ones_outside,);

#[derive(serde::Deserialize)]
struct Order {
    id: i64,
    name: String,
}

async fn write(tx: Tx<'_>, text: &str) -> Handled {
    tx.run(&format!("INSERT INTO sink (data) VALUES ('{text}')")).await?;
    Ok(Outcome::Done)
}

fn json(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .on("order", |order: Order, tx| {
            async move { write(tx, &format!("{} {}", order.id, order.name)).await }.boxed()
        })
        .on("number", |number: u32, tx| async move { write(tx, &number.to_string()).await }.boxed())
        .start();
    bed.produce([("order", r#"{"id":7,"name":"Zoë"}"#), ("number", "12")]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["7 Zoë", "12"]);
    worker.stop()?;
    Ok(())
}

fn urlencoded(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .otherwise(|Urlencoded(order): Urlencoded<Order>, tx| {
            async move { write(tx, &format!("{} {}", order.id, order.name)).await }.boxed()
        })
        .start();
    bed.produce([("order", "id=7&name=a%26b+c")]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["7 a&b c"]);
    worker.stop()?;
    Ok(())
}

fn changes(mut bed: Bed) -> crate::Result {
    bed.execute(
        "CREATE TABLE item (id int PRIMARY KEY, name text); \
         CREATE TRIGGER log AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('q'); \
         INSERT INTO item VALUES (1, 'x'); UPDATE item SET name = 'y'",
    );
    let worker = bed
        .job()
        .otherwise(|change: Change, tx| {
            async move { write(tx, &format!("{:?} {}", change.op, change.table.unwrap())).await }.boxed()
        })
        .start();
    bed.tick();
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["Insert public.item", "Update public.item"]);
    worker.stop()?;
    Ok(())
}

fn deliveries(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .otherwise(|order: Delivery<Order>, tx| {
            async move {
                let event_type = order.event.event_type.as_deref().unwrap();
                write(tx, &format!("{event_type} {} {}", order.payload.id, order.event.retry)).await
            }
            .boxed()
        })
        .start();
    bed.produce([("order", r#"{"id":7,"name":"x"}"#)]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["order 7 0"]);
    worker.stop()?;
    Ok(())
}

/// What no handler was called for is a failure like others, and quotes no payload.
fn check(bed: &mut Bed) {
    let letters = bed.letters();
    let reasons: Vec<_> = letters.iter().map(|letter| (letter.reason.as_str(), letter.attempts)).collect();
    assert_eq!(reasons, [("decode", 1), ("decode", 1)]);
    assert!(letters.iter().all(|letter| !letter.error.as_deref().unwrap().contains("secret")), "{letters:?}");
    let dead = |notice: &Notice| matches!(notice, Notice::Dead { kind: FailureKind::Decode, .. });
    assert_eq!(bed.notices.count(dead), 2);
}

const UNDECODABLE: [(&str, &str); 4] = [
    ("order", r#"{"id":1,"name":"x"}"#),
    ("order", "secret"),
    ("change", "secret"),
    ("order", "{\"id\":2,\"name\":\"y\"}"),
];

fn undecodable_ones_are_failures(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .on("order", |order: Order, tx| async move { write(tx, &order.name).await }.boxed())
        .on("change", |change: Change, tx| {
            async move { write(tx, &format!("{:?}", change.op)).await }.boxed()
        })
        .start();
    bed.produce(UNDECODABLE);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["x", "y"]);
    check(&mut bed);
    worker.stop()?;
    Ok(())
}

fn undecodable_ones_outside(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .outside()
        .on("order", |_: Delivery<Order>| async { Ok(Outcome::Done) }.boxed())
        .on("change", |_: Change| async { Ok(Outcome::Done) }.boxed())
        .otherwise(|_: Event| async { Ok(Outcome::Done) }.boxed())
        .start();
    bed.produce(UNDECODABLE);
    until_finished(&worker, 1);
    check(&mut bed);
    assert_eq!(worker.stop()?.events.done, 2);
    Ok(())
}
