//! A commit takes effect, and nobody hears of it.

use std::thread;
use std::time::Duration;

use pgq_async::tokio_postgres;
use pgq_core::Error;
use pgq_core::worker::Notice;
use pgq_sync::Queue;
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::{Mode, Proxy, until_within};

use crate::bed::{Bed, Driver, Figures, QUEUE, Role, Run, named, runtime, value};

cases!(a_lost_answer_repeats_no_batch, a_producer_is_told_that_it_cannot_know);

fn commit() -> Mode {
    Mode::DropReplyTo("COMMIT".to_owned())
}

fn a_lost_answer_repeats_no_batch(run: Run) -> crate::Result {
    let times = run.size(10, 100);
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let _tickers = bed.tickers(1);
    let worker = bed.job(role).through(&proxy.conninfo(&bed.database)).start();
    let producers = bed.steady_producers();
    for lost in 0..times {
        let batches = worker.stats().batches;
        until_within(Duration::from_secs(20), "the worker works", || worker.stats().batches > batches);
        proxy.switch_once(commit());
        until_within(Duration::from_secs(20), "an answer is lost", || proxy.hits() > lost);
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let (truth, stats) = (bed.truth("plain"), worker.stats());
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("answers lost", proxy.hits())
        .add("batches told as rolled back", stats.rolled_back)
        .print();
    truth.assert_exactly_once();
    assert_eq!(stats.connections, times as u64 + 1);
    // It does not take its own commits for another's.
    assert_eq!(worker.heard.count(|notice| matches!(notice, Notice::Moved { .. } | Notice::Lost { .. })), 0);
    Ok(())
}

/// It has written the key of its request in the same transaction, tries again, and finds the key there.
fn a_producer_is_told_that_it_cannot_know(run: Run) -> crate::Result {
    let times = run.size(20, 100);
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let _tickers = bed.tickers(1);
    let _worker = bed.job(role).start();
    let through = named(&proxy.conninfo(&bed.database), "producer");
    let mut produce: Box<dyn FnMut(i64) -> Result<Done, Failed>> = match bed.run.driver {
        Driver::Sync => {
            let mut client = None;
            Box::new(move |key| sync(&mut client, &through, key))
        }
        Driver::Async => {
            let mut client = None;
            Box::new(move |key| runtime().block_on(aio(&mut client, &through, key)))
        }
    };
    let (mut unknown, mut done_before) = (0, 0);
    for key in 1..=times {
        // Each second commit is answered by nobody, and each of those takes effect; each third is lost before.
        match key % 3 {
            0 => proxy.switch_once(commit()),
            1 => proxy.switch_once(Mode::CutBefore("COMMIT".to_owned())),
            _ => {}
        }
        loop {
            match produce(key) {
                Ok(Done::Now) => break,
                Ok(Done::Before) => {
                    done_before += 1;
                    break;
                }
                Err(Failed { place: Place::Commit, error }) => {
                    unknown += 1;
                    assert!(error.is_connection(), "{error:?}");
                }
                Err(Failed { place: Place::Before, error }) => panic!("{error:?}"),
            }
            thread::yield_now();
        }
    }
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("commits without an answer", unknown)
        .add("of them done", done_before)
        .print();
    truth.assert_exactly_once();
    assert_eq!(truth.sent, times);
    assert_eq!(i64::try_from(proxy.hits())?, unknown);
    assert_eq!((unknown, done_before), ((times + 2) / 3 + times / 3, times / 3));
    let mut db = bed.connect();
    assert_eq!(value::<i64>(&mut db, "SELECT count(*) FROM sent", &[]), times);
    Ok(())
}

enum Done {
    Now,
    /// By a try that was thought to have failed.
    Before,
}

struct Failed {
    place: Place,
    error: Error,
}

enum Place {
    Before,
    Commit,
}

fn before(error: impl Into<Error>) -> Failed {
    Failed { place: Place::Before, error: error.into() }
}

fn in_commit(error: impl Into<Error>) -> Failed {
    Failed { place: Place::Commit, error: error.into() }
}

const KEY: &str = "INSERT INTO sent VALUES (1, $1) ON CONFLICT DO NOTHING";

fn sync(client: &mut Option<Client>, conninfo: &str, key: i64) -> Result<Done, Failed> {
    let mut db = match client.take() {
        Some(db) => db,
        None => Client::connect(conninfo, NoTls).map_err(before)?,
    };
    let mut transaction = db.transaction().map_err(before)?;
    if transaction.execute(KEY, &[&key]).map_err(before)? == 0 {
        return Ok(Done::Before);
    }
    Queue::new(QUEUE).insert_event(&mut transaction, "number", &format!("1:{key}")).map_err(before)?;
    transaction.commit().map_err(in_commit)?;
    *client = Some(db);
    Ok(Done::Now)
}

async fn aio(client: &mut Option<tokio_postgres::Client>, conninfo: &str, key: i64) -> Result<Done, Failed> {
    let mut db = match client.take() {
        Some(db) => db,
        None => {
            let (db, connection) = tokio_postgres::connect(conninfo, NoTls).await.map_err(before)?;
            tokio::spawn(connection);
            db
        }
    };
    let transaction = db.transaction().await.map_err(before)?;
    if transaction.execute(KEY, &[&key]).await.map_err(before)? == 0 {
        return Ok(Done::Before);
    }
    pgq_async::Queue::new(QUEUE)
        .insert_event(&transaction, "number", &format!("1:{key}"))
        .await
        .map_err(before)?;
    transaction.commit().await.map_err(in_commit)?;
    *client = Some(db);
    Ok(Done::Now)
}
