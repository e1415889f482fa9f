use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pgq_async::futures::FutureExt;
use pgq_core::worker::{Notice, Outcome, Undo, WorkerState};
use pgq_core::{Error, Event};

use crate::bed::{Bed, options, until, until_finished};
use crate::driver::sink;

cases!(
    a_failing_event_alone,
    the_batch_and_once_more,
    no_savepoints_where_none_fails,
    a_swallowed_database_error,
    a_returned_database_error,
    a_deferred_constraint,
    a_handler_that_ends_the_transaction,
    a_handler_of_batches_that_ends_the_transaction,
    panics,
);

const BOTH: [Undo; 2] = [Undo::Event, Undo::Batch];

fn a_failing_event_alone(mut bed: Bed) -> crate::Result {
    let calls = Arc::new(AtomicU32::new(0));
    let called = Arc::clone(&calls);
    let worker = bed
        .job()
        .decide(move |event| {
            called.fetch_add(1, Ordering::SeqCst);
            let bad = matches!(event.data.as_deref(), Some("0" | "5" | "9"));
            if bad { Err("no".into()) } else { Ok(Outcome::Done) }
        })
        .start();
    bed.numbers(0..10);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["1", "2", "3", "4", "6", "7", "8"]);
    assert_eq!((calls.load(Ordering::SeqCst), bed.letters().len()), (10, 3));
    worker.stop()?;
    Ok(())
}

/// Handlers are called again, and what they wrote is there once.
fn the_batch_and_once_more(mut bed: Bed) -> crate::Result {
    let calls = Arc::new(AtomicU32::new(0));
    let called = Arc::clone(&calls);
    let worker = bed
        .job()
        .options(options().undo(Undo::Batch))
        .decide(move |event| {
            called.fetch_add(1, Ordering::SeqCst);
            if event.data.as_deref() == Some("5") { Err("no".into()) } else { Ok(Outcome::Done) }
        })
        .start();
    bed.numbers(0..10);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["0", "1", "2", "3", "4", "6", "7", "8", "9"]);
    assert_eq!(calls.load(Ordering::SeqCst), 6 + 10);
    let rolled_back = |notice: &Notice| matches!(notice, Notice::RolledBack { .. });
    assert_eq!(bed.notices.count(rolled_back), 0);
    assert_eq!(worker.stop()?.events.done, 9);
    Ok(())
}

/// Told by the transaction ids of the rows: a savepoint gives each event one of its own.
fn no_savepoints_where_none_fails(mut bed: Bed) -> crate::Result {
    bed.execute("ALTER TABLE sink ADD txid bigint");
    for (undo, transactions) in [(Undo::Event, 10_i64), (Undo::Batch, 1)] {
        let worker = bed.job().options(options().undo(undo)).sinks().start();
        bed.numbers(0..10);
        until_finished(&worker, 1);
        assert_eq!(bed.value::<i64>("SELECT count(DISTINCT xmin::text) FROM sink"), transactions, "{undo:?}");
        bed.execute("TRUNCATE sink");
        worker.stop()?;
    }
    Ok(())
}

/// Runs batches of three events, in which a handler does this at the event `b`.
fn spoilt(bed: &mut Bed, undo: Undo, sql: &'static str, swallows: bool) -> crate::Result {
    let worker = bed
        .job()
        .options(options().undo(undo))
        .otherwise(move |event: Event, tx| {
            async move {
                sink(&event, tx).await?;
                if event.event_type.as_deref() == Some("b") {
                    let ran = tx.run(sql).await;
                    if !swallows {
                        ran?;
                    }
                }
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.produce([("a", "1"), ("b", "2"), ("a", "3")]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["1", "3"], "{undo:?}");
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].event.data.as_deref()), (1, Some("2")), "{undo:?}");
    assert_eq!(letters[0].reason, "error");
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.dead), (2, 1));
    bed.execute("DELETE FROM sink; DELETE FROM pgq_dead.letter");
    Ok(())
}

fn a_swallowed_database_error(mut bed: Bed) -> crate::Result {
    BOTH.into_iter().try_for_each(|undo| spoilt(&mut bed, undo, "SELECT 1/0", true))
}

