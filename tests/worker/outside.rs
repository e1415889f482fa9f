use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_core::Event;
use pgq_core::worker::{FailureKind, Notice, Outcome};

use crate::bed::{Bed, options, retries, until, until_finished};

cases!(
    no_transaction_is_open_meanwhile,
    as_many_at_once_as_may_be,
    one_after_the_other_unless_told,
    keys_keep_their_order,
    keys_that_panic,
    keys_do_not_wait_for_each_other,
    tries_in_place_end_in_a_dead_letter,
    one_that_takes_too_long,
    panics,
);

const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                    AND xact_start IS NOT NULL AND backend_type = 'client backend'";

fn number(event: &Event) -> u32 {
    event.data.as_deref().unwrap().parse().unwrap()
}

fn no_transaction_is_open_meanwhile(mut bed: Bed) -> crate::Result {
    let (began, goes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begins, gate, driver) = (Arc::clone(&began), Arc::clone(&goes), bed.driver);
    let worker = bed
        .job()
        .outside()
        .otherwise(move |_: Event| {
            let (begins, gate) = (Arc::clone(&begins), Arc::clone(&gate));
            async move {
                begins.store(true, Ordering::SeqCst);
                driver.until(|| gate.load(Ordering::SeqCst)).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..3);
    until("a handler works", || began.load(Ordering::SeqCst));
    let session = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgq worker'";
    assert_eq!((bed.value::<i64>(session), bed.value::<i64>(OPEN)), (1, 0));
    assert!(bed.value::<bool>("SELECT sub_batch IS NOT NULL FROM pgq.subscription"));
    goes.store(true, Ordering::SeqCst);
    until_finished(&worker, 1);
    assert_eq!(worker.stop()?.events.done, 3);
    Ok(())
}

/// Handlers that wait for each other, in threes.
fn as_many_at_once_as_may_be(mut bed: Bed) -> crate::Result {
    let (begun, running, most) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let (shared, driver) = (Arc::new((begun, running, most)), bed.driver);
    let counts = Arc::clone(&shared);
    let worker = bed
        .job()
        .outside()
        .concurrency(3)
        .otherwise(move |_: Event| {
            let counts = Arc::clone(&counts);
            async move {
                let (begun, running, most) = &*counts;
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                begun.fetch_add(1, Ordering::SeqCst);
                driver.until(|| begun.load(Ordering::SeqCst) >= 3).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..30);
    until_finished(&worker, 1);
    assert_eq!(shared.2.load(Ordering::SeqCst), 3);
    assert_eq!(worker.stop()?.events.done, 30);
    Ok(())
}

fn one_after_the_other_unless_told(mut bed: Bed) -> crate::Result {
    let (running, handled) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (runs, handles, driver) = (Arc::clone(&running), Arc::clone(&handled), bed.driver);
    let worker = bed
        .job()
        .outside()
        .otherwise(move |event: Event| {
            let (runs, handles) = (Arc::clone(&runs), Arc::clone(&handles));
            async move {
                assert_eq!(runs.fetch_add(1, Ordering::SeqCst), 0);
                driver.pause().await;
                handles.lock().unwrap().push(number(&event));
                runs.fetch_sub(1, Ordering::SeqCst);
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..30);
    until_finished(&worker, 1);
    assert!(handled.lock().unwrap().iter().copied().eq(0..30));
    assert_eq!(worker.stop()?.events.done, 30);
    Ok(())
}

fn keys_that_panic(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(1)))
        .outside()
        .concurrency(2)
        .key(|event| if number(event) == 3 { panic!("no key") } else { number(event) % 2 })
        .otherwise(|_: Event| async { Ok(Outcome::Done) }.boxed())
        .start();
    bed.numbers(0..6);
    until_finished(&worker, 1);
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.dead), (5, 1));
    assert_eq!(bed.letters().len(), 1);
    Ok(())
}

/// Keys of four, of which every tenth event fails twice.
fn keys_keep_their_order(mut bed: Bed) -> crate::Result {
    let (tries, handled) = (Arc::new(Mutex::new([0; 80])), Arc::new(Mutex::new(Vec::new())));
    let (tried, handles, driver) = (Arc::clone(&tries), Arc::clone(&handled), bed.driver);
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
        .outside()
        .concurrency(4)
        .key(|event| number(event) % 4)
        .otherwise(move |event: Event| {
            let (tried, handles) = (Arc::clone(&tried), Arc::clone(&handles));
            async move {
                driver.pause().await;
                let number = number(&event);
                let tries = {
                    let mut tried = tried.lock().unwrap();
                    tried[number as usize] += 1;
                    tried[number as usize]
                };
                if number % 10 == 0 && tries <= 2 {
                    return Err("not yet".into());
                }
                handles.lock().unwrap().push(number);
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..80);
    until_finished(&worker, 1);
    let handled = handled.lock().unwrap();
    assert_eq!(handled.len(), 80);
    for key in 0..4 {
        assert!(handled.iter().copied().filter(|number| number % 4 == key).eq((key..80).step_by(4)));
    }
    let retried = |notice: &Notice| matches!(notice, Notice::Retried { attempt: 1 | 2, .. });
    assert_eq!(bed.notices.count(retried), 16);
    let events = worker.stop()?.events;
    assert_eq!((events.done, bed.retried().len(), bed.letters().len()), (80, 0, 0));
    Ok(())
}

fn keys_do_not_wait_for_each_other(mut bed: Bed) -> crate::Result {
    let handled = Arc::new(AtomicU32::new(0));
    let (handles, driver) = (Arc::clone(&handled), bed.driver);
    let worker = bed
        .job()
        .outside()
        .concurrency(2)
        .key(|event| number(event) == 0)
        .otherwise(move |event: Event| {
            let handles = Arc::clone(&handles);
            async move {
                if number(&event) == 0 {
                    driver.until(|| handles.load(Ordering::SeqCst) == 9).await;
                }
                handles.fetch_add(1, Ordering::SeqCst);
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..10);
    until_finished(&worker, 1);
    assert_eq!(worker.stop()?.events.done, 10);
    Ok(())
}

fn tries_in_place_end_in_a_dead_letter(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
        .outside()
        .concurrency(1)
        .key(|_| ())
        .decide(|event| if number(event) == 1 { Err("never".into()) } else { Ok(Outcome::Done) })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].attempts, letters[0].event.retry), (1, 3, 0));
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.retried, events.dead), (2, 0, 1));
    Ok(())
}

fn one_that_takes_too_long(mut bed: Bed) -> crate::Result {
    let gate = Arc::new(AtomicBool::new(false));
    let (goes, driver) = (Arc::clone(&gate), bed.driver);
    let worker = bed
        .job()
        .options(options().handler_limit(Duration::from_millis(200)))
        .outside()
        .otherwise(move |event: Event| {
            let goes = Arc::clone(&goes);
            async move {
                if number(&event) == 1 {
                    driver.until(|| goes.load(Ordering::SeqCst)).await;
                }
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    gate.store(true, Ordering::SeqCst);
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "timeout"));
    let dead = |notice: &Notice| matches!(notice, Notice::Dead { kind: FailureKind::Timeout, .. });
    assert_eq!(bed.notices.count(dead), 1);
    assert_eq!(worker.stop()?.events.done, 2);
    Ok(())
}

fn panics(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .outside()
        .concurrency(2)
        .decide(|event| match number(event) {
            1 => panic!("one is too many"),
            _ => Ok(Outcome::Done),
        })
        .start();
    bed.numbers(0..5);
    until_finished(&worker, 1);
    let letters = bed.letters();
    assert_eq!((letters[0].reason.as_str(), letters[0].error.as_deref()), ("panic", Some("one is too many")));
    let stats = worker.stop()?;
    assert_eq!((stats.events.done, stats.events.dead, stats.panics), (4, 1, 1));
    Ok(())
}
