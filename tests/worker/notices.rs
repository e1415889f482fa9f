use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_core::worker::{FailureKind, Notice, Outcome, WorkerState};
use pgq_core::{Event, TickId};
use pgq_sync::Consumer;

use crate::bed::{Bed, options, retries, until, until_finished, until_working};
use crate::driver::sink;

cases!(
    in_their_order,
    not_before_the_commit,
    of_a_handler_that_is_stuck,
    of_a_consumer_that_was_moved,
    of_a_lost_connection
);

fn name(notice: &Notice) -> String {
    let text = format!("{notice:?}");
    text.split([' ', '{']).next().unwrap().to_owned()
}

fn in_their_order(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(2)))
        .decide(|event| match event.data.as_deref() {
            Some("1") => Err("no".into()),
            Some("2") => Ok(Outcome::Dead("not wanted".to_owned())),
            _ => Ok(Outcome::Done),
        })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    // One without events is not told of.
    bed.tick();
    bed.numbers([3]);
    until_finished(&worker, 2);
    let stats = worker.stop()?;
    let told = bed.notices.all();
    let names: Vec<_> = told.iter().map(name).collect();
    let expected = [
        "Connected",
        "Working",
        "Opened",
        "Retried",
        "Dead",
        "Finished",
        "Opened",
        "Finished",
        "Stopping",
        "Stopped",
    ];
    assert_eq!(names, expected);
    let (Notice::Opened { batch }, Notice::Finished { batch: finished, events, lag, .. }) =
        (&told[2], &told[5])
    else {
        panic!("{told:?}");
    };
    assert_eq!(batch, finished);
    assert_eq!(told.last(), Some(&Notice::Stopped { error: None }));
    assert_eq!((events.done, events.retried, events.dead), (1, 1, 1));
    assert!(*lag < Duration::from_secs(60));
    assert!(
        matches!(&told[3], Notice::Retried { attempt: 1, kind: FailureKind::Error, error, .. } if error == "no")
    );
    assert_eq!((stats.batches, stats.events.all(), stats.batch, stats.trouble), (2, 4, None, None));
    assert_eq!((stats.connections, stats.lost, stats.rolled_back, stats.panics), (1, 0, 0, 0));
    assert_eq!(stats.state, WorkerState::Stopped);
    Ok(())
}

/// A failure is told when it is certain, and not when the batch is rolled back.
fn not_before_the_commit(mut bed: Bed) -> crate::Result {
    let (reached, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (reaches, goes, driver) = (Arc::clone(&reached), Arc::clone(&gate), bed.driver);
    let worker = bed
        .job()
        .otherwise(move |event: Event, tx| {
            let (reaches, goes) = (Arc::clone(&reaches), Arc::clone(&goes));
            async move {
                sink(&event, tx).await?;
                if event.data.as_deref() == Some("0") {
                    return Err("no".into());
                }
                reaches.store(true, Ordering::SeqCst);
                driver.until(|| goes.load(Ordering::SeqCst)).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..2);
    until("the second event is in hand", || reached.load(Ordering::SeqCst));
    let dead = |notice: &Notice| matches!(notice, Notice::Dead { .. });
    assert_eq!(bed.notices.count(dead), 0);
    assert!(worker.stats().batch.is_some());
    gate.store(true, Ordering::SeqCst);
    until_finished(&worker, 1);
    assert_eq!(bed.notices.count(dead), 1);
    worker.stop()?;
    Ok(())
}

fn of_a_handler_that_is_stuck(mut bed: Bed) -> crate::Result {
    let stuck = |notice: &Notice| matches!(notice, Notice::Stuck { .. });
    let (gate, driver, limit) = (Arc::new(AtomicBool::new(false)), bed.driver, Duration::from_millis(100));
    let goes = Arc::clone(&gate);
    let worker = bed
        .job()
        .options(options().stuck_after(limit))
        .otherwise(move |_: Event, _| {
            let goes = Arc::clone(&goes);
            async move {
                driver.until(|| goes.load(Ordering::SeqCst)).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers([1]);
    until("it is said", || bed.notices.count(stuck) > 0);
    gate.store(true, Ordering::SeqCst);
    until_finished(&worker, 1);
    let told = bed.notices.all();
    let since = told.iter().find_map(|notice| match notice {
        Notice::Stuck { since, .. } => Some(*since),
        _ => None,
    });
    assert!(since.unwrap() >= limit);
    worker.stop()?;
    Ok(())
}

fn of_a_consumer_that_was_moved(mut bed: Bed) -> crate::Result {
    let worker = bed.job().sinks().start();
    bed.numbers([1]);
    until_finished(&worker, 1);
    bed.numbers([2]);
    until_finished(&worker, 2);
    let moved = |notice: &Notice| matches!(notice, Notice::Moved { to: TickId(1), .. });
    // PgQ's own engine goes on from the old place when it was just opening a batch: then it is moved once more.
    for _ in 0..20 {
        if bed.notices.count(moved) > 0 {
            break;
        }
        let before = worker.stats().batches;
        Consumer::new("q", "c").register_at(&mut bed.db, TickId(1))?;
        bed.numbers([3]);
        until("it goes on", || bed.notices.count(moved) > 0 || worker.stats().batches > before);
    }
    assert!(bed.notices.count(moved) > 0);
    worker.stop_now().ok();
    Ok(())
}

fn of_a_lost_connection(mut bed: Bed) -> crate::Result {
    let worker = bed.job().sinks().start();
    until_working(&worker);
    bed.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'pgq worker'",
    );
    let lost = |notice: &Notice| matches!(notice, Notice::Disconnected { .. });
    until("it is said", || bed.notices.count(lost) > 0);
    bed.numbers([1]);
    until_finished(&worker, 1);
    let stats = worker.stop()?;
    assert_eq!((stats.connections, stats.rolled_back, stats.trouble), (2, 0, None));
    Ok(())
}