fn a_returned_database_error(mut bed: Bed) -> crate::Result {
    BOTH.into_iter().try_for_each(|undo| spoilt(&mut bed, undo, "SELECT 1/0", false))
}

fn a_deferred_constraint(mut bed: Bed) -> crate::Result {
    bed.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); \
         CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    );
    let orphan = "INSERT INTO child VALUES (1)";
    BOTH.into_iter().try_for_each(|undo| spoilt(&mut bed, undo, orphan, false))
}

/// It ends the worker, whatever the handler returns.
fn a_handler_that_ends_the_transaction(mut bed: Bed) -> crate::Result {
    bed.produce([("a", "1"), ("b", "2"), ("a", "3")]);
    for (undo, sql, fails) in [
        (Undo::Event, "COMMIT", false),
        (Undo::Event, "COMMIT", true),
        (Undo::Event, "ROLLBACK; BEGIN", false),
        (Undo::Event, "ROLLBACK; BEGIN", true),
        (Undo::Batch, "COMMIT", false),
        (Undo::Batch, "ROLLBACK", false),
        (Undo::Batch, "COMMIT; BEGIN", false),
        (Undo::Batch, "ROLLBACK AND CHAIN", false),
    ] {
        let worker = bed
            .job()
            .options(options().undo(undo))
            .otherwise(move |event: Event, tx| {
                async move {
                    if event.event_type.as_deref() == Some("b") {
                        tx.run(sql).await?;
                    }
                    if fails { Err("no".into()) } else { Ok(Outcome::Done) }
                }
                .boxed()
            })
            .start();
        until("it ends", || worker.stats().state == WorkerState::Stopped);
        let error = worker.wait().unwrap_err();
        assert!(matches!(&error, Error::TransactionEnded { .. }), "{undo:?} {sql}: {error:?}");
        assert!(error.to_string().contains("`COMMIT` or `ROLLBACK`"), "{error}");
        assert!(bed.value::<bool>("SELECT sub_batch IS NOT NULL FROM pgq.subscription"));
    }
    let stopped = |notice: &Notice| matches!(notice, Notice::Stopped { error: Some(error) } if error.contains("ended the transaction"));
    assert_eq!(bed.notices.count(stopped), 8);
    Ok(())
}

/// At the end of its reading, or in the middle of it, where the cursor is gone then.
fn a_handler_of_batches_that_ends_the_transaction(mut bed: Bed) -> crate::Result {
    bed.numbers(1..=9);
    for (sql, at) in [("COMMIT", 9), ("ROLLBACK; BEGIN", 9), ("COMMIT", 3), ("COMMIT; BEGIN", 3)] {
        let worker = bed
            .job()
            .on_batch(move |batch| {
                async move {
                    for number in 1..=9 {
                        batch.next_event().await?;
                        if number == at {
                            batch.run(sql).await?;
                        }
                    }
                    Ok(())
                }
                .boxed()
            })
            .start();
        until("it ends", || worker.stats().state == WorkerState::Stopped);
        let error = worker.wait().unwrap_err();
        assert!(matches!(&error, Error::TransactionEnded { event: None, .. }), "{sql} at {at}: {error:?}");
        assert!(bed.value::<bool>("SELECT sub_batch IS NOT NULL FROM pgq.subscription"));
    }
    assert!(bed.letters().is_empty());
    Ok(())
}

fn panics(mut bed: Bed) -> crate::Result {
    for undo in BOTH {
        let worker = bed
            .job()
            .options(options().undo(undo))
            .decide(|event| match event.data.as_deref() {
                Some("2") => panic!("no event {}", 2),
                _ => Ok(Outcome::Done),
            })
            .start();
        bed.numbers(1..=3);
        until_finished(&worker, 1);
        bed.numbers(4..=4);
        until_finished(&worker, 2);
        assert_eq!(bed.sink(), ["1", "3", "4"]);
        let letters = bed.letters();
        assert_eq!((letters[0].reason.as_str(), letters[0].error.as_deref()), ("panic", Some("no event 2")));
        let stats = worker.stop()?;
        assert_eq!((stats.events.done, stats.events.dead, stats.panics), (3, 1, 1));
        bed.execute("DELETE FROM sink; DELETE FROM pgq_dead.letter");
    }
    Ok(())
}
