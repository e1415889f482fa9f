use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq_async::futures::FutureExt;
use pgq_core::Event;
use pgq_core::worker::{Notice, Outcome, WorkerState, WorkerStats};

use crate::bed::{Bed, options, until, until_finished, until_working};
use crate::driver::{Worker, sink};

cases!(
    at_once_between_batches,
    after_the_batch_in_hand,
    not_longer_than_its_grace,
    at_once_in_a_batch,
    outside_after_the_batch_in_hand,
    outside_not_longer_than_its_grace,
    by_being_dropped,
);

/// A flag that a handler sets when it begins, and one that it waits for.
#[derive(Clone, Default)]
struct Gate {
    begun: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn until_begun(&self) {
        until("a handler works", || self.begun.load(Ordering::SeqCst));
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

fn waiting(bed: &Bed, gate: &Gate, grace: Duration) -> Worker {
    let (gate, driver) = (gate.clone(), bed.driver);
    bed.job()
        .options(options().grace(grace))
        .otherwise(move |event: Event, tx| {
            let gate = gate.clone();
            async move {
                sink(&event, tx).await?;
                gate.begun.store(true, Ordering::SeqCst);
                driver.until(|| gate.is_open()).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start()
}

fn waiting_outside(bed: &Bed, gate: &Gate, grace: Duration) -> Worker {
    let (gate, driver) = (gate.clone(), bed.driver);
    bed.job()
        .options(options().grace(grace))
        .outside()
        .otherwise(move |_: Event| {
            let gate = gate.clone();
            async move {
                gate.begun.store(true, Ordering::SeqCst);
                driver.until(|| gate.is_open()).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start()
}

fn sleeping(bed: &Bed, gate: &Gate, grace: Duration) -> Worker {
    let gate = gate.clone();
    bed.job()
        .options(options().grace(grace))
        .otherwise(move |event: Event, tx| {
            let gate = gate.clone();
            async move {
                sink(&event, tx).await?;
                gate.begun.store(true, Ordering::SeqCst);
                tx.run("SELECT pg_sleep(3600)").await?;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start()
}

/// No session of the database that begins from now on is ended for its client's absence: only a cancel request ends what it runs.
fn only_cancels(bed: &mut Bed) {
    bed.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_settings WHERE name = 'client_connection_check_interval') THEN \
             EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = 0', current_database()); \
         END IF; END $$",
    );
}

/// Waits until it has stopped, but not for ever.
fn stopped(
    stop: impl FnOnce() -> pgq_core::Result<WorkerStats> + Send + 'static,
) -> crate::Result<WorkerStats> {
    let stopping = thread::spawn(stop);
    until("it has stopped", || stopping.is_finished());
    Ok(stopping.join().expect("it does not panic")?)
}

fn gave_up(notice: &Notice) -> bool {
    *notice == Notice::GaveUp
}

fn at_once_between_batches(mut bed: Bed) -> crate::Result {
    let worker = bed.job().options(options().poll(Duration::from_secs(3600))).sinks().start();
    until_working(&worker);
    bed.numbers([1]);
    let start = Instant::now();
    let stats = worker.stop()?;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(stats.state, WorkerState::Stopped);
    assert_eq!(bed.notices.count(|notice| *notice == Notice::Stopping), 1);
    Ok(())
}

fn finishes(mut bed: Bed, start: fn(&Bed, &Gate, Duration) -> Worker) -> crate::Result {
    let gate = Gate::default();
    let worker = start(&bed, &gate, Duration::from_secs(60));
    bed.numbers(0..3);
    gate.until_begun();
    worker.stop_softly();
    until("it is stopping", || worker.stats().state == WorkerState::Stopping);
    bed.numbers(3..6);
    assert_eq!(worker.stats().batches, 0);
    gate.open.store(true, Ordering::SeqCst);
    let stats = worker.wait()?;
    assert_eq!((stats.batches, stats.events.done, bed.notices.count(gave_up)), (1, 3, 0));
    Ok(())
}

fn after_the_batch_in_hand(bed: Bed) -> crate::Result {
    finishes(bed, waiting)
}

fn outside_after_the_batch_in_hand(bed: Bed) -> crate::Result {
    finishes(bed, waiting_outside)
}

fn gives_up(bed: &mut Bed, worker: Worker, gate: &Gate) -> crate::Result {
    bed.numbers(0..3);
    gate.until_begun();
    let stats = stopped(|| worker.stop())?;
    gate.open.store(true, Ordering::SeqCst);
    assert_eq!((stats.batches, stats.state, bed.notices.count(gave_up)), (0, WorkerState::Stopped, 1));
    assert!(bed.sink().is_empty());
    let worker = bed.job().sinks().start();
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["0", "1", "2"]);
    worker.stop()?;
    Ok(())
}

fn not_longer_than_its_grace(mut bed: Bed) -> crate::Result {
    only_cancels(&mut bed);
    let gate = Gate::default();
    let worker = sleeping(&bed, &gate, Duration::from_millis(50));
    gives_up(&mut bed, worker, &gate)
}

fn outside_not_longer_than_its_grace(mut bed: Bed) -> crate::Result {
    let gate = Gate::default();
    let worker = waiting_outside(&bed, &gate, Duration::from_millis(50));
    gives_up(&mut bed, worker, &gate)
}

fn at_once_in_a_batch(mut bed: Bed) -> crate::Result {
    only_cancels(&mut bed);
    let gate = Gate::default();
    let worker = sleeping(&bed, &gate, Duration::from_secs(3600));
    bed.numbers(0..3);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                    AND query LIKE 'SELECT pg_sleep%'";
    until("its statement runs", || bed.value::<i64>(sleeping) == 1);
    let stats = stopped(|| worker.stop_now())?;
    assert_eq!((stats.batches, bed.sink().len()), (0, 0));
    until("its statement is cancelled", || bed.value::<i64>(sleeping) == 0);
    Ok(())
}

fn by_being_dropped(mut bed: Bed) -> crate::Result {
    let worker = bed.job().sinks().start();
    bed.numbers([1]);
    until_finished(&worker, 1);
    drop(worker);
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgq worker'";
    until("its session is gone", || bed.value::<i64>(sessions) == 0);
    Ok(())
}
