use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pgq_async::futures::FutureExt;
use pgq_core::Event;
use pgq_core::batch::Reader;
use pgq_core::worker::{Claim, Notice, Outcome, WorkerState};

use crate::bed::{Bed, options, until, until_finished, until_working};
use crate::driver::sink;

cases!(one_works_the_other_stands_by, names_do_not_wait_for_each_other, shared_batches_take_effect_once);

fn one_works_the_other_stands_by(mut bed: Bed) -> crate::Result {
    let first = bed.job().sinks().start();
    until_working(&first);
    let second = bed.job().sinks().start();
    until("it stands by", || second.stats().state == WorkerState::StandingBy);
    bed.numbers([1]);
    until_finished(&first, 1);
    assert_eq!(second.stats().state, WorkerState::StandingBy);
    let standing_by = |notice: &Notice| *notice == Notice::StandingBy;
    assert_eq!(bed.notices.count(standing_by), 1);
    first.stop()?;
    bed.numbers([2]);
    until_finished(&second, 1);
    assert_eq!(bed.sink(), ["1", "2"]);
    second.stop()?;
    Ok(())
}

fn names_do_not_wait_for_each_other(mut bed: Bed) -> crate::Result {
    pgq_sync::Consumer::new("q", "other").register(&mut bed.db)?;
    let workers = [bed.job().sinks().start(), bed.job_of(Reader::consumer("q", "other")).sinks().start()];
    bed.numbers([1]);
    for worker in workers {
        until_finished(&worker, 1);
        worker.stop()?;
    }
    assert_eq!(bed.sink(), ["1", "1"]);
    Ok(())
}

/// Both have the batch in hand before either goes on.
fn shared_batches_take_effect_once(mut bed: Bed) -> crate::Result {
    let (calls, driver) = (Arc::new(AtomicU32::new(0)), bed.driver);
    let start = |bed: &Bed| {
        let calls = Arc::clone(&calls);
        bed.job()
            .options(options().claim(Claim::Share))
            .otherwise(move |event: Event, tx| {
                let calls = Arc::clone(&calls);
                async move {
                    sink(&event, tx).await?;
                    calls.fetch_add(1, Ordering::SeqCst);
                    driver.until(|| calls.load(Ordering::SeqCst) >= 2).await;
                    Ok(Outcome::Done)
                }
                .boxed()
            })
            .start()
    };
    let workers = [start(&bed), start(&bed)];
    bed.numbers([1]);
    until("one has finished, and the other has lost", || {
        let stats = workers.each_ref().map(|worker| worker.stats());
        stats.iter().map(|stats| stats.batches).sum::<u64>() == 1
            && stats.iter().map(|stats| stats.lost).sum::<u64>() >= 1
    });
    assert_eq!(bed.sink(), ["1"]);
    for worker in workers {
        worker.stop()?;
    }
    Ok(())
}
