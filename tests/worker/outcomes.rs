use std::time::Duration;

use pgq_core::Event;
use pgq_core::worker::{FailureKind, Notice, Outcome};

use crate::bed::{Bed, until_finished};
use crate::driver::{Handled, Worker};

cases!(in_the_transaction, outside_of_it, a_wish_is_no_failure);

fn decide(event: &Event) -> Handled {
    Ok(match event.event_type.as_deref() {
        Some("later") => Outcome::Retry(Duration::from_secs(100)),
        Some("dead") => Outcome::Dead("nobody wants it".to_owned()),
        _ => Outcome::Done,
    })
}

fn check(bed: &mut Bed, worker: Worker) -> crate::Result {
    bed.produce([("a", "1"), ("later", "2"), ("dead", "3"), ("a", "4")]);
    until_finished(&worker, 1);
    let seconds = bed.value::<f64>(
        "SELECT extract(epoch FROM ev_retry_after - now())::float8 FROM pgq.retry_queue WHERE ev_data = '2'",
    );
    assert!((60.0..=100.0).contains(&seconds), "{seconds}");
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].event.data.as_deref()), (1, Some("3")));
    let why = (letters[0].reason.as_str(), letters[0].error.as_deref(), letters[0].attempts);
    assert_eq!(why, ("asked for", Some("nobody wants it"), 1));
    assert_eq!((letters[0].consumer.as_str(), letters[0].subconsumer.as_deref()), ("c", None));
    let dead = |notice: &Notice| matches!(notice, Notice::Dead { kind: FailureKind::Asked, attempt: 1, .. });
    let retried = |notice: &Notice| matches!(notice, Notice::Retried { .. });
    assert_eq!((bed.notices.count(dead), bed.notices.count(retried)), (1, 0));
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.retried, events.dead), (2, 1, 1));
    Ok(())
}

fn in_the_transaction(mut bed: Bed) -> crate::Result {
    let worker = bed.job().decide(decide).start();
    check(&mut bed, worker)?;
    // Only what is done is written.
    assert_eq!(bed.sink(), ["1", "4"]);
    Ok(())
}

fn outside_of_it(mut bed: Bed) -> crate::Result {
    let worker = bed.job().outside().decide(decide).start();
    check(&mut bed, worker)
}

/// Asked for more often than failures may be.
fn a_wish_is_no_failure(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .decide(|event| Ok(if event.retry < 3 { Outcome::Retry(Duration::ZERO) } else { Outcome::Done }))
        .start();
    bed.numbers([1]);
    for batches in 1..=3 {
        until_finished(&worker, batches);
        assert!(bed.sink().is_empty());
        bed.redeliver();
    }
    until_finished(&worker, 4);
    assert_eq!((bed.sink(), bed.letters().len()), (vec!["1".to_owned()], 0));
    worker.stop()?;
    Ok(())
}
