use std::error::Error;
use std::{fmt, io};

use pgq_core::Event;
use pgq_core::worker::{Exhausted, Notice, Outcome, RetryPolicy};

use crate::bed::{Bed, options, retries, until_finished};
use crate::driver::{Handled, Worker};

cases!(
    until_a_dead_letter,
    outside_until_a_dead_letter,
    for_ever,
    until_the_worker_ends,
    outside_until_the_worker_ends,
    another_worker_goes_on_counting
);

fn decide(event: &Event) -> Handled {
    match event.event_type.as_deref() {
        Some("bad") => Err(Box::new(Outer(io::Error::other("the inner one")))),
        _ => Ok(Outcome::Done),
    }
}

#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outer one")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn three_attempts(bed: &mut Bed, worker: Worker) -> crate::Result {
    bed.produce([("a", "1"), ("bad", "2"), ("a", "3")]);
    for attempt in 1..=2 {
        until_finished(&worker, attempt);
        assert_eq!((bed.retried().len(), bed.letters().len()), (1, 0));
        bed.redeliver();
    }
    until_finished(&worker, 3);
    assert!(bed.retried().is_empty());
    let letters = bed.letters();
    assert_eq!((letters.len(), letters[0].attempts, letters[0].event.retry), (1, 3, 2));
    let why = (letters[0].reason.as_str(), letters[0].error.as_deref());
    assert_eq!(why, ("error", Some("the outer one: the inner one")));
    let attempts = bed.notices.all().into_iter().filter_map(|notice| match notice {
        Notice::Retried { attempt, .. } => Some((attempt, "retried")),
        Notice::Dead { attempt, .. } => Some((attempt, "dead")),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [(1, "retried"), (2, "retried"), (3, "dead")]);
    let events = worker.stop()?.events;
    assert_eq!((events.done, events.retried, events.dead), (2, 2, 1));
    Ok(())
}

fn until_a_dead_letter(mut bed: Bed) -> crate::Result {
    let worker = bed.job().options(options().retries(retries(3))).decide(decide).start();
    three_attempts(&mut bed, worker)?;
    assert_eq!(bed.sink(), ["1", "3"]);
    Ok(())
}

fn outside_until_a_dead_letter(mut bed: Bed) -> crate::Result {
    let worker = bed.job().options(options().retries(retries(3))).outside().decide(decide).start();
    three_attempts(&mut bed, worker)
}

fn for_ever(mut bed: Bed) -> crate::Result {
    let policy = RetryPolicy::new().attempts(2).jitter(0.0).exhausted(Exhausted::Retry);
    let worker = bed.job().options(options().retries(policy)).decide(decide).start();
    bed.produce([("bad", "1")]);
    let mut pauses = Vec::new();
    for attempt in 1..=4 {
        until_finished(&worker, attempt);
        pauses.push(bed.value::<f64>(
            "SELECT round(extract(epoch FROM ev_retry_after - now()))::float8 FROM pgq.retry_queue",
        ));
        bed.redeliver();
    }
    let near = |pause: f64, wanted: f64| pause <= wanted && pause > wanted - 9.0;
    assert!(near(pauses[0], 10.0) && pauses[1..].iter().all(|&pause| near(pause, 3600.0)), "{pauses:?}");
    assert!(bed.letters().is_empty());
    worker.stop()?;
    Ok(())
}

fn ends(bed: &mut Bed, worker: Worker) {
    bed.produce([("a", "1"), ("bad", "2")]);
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, pgq_core::Error::EventFailed { .. }), "{error:?}");
    assert!(bed.sink().is_empty() && bed.letters().is_empty() && bed.retried().is_empty());
    assert!(bed.value::<bool>("SELECT sub_batch IS NOT NULL FROM pgq.subscription"));
}

fn until_the_worker_ends(mut bed: Bed) -> crate::Result {
    let stops = || options().retries(retries(1).exhausted(Exhausted::Stop));
    let worker = bed.job().options(stops()).decide(decide).start();
    ends(&mut bed, worker);
    let worker = bed.job().sinks().start();
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["1", "2"]);
    worker.stop()?;
    Ok(())
}

fn outside_until_the_worker_ends(mut bed: Bed) -> crate::Result {
    let stops = || options().retries(retries(1).exhausted(Exhausted::Stop));
    let worker = bed.job().options(stops()).outside().decide(decide).start();
    ends(&mut bed, worker);
    Ok(())
}

fn another_worker_goes_on_counting(mut bed: Bed) -> crate::Result {
    let start = |bed: &Bed| bed.job().options(options().retries(retries(2))).decide(decide).start();
    let worker = start(&bed);
    bed.produce([("bad", "1")]);
    until_finished(&worker, 1);
    worker.stop()?;
    bed.redeliver();
    let worker = start(&bed);
    until_finished(&worker, 1);
    assert_eq!(bed.letters()[0].attempts, 2);
    worker.stop()?;
    Ok(())
}
