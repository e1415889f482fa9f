use std::sync::{Arc, Mutex};

use pgq_async::futures::FutureExt;
use pgq_core::worker::{FailureKind, Notice, Outcome, UnknownType};
use pgq_core::{Error, Event, NewEvent};
use pgq_sync::Queue;

use crate::bed::{Bed, options, until_finished};
use crate::driver::{Handled, Tx};

cases!(
    by_type,
    outside_by_type,
    unknown_types_become_dead_letters,
    unknown_types_are_retried,
    unknown_types_are_done,
    unknown_types_end_it,
);

async fn write(tx: Tx<'_>, handler: &str, event: &Event) -> Handled {
    let data = event.data.as_deref().unwrap();
    tx.run(&format!("INSERT INTO sink (data) VALUES ('{handler} {data}')")).await?;
    Ok(Outcome::Done)
}

fn by_type(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .on("a", |event: Event, tx| async move { write(tx, "a", &event).await }.boxed())
        .on("b", |event: Event, tx| async move { write(tx, "b", &event).await }.boxed())
        .otherwise(|event: Event, tx| async move { write(tx, "otherwise", &event).await }.boxed())
        .start();
    Queue::new("q").insert(&mut bed.db, &NewEvent::default().data("5"))?;
    bed.produce([("a", "1"), ("b", "2"), ("A", "3"), ("", "4")]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["otherwise 5", "a 1", "b 2", "otherwise 3", "otherwise 4"]);
    assert_eq!(worker.stop()?.events.done, 5);
    Ok(())
}

fn outside_by_type(mut bed: Bed) -> crate::Result {
    let handled = Arc::new(Mutex::new(Vec::new()));
    let take = |handler: &'static str| {
        let handled = Arc::clone(&handled);
        move |event: Event| {
            handled.lock().unwrap().push(format!("{handler} {}", event.data.unwrap()));
            async { Ok(Outcome::Done) }.boxed()
        }
    };
    let worker = bed.job().outside().on("a", take("a")).on("b", take("b")).otherwise(take("other")).start();
    bed.produce([("a", "1"), ("c", "2"), ("b", "3")]);
    until_finished(&worker, 1);
    assert_eq!(*handled.lock().unwrap(), ["a 1", "other 2", "b 3"]);
    worker.stop()?;
    Ok(())
}

/// Hands an event of type `new` to workers that know type `a` alone, in the transaction and outside, and checks what became of it.
fn unknown(
    bed: &mut Bed,
    way: UnknownType,
    check: impl Fn(&mut Bed, Result<(u64, u64, u64), Error>),
) -> crate::Result {
    for outside in [false, true] {
        let job = bed.job().options(options().unknown(way));
        let worker = if outside {
            job.outside().on("a", |_: Event| async { Ok(Outcome::Done) }.boxed()).start()
        } else {
            job.on("a", |event: Event, tx| async move { write(tx, "a", &event).await }.boxed()).start()
        };
        bed.produce([("a", "1"), ("new", "2"), ("a", "3")]);
        let stats = if way == UnknownType::Stop {
            worker.wait()
        } else {
            until_finished(&worker, 1);
            worker.stop()
        };
        check(bed, stats.map(|stats| (stats.events.done, stats.events.retried, stats.events.dead)));
        bed.execute("DELETE FROM pgq_dead.letter; DELETE FROM pgq.retry_queue");
    }
    Ok(())
}

fn unknown_types_become_dead_letters(mut bed: Bed) -> crate::Result {
    unknown(&mut bed, UnknownType::DeadLetter, |bed, stats| {
        assert_eq!(stats.unwrap(), (2, 0, 1));
        let letters = bed.letters();
        assert_eq!((letters.len(), letters[0].event.data.as_deref()), (1, Some("2")));
        let why = (letters[0].reason.as_str(), letters[0].error.as_deref(), letters[0].attempts);
        assert_eq!(why, ("unknown type", Some(r#"there is no handler for events of type "new""#), 1));
    })
}

fn unknown_types_are_retried(mut bed: Bed) -> crate::Result {
    let way = UnknownType::Retry;
    let job = bed.job().options(options().unknown(way).retries(crate::bed::retries(2)));
    let worker = job.on("a", |event: Event, tx| async move { write(tx, "a", &event).await }.boxed()).start();
    bed.produce([("a", "1"), ("new", "2"), ("a", "3")]);
    until_finished(&worker, 1);
    assert_eq!((bed.sink().len(), bed.retried().len()), (2, 1));
    let retried = |notice: &Notice| {
        matches!(notice, Notice::Retried { kind: FailureKind::UnknownType, attempt: 1, .. })
    };
    assert_eq!(bed.notices.count(retried), 1);
    bed.redeliver();
    until_finished(&worker, 2);
    assert_eq!(bed.letters()[0].attempts, 2);
    worker.stop()?;
    Ok(())
}

fn unknown_types_are_done(mut bed: Bed) -> crate::Result {
    unknown(&mut bed, UnknownType::Finish, |bed, stats| {
        assert_eq!(stats.unwrap(), (3, 0, 0));
        assert!(bed.letters().is_empty() && bed.retried().is_empty());
    })
}

fn unknown_types_end_it(mut bed: Bed) -> crate::Result {
    unknown(&mut bed, UnknownType::Stop, |bed, stats| {
        let error = stats.unwrap_err();
        assert!(matches!(&error, Error::EventFailed { .. }), "{error:?}");
        assert!(bed.sink().is_empty() && bed.letters().is_empty());
        assert!(bed.value::<bool>("SELECT sub_batch IS NOT NULL FROM pgq.subscription"));
    })
}
