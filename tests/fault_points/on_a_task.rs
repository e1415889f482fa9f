use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgq_async::Consumer;
use pgq_async::futures::TryStreamExt;
use pgq_async::tokio_postgres::{Client, NoTls};
use pgq_core::Result;
use pgq_core::fault_point::{Action, Hook, Point};
use tokio::select;
use tokio::sync::Notify;

use crate::bed::{Bed, EVENTS, chunk, noted, once};
use crate::{BATCH, POINTS};

fn consumer(hook: Hook) -> Consumer {
    Consumer::new("q", "c").chunk(chunk()).with_fault_points(hook)
}

async fn connect(bed: &Bed) -> Client {
    let (client, connection) =
        pgq_async::tokio_postgres::connect(bed.database.conninfo(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn work(db: &mut Client, consumer: &Consumer) -> Result<()> {
    while let Some(mut batch) = consumer.next_batch(db).await? {
        while let Some(event) = batch.next_event().await? {
            batch.transaction().execute("INSERT INTO seen VALUES ($1)", &[&event.id.0]).await?;
        }
        batch.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn points_are_reached_in_order() {
    let bed = Bed::new();
    let (hook, points) = noted();
    work(&mut connect(&bed).await, &consumer(hook)).await.unwrap();
    assert_eq!(*points.lock().unwrap(), BATCH);
}

#[tokio::test]
async fn points_are_reached_in_order_between_batches() {
    let bed = Bed::new();
    bed.insert();
    let (hook, points) = noted();
    let (mut db, consumer) = (connect(&bed).await, consumer(hook));
    let mut events = pin!(consumer.next_events(&mut db));
    while events.try_next().await.unwrap().is_some() {}
    assert_eq!(*points.lock().unwrap(), [BATCH, BATCH].concat());
}

#[tokio::test]
async fn points_are_reached_in_order_by_a_loaded_batch() {
    let bed = Bed::new();
    let (hook, points) = noted();
    let mut db = connect(&bed).await;
    let batch = consumer(hook).next_loaded(&mut db).await.unwrap().unwrap();
    batch.finish(&mut db).await.unwrap();
    assert_eq!(*points.lock().unwrap(), BATCH);
}

#[tokio::test]
async fn errors_change_nothing() {
    for point in POINTS {
        let bed = Bed::new();
        let consumer = consumer(once(point, Action::Error));
        let mut db = connect(&bed).await;
        assert!(work(&mut db, &consumer).await.unwrap_err().is_connection(), "{point}");
        assert_eq!(seen(&mut db).await, committed(point), "{point}");
        work(&mut db, &consumer).await.unwrap();
        assert_eq!(bed.seen(), EVENTS, "{point}");
    }
}

/// A commit that is sent is carried out, though nobody hears of it.
#[tokio::test]
async fn dropped_futures_change_nothing() {
    for point in POINTS {
        let bed = Bed::new();
        let mut db = connect(&bed).await;
        let reached = Arc::new(Notify::new());
        let signal = Arc::clone(&reached);
        let hook = Hook::new(move |at| match at == point {
            true => {
                signal.notify_one();
                Action::DropFuture
            }
            false => Action::Go,
        });
        let consumer = consumer(hook);
        select! {
            biased;
            done = work(&mut db, &consumer) => panic!("{point} was passed: {done:?}"),
            () = reached.notified() => {}
        }
        assert_eq!(seen(&mut db).await, committed(point), "{point}");
        work(&mut db, &Consumer::new("q", "c")).await.unwrap();
        assert_eq!(bed.seen(), EVENTS, "{point}");
    }
}

#[tokio::test]
async fn sleeps() {
    let bed = Bed::new();
    let (start, pause) = (Instant::now(), Duration::from_millis(50));
    let consumer = consumer(once(Point::MidFetch, Action::Sleep(pause)));
    work(&mut connect(&bed).await, &consumer).await.unwrap();
    assert!(start.elapsed() >= pause);
    assert_eq!(bed.seen(), EVENTS);
}

/// On the session of the work, so after what it has sent.
async fn seen(db: &mut Client) -> i64 {
    db.query_one("SELECT count(*) FROM seen", &[]).await.unwrap().get(0)
}

fn committed(point: Point) -> i64 {
    if point >= Point::CommitSent { EVENTS } else { 0 }
}
