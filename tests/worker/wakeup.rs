use std::time::Duration;

use pgq_core::tick;
use pgq_core::worker::{Notice, Wakeup, WorkerOptions};
use pgq_sync::ClientExt;

use crate::bed::{Bed, options, until, until_finished, until_working};
use crate::driver::Worker;

cases!(by_a_notification, by_one_for_any_queue, deaf_is_said_once, polling_is_not_deaf);

const HOUR: Duration = Duration::from_secs(3600);

/// Waits until the worker has looked and found nothing.
fn until_asleep(bed: &mut Bed, worker: &Worker) {
    until_working(worker);
    until("it has looked", || {
        bed.value(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'pgq worker' AND state = 'idle' AND query NOT LIKE 'LISTEN%'",
        )
    });
}

fn by_a_notification(mut bed: Bed) -> crate::Result {
    let worker = bed.job().options(options().poll(HOUR)).sinks().start();
    for batch in 1..=3 {
        until_asleep(&mut bed, &worker);
        bed.numbers([0]);
        // The portable engine has done so with the tick.
        bed.db.call(tick::notify(Some("q")))?;
        until_finished(&worker, batch);
    }
    worker.stop()?;
    Ok(())
}

fn by_one_for_any_queue(mut bed: Bed) -> crate::Result {
    silence(&mut bed);
    let worker = bed.job().options(options().poll(HOUR)).sinks().start();
    until_asleep(&mut bed, &worker);
    bed.numbers([0]);
    bed.execute("NOTIFY pgq_tick, 'another'");
    assert_eq!(worker.stats().batches, 0);
    bed.execute("NOTIFY pgq_tick");
    until_finished(&worker, 1);
    worker.stop()?;
    Ok(())
}

/// Has ticks notify nobody, which those of the portable engine do by themselves.
fn silence(bed: &mut Bed) {
    if bed.is_portable() {
        bed.execute(
            "CREATE OR REPLACE FUNCTION pgq._notify_tick(i_queue_name text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
        );
    }
}

fn deaf(notice: &Notice) -> bool {
    matches!(notice, Notice::Deaf { .. })
}

fn quick() -> WorkerOptions {
    options().poll(Duration::from_millis(5))
}

fn deaf_is_said_once(mut bed: Bed) -> crate::Result {
    silence(&mut bed);
    let worker = bed.job().options(quick()).sinks().start();
    let mut batches = 0;
    while bed.notices.count(deaf) == 0 {
        batches += 1;
        assert!(batches < 100, "it does not say that it is deaf");
        bed.numbers([0]);
        until_finished(&worker, batches);
    }
    for _ in 0..8 {
        batches += 1;
        bed.numbers([0]);
        until_finished(&worker, batches);
    }
    assert_eq!(bed.notices.count(deaf), 1);
    worker.stop()?;
    Ok(())
}

fn polling_is_not_deaf(mut bed: Bed) -> crate::Result {
    silence(&mut bed);
    let worker = bed.job().options(quick().wakeup(Wakeup::Poll)).sinks().start();
    for batch in 1..=10 {
        bed.numbers([0]);
        until_finished(&worker, batch);
    }
    assert_eq!(bed.notices.count(deaf), 0);
    worker.stop()?;
    Ok(())
}
