use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_core::worker::{Exhausted, Notice};
use pgq_core::{Error, Event};

use crate::bed::{Bed, options, retries, until_finished};
use crate::driver::{BoxError, Reading};

cases!(
    in_the_transaction,
    with_retries_and_dead_letters,
    repeated_until_given_up,
    that_panic,
    that_swallow_a_database_error,
    left_unread,
    that_end_the_worker,
    outside_of_it,
    outside_until_given_up,
    outside_that_end_the_worker,
);

async fn copy(batch: &mut (dyn Reading + '_)) -> Result<(), BoxError> {
    while let Some(event) = batch.next_event().await? {
        batch.run(&format!("INSERT INTO sink (data) VALUES ('{}')", event.data.unwrap())).await?;
    }
    Ok(())
}

fn in_the_transaction(mut bed: Bed) -> crate::Result {
    let fails = Arc::new(AtomicU32::new(0));
    let failed = Arc::clone(&fails);
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
        .on_batch(move |batch| {
            let failed = Arc::clone(&failed);
            async move {
                copy(batch).await?;
                if failed.fetch_add(1, Ordering::SeqCst) == 0 { Err("once".into()) } else { Ok(()) }
            }
            .boxed()
        })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["0", "1", "2"]);
    let rolled_back = |notice: &Notice| matches!(notice, Notice::RolledBack { error, .. } if error == "once");
    assert_eq!(bed.notices.count(rolled_back), 1);
    let stats = worker.stop()?;
    assert_eq!((stats.events.done, stats.rolled_back), (3, 1));
    Ok(())
}

fn with_retries_and_dead_letters(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .on_batch(|batch| {
            async move {
                while let Some(event) = batch.next_event().await? {
                    match event.data.as_deref() {
                        Some("1") => batch.retry(&event, Duration::from_secs(100)),
                        Some("2") => batch.dead_letter(&event, "not wanted", "at all"),
                        _ => {}
                    }
                }
                Ok(())
            }
            .boxed()
        })
        .start();
    bed.numbers(0..5);
    until_finished(&worker, 1);
    let letters = bed.letters();
    assert_eq!((bed.retried().len(), letters.len()), (1, 1));
    assert_eq!((letters[0].reason.as_str(), letters[0].error.as_deref()), ("not wanted", Some("at all")));
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.retried, events.dead), (3, 1, 1));
    Ok(())
}

/// Has the handler do this after it has copied the batch, or what it read of it, and checks that all events become dead letters after
/// three tries, that what was written is gone, and that the next batch is handled.
fn given_up<F>(mut bed: Bed, reason: &str, says: &str, spoil: F) -> crate::Result
where
    F: for<'b> Fn(
            &'b mut (dyn Reading + 'b),
        ) -> pgq_async::futures::future::BoxFuture<'b, Result<(), BoxError>>
        + Send
        + Sync
        + 'static,
{
    let (tries, spoil) = (Arc::new(AtomicU32::new(0)), Arc::new(spoil));
    let tried = Arc::clone(&tries);
    let worker = bed
        .job()
        .options(options().retries(retries(3)))
        .on_batch(move |batch| {
            let (tried, spoil) = (Arc::clone(&tried), Arc::clone(&spoil));
            async move {
                if tried.fetch_add(1, Ordering::SeqCst) < 3 { spoil(batch).await } else { copy(batch).await }
            }
            .boxed()
        })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    let letters = bed.letters();
    assert_eq!((letters.len(), bed.sink().len(), tries.load(Ordering::SeqCst)), (3, 0, 3));
    for letter in letters {
        assert_eq!(letter.reason, reason);
        assert!(letter.error.as_deref().unwrap().contains(says), "{letter:?}");
    }
    bed.numbers(3..5);
    until_finished(&worker, 2);
    assert_eq!(bed.sink(), ["3", "4"]);
    let stats = worker.stop()?;
    assert_eq!((stats.events.done, stats.events.dead, stats.rolled_back), (2, 3, 2));
    Ok(())
}

fn repeated_until_given_up(bed: Bed) -> crate::Result {
    given_up(bed, "error", "no such luck", |batch| {
        async move {
            copy(batch).await?;
            Err("no such luck".into())
        }
        .boxed()
    })
}

fn that_panic(bed: Bed) -> crate::Result {
    given_up(bed, "panic", "no such luck", |batch| {
        async move {
            copy(batch).await?;
            panic!("no such luck")
        }
        .boxed()
    })
}

fn that_swallow_a_database_error(bed: Bed) -> crate::Result {
    given_up(bed, "error", "25P02", |batch| {
        async move {
            copy(batch).await?;
            assert!(batch.run("SELECT 1/0").await.is_err());
            Ok(())
        }
        .boxed()
    })
}

fn left_unread(bed: Bed) -> crate::Result {
    given_up(bed, "error", "not read", |batch| {
        async move {
            batch.next_event().await?;
            Ok(())
        }
        .boxed()
    })
}

fn that_end_the_worker(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(1).exhausted(Exhausted::Stop)))
        .on_batch(|batch| {
            async move {
                copy(batch).await?;
                Err("no".into())
            }
            .boxed()
        })
        .start();
    bed.numbers(0..3);
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::BatchFailed { .. }), "{error:?}");
    assert!(bed.sink().is_empty() && bed.letters().is_empty());
    Ok(())
}

fn data(events: &[Event]) -> Vec<u32> {
    events.iter().map(|event| event.data.as_deref().unwrap().parse().unwrap()).collect()
}

fn outside_of_it(mut bed: Bed) -> crate::Result {
    let tries = AtomicU32::new(0);
    let worker = bed
        .job()
        .options(options().retries(retries(2)))
        .outside()
        .on_batch(move |events| {
            assert_eq!(data(&events), [0, 1, 2]);
            if tries.fetch_add(1, Ordering::SeqCst) == 0 { Err("once".into()) } else { Ok(()) }
        })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    let stats = worker.stop()?;
    assert_eq!((stats.events.done, stats.rolled_back, bed.letters().len()), (3, 1, 0));
    Ok(())
}

fn outside_until_given_up(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(2)))
        .outside()
        .on_batch(|events| if data(&events).contains(&1) { Err("no luck".into()) } else { Ok(()) })
        .start();
    bed.numbers(0..3);
    until_finished(&worker, 1);
    bed.numbers(3..5);
    until_finished(&worker, 2);
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].reason.as_str()), (3, "error"));
    let stats = worker.stop()?;
    assert_eq!((stats.events.done, stats.events.dead, stats.rolled_back), (2, 3, 1));
    Ok(())
}

fn outside_that_end_the_worker(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .options(options().retries(retries(1).exhausted(Exhausted::Stop)))
        .outside()
        .on_batch(|_| Err("no".into()))
        .start();
    bed.numbers(0..3);
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::BatchFailed { .. }), "{error:?}");
    Ok(())
}
