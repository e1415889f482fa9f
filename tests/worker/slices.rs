use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pgq_async::futures::FutureExt;
use pgq_core::worker::{Notice, Outcome, WorkerOptions};
use pgq_core::{Error, Event};

use crate::bed::{Bed, options, until, until_finished};
use crate::driver::{BoxError, sink};

cases!(
    are_not_handled_again_after_a_kill,
    are_not_handled_again_by_another_worker,
    hold_retries_and_dead_letters,
    need_pgq_ext,
);

fn sliced() -> WorkerOptions {
    options().slice(NonZeroU32::new(10).unwrap())
}

/// The session dies at event 25, after two slices.
fn are_not_handled_again_after_a_kill(mut bed: Bed) -> crate::Result {
    let (calls, killed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let called = Arc::clone(&calls);
    let worker = bed
        .job()
        .options(sliced())
        .otherwise(move |event: Event, tx| {
            let (called, killed) = (Arc::clone(&called), Arc::clone(&killed));
            async move {
                called.lock().unwrap().push(event.data.clone().unwrap());
                sink(&event, tx).await?;
                if event.data.as_deref() == Some("25") && !killed.swap(true, Ordering::SeqCst) {
                    tx.run("SELECT pg_terminate_backend(pg_backend_pid())").await?;
                }
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..35);
    until_finished(&worker, 1);
    let expected = |numbers: std::ops::Range<u32>| numbers.map(|number| number.to_string());
    assert!(bed.sink().into_iter().eq(expected(0..35)));
    assert!(calls.lock().unwrap().iter().cloned().eq(expected(0..26).chain(expected(20..35))));
    let stats = worker.stop()?;
    assert_eq!((stats.connections, stats.events.done), (2, 15));
    Ok(())
}

fn are_not_handled_again_by_another_worker(mut bed: Bed) -> crate::Result {
    let reached = Arc::new(AtomicBool::new(false));
    let (reaches, driver) = (Arc::clone(&reached), bed.driver);
    let worker = bed
        .job()
        .options(sliced())
        .otherwise(move |event: Event, tx| {
            let reaches = Arc::clone(&reaches);
            async move {
                sink(&event, tx).await?;
                if event.data.as_deref() == Some("25") {
                    reaches.store(true, Ordering::SeqCst);
                    tx.run("SELECT pg_sleep(3600)").await?;
                    driver.until(|| false).await;
                }
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..35);
    until("two slices are done", || reached.load(Ordering::SeqCst));
    assert_eq!(bed.sink().len(), 20);
    worker.stop_now()?;
    assert_eq!(bed.sink().len(), 20);
    let worker = bed.job().options(sliced()).sinks().start();
    until_finished(&worker, 1);
    assert!(bed.sink().into_iter().eq((0..35).map(|number| number.to_string())));
    assert_eq!(worker.stop()?.events.done, 15);
    Ok(())
}

/// They are told and kept with their slice, and not once more with the next one.
fn hold_retries_and_dead_letters(mut bed: Bed) -> crate::Result {
    let (reached, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (reaches, goes, driver) = (Arc::clone(&reached), Arc::clone(&gate), bed.driver);
    let worker = bed
        .job()
        .options(sliced())
        .otherwise(move |event: Event, tx| {
            let (reaches, goes) = (Arc::clone(&reaches), Arc::clone(&goes));
            async move {
                sink(&event, tx).await?;
                match event.data.as_deref() {
                    Some("3") => return Err(BoxError::from("no")),
                    Some("5") => return Ok(Outcome::Retry(std::time::Duration::from_secs(100))),
                    Some("12") => {
                        reaches.store(true, Ordering::SeqCst);
                        driver.until(|| goes.load(Ordering::SeqCst)).await;
                    }
                    _ => {}
                }
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..25);
    until("a slice is done", || reached.load(Ordering::SeqCst));
    let dead = |notice: &Notice| matches!(notice, Notice::Dead { .. });
    assert_eq!((bed.letters().len(), bed.retried().len(), bed.notices.count(dead)), (1, 1, 1));
    gate.store(true, Ordering::SeqCst);
    until_finished(&worker, 1);
    assert_eq!((bed.letters().len(), bed.retried().len(), bed.notices.count(dead)), (1, 1, 1));
    assert_eq!(bed.sink().len(), 23);
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.retried, events.dead), (23, 1, 1));
    Ok(())
}

fn need_pgq_ext(mut bed: Bed) -> crate::Result {
    bed.execute("DROP SCHEMA pgq_ext CASCADE");
    let worker = bed.job().options(sliced()).sinks().start();
    bed.numbers(0..3);
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::NotInstalled { .. }), "{error:?}");
    assert!(error.to_string().contains("pgq_ext"), "{error}");
    assert!(bed.sink().is_empty());
    Ok(())
}
