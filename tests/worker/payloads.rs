use std::sync::{Arc, Mutex};

use pgq_async::futures::FutureExt;
use pgq_core::worker::{Delivery, FailureKind, Notice, Outcome, Undecodable, Urlencoded};
use pgq_core::{Change, Error, Event};
use pgq_sync::DeadLetters;

use crate::bed::{Bed, options, retries, until_finished};
use crate::driver::{Handled, Tx};

cases!(
    json,
    urlencoded,
    changes,
    deliveries,
    attempts,
    attempts_in_place,
    undecodable_ones_become_dead_letters,
    undecodable_ones_outside,
    undecodable_ones_are_retried,
    undecodable_ones_end_it,
);

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

/// They are those that the retry policy counts.
fn attempts(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
        .otherwise(|number: Delivery<u32>, tx| {
            async move {
                assert_eq!(number.attempt, number.event.retry + 1);
                if number.attempt < 3 {
                    return Err("not yet".into());
                }
                write(tx, &format!("{} at {}", number.payload, number.attempt)).await
            }
            .boxed()
        })
        .start();
    bed.numbers([7]);
    for batch in 1..=3 {
        until_finished(&worker, batch);
        bed.redeliver();
    }
    assert_eq!((bed.sink(), bed.letters().len()), (vec!["7 at 3".to_owned()], 0));
    worker.stop()?;
    Ok(())
}

/// Half of them by PgQ, and half by the worker.
fn attempts_in_place(mut bed: Bed) -> crate::Result {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let worker = bed
        .job()
        .options(options().retries(retries(5)))
        .outside()
        .concurrency(2)
        .key(|_| ())
        .otherwise(move |number: Delivery<Delivery<u32>>| {
            sees.lock().unwrap().push((number.event.retry, number.attempt, number.payload.attempt));
            async { Err("never".into()) }.boxed()
        })
        .start();
    bed.numbers([7]);
    until_finished(&worker, 1);
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].attempts), (1, 5));
    DeadLetters::of("q").replay(&mut bed.db, &[letters[0].id])?;
    bed.execute("UPDATE pgq.retry_queue SET ev_retry = 3");
    bed.redeliver();
    until_finished(&worker, 2);
    let in_place = (1..=5).map(|attempt| (0, attempt, attempt));
    let counted = (4..=5).map(|attempt| (3, attempt, attempt));
    assert!(seen.lock().unwrap().iter().copied().eq(in_place.chain(counted)), "{seen:?}");
    worker.stop()?;
    Ok(())
}

/// What no handler was called for is given up at once, and quotes no payload.
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

fn undecodable_ones_become_dead_letters(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
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
        .options(options().retries(retries(3)))
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

fn undecodable_ones_are_retried(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(2)).undecodable(Undecodable::Retry))
        .otherwise(|number: u32, tx| async move { write(tx, &number.to_string()).await }.boxed())
        .start();
    bed.produce([("number", "1"), ("number", "one")]);
    until_finished(&worker, 1);
    assert_eq!((bed.sink().len(), bed.retried().len(), bed.letters().len()), (1, 1, 0));
    bed.redeliver();
    until_finished(&worker, 2);
    assert_eq!(bed.letters()[0].attempts, 2);
    worker.stop()?;
    Ok(())
}

fn undecodable_ones_end_it(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(2)).undecodable(Undecodable::Stop))
        .otherwise(|number: u32, tx| async move { write(tx, &number.to_string()).await }.boxed())
        .start();
    bed.produce([("number", "1"), ("number", "one")]);
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::EventFailed { .. }), "{error:?}");
    assert!(bed.sink().is_empty() && bed.letters().is_empty());
    Ok(())
}
