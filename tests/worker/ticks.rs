use std::time::{Duration, Instant};

use pgq_core::worker::{NoTicks, Notice, WorkerOptions};
use pgq_core::{NewEvent, QueueConfig, tick};
use pgq_sync::{ClientExt, Queue};

use crate::bed::{Bed, options, until, until_finished, until_working};

cases!(
    missing_without_a_ticker,
    missing_while_paused,
    missing_from_elsewhere,
    missing_here_only,
    not_missed_without_events
);

const SOON: Duration = Duration::from_millis(50);

fn watchful() -> WorkerOptions {
    options().poll(Duration::from_secs(3600)).no_ticks_after(SOON)
}

fn missing(notice: &Notice) -> bool {
    matches!(notice, Notice::NoTicks { .. })
}

/// Waits until the worker has looked for ticks that often.
fn until_looked(bed: &mut Bed, times: u32) {
    let mut seen = std::collections::HashSet::new();
    until("it has looked for ticks", || {
        let looked: Option<String> = bed.value(
            "SELECT max(query_start)::text FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'pgq worker' AND query LIKE '%get_queue_info%'",
        );
        seen.extend(looked);
        seen.len() > times as usize
    });
}

/// Has events wait, and checks that it is said once, for this cause; then that ticks come again.
fn said(
    mut bed: Bed,
    set: QueueConfig,
    wanted: NoTicks,
    mut meanwhile: impl FnMut(&mut Bed),
) -> crate::Result {
    bed.tick();
    Queue::new("q").set_config(&mut bed.db, &set.ticker_max_lag(Duration::ZERO))?;
    let worker = bed.job().options(watchful()).sinks().start();
    until_working(&worker);
    Queue::new("q").insert_events(&mut bed.db, (0..3).map(|_| NewEvent::new("number", "0")))?;
    until("it is said", || {
        meanwhile(&mut bed);
        bed.notices.count(missing) > 0
    });
    until_looked(&mut bed, 3);
    let told: Vec<_> = bed.notices.all().into_iter().filter(missing).collect();
    assert!(
        matches!(&told[..], [Notice::NoTicks { waiting: 3, cause, age }] if *cause == wanted && *age >= SOON),
        "{told:?}"
    );
    Queue::new("q")
        .set_config(&mut bed.db, &QueueConfig::new().ticker_paused(false).external_ticker(false))?;
    bed.tick();
    bed.db.call(tick::notify(Some("q")))?;
    until_finished(&worker, 1);
    let again = |notice: &Notice| *notice == Notice::TicksAgain;
    until("it is said that they come again", || bed.notices.count(again) == 1);
    worker.stop()?;
    Ok(())
}

fn missing_without_a_ticker(bed: Bed) -> crate::Result {
    said(bed, QueueConfig::new(), NoTicks::NoTicker, |_| ())
}

fn missing_while_paused(bed: Bed) -> crate::Result {
    said(bed, QueueConfig::new().ticker_paused(true), NoTicks::Paused, |_| ())
}

fn missing_from_elsewhere(bed: Bed) -> crate::Result {
    said(bed, QueueConfig::new().external_ticker(true), NoTicks::External, |_| ())
}

fn missing_here_only(mut bed: Bed) -> crate::Result {
    Queue::new("other").create(&mut bed.db)?;
    said(bed, QueueConfig::new(), NoTicks::OnlyHere, |bed| {
        bed.db.call(tick::force("other")).unwrap();
        bed.db.call(tick::queue("other")).unwrap();
    })
}

fn not_missed_without_events(mut bed: Bed) -> crate::Result {
    Queue::new("q").set_config(&mut bed.db, &QueueConfig::new().ticker_max_lag(Duration::ZERO))?;
    let start = Instant::now();
    let worker = bed.job().options(watchful()).sinks().start();
    until_looked(&mut bed, 3);
    assert!(start.elapsed() > SOON);
    assert_eq!(bed.notices.count(missing), 0);
    worker.stop()?;
    Ok(())
}
