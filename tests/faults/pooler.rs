//! PgBouncer hands two sessions on from transaction to transaction.

use std::time::{Duration, Instant};

use pgq_core::worker::{Claim, Notice, Wakeup};
use pgq_testkit::{PgBouncer, available, until_within};

use crate::bed::{Bed, Figures, Producers, Role, Run, Ticker, named};

cases!(
    clients_share_sessions_without_an_error,
    who_listens_behind_a_pooler_is_told,
    a_ticker_refuses_a_pooler
);

const PAUSE: Duration = Duration::from_millis(10);

/// Four producers and a group of four members, which poll.
fn clients_share_sessions_without_an_error(run: Run) -> crate::Result {
    let events = run.size(4_000, 50_000);
    let bed = Bed::new(run)?;
    let Some(pooler) = available(PgBouncer::before(&bed.server))? else { return Ok(()) };
    let pooled = pooler.conninfo(&bed.database);
    let mut members = Vec::new();
    for number in 0..4 {
        let role = Role::member("group", &format!("m{number}"), Duration::from_secs(60));
        bed.register(&role)?;
        let options = |o: pgq_core::worker::WorkerOptions| o.wakeup(Wakeup::Poll).claim(Claim::Share);
        members.push(bed.job(role).through(&pooled).options(options).start());
    }
    let _tickers = bed.tickers(1);
    let start = Instant::now();
    let produced = Producers::start(&bed.run, &named(&pooled, "producer"), 4, events).join();
    bed.wait_for_top(Duration::from_secs(60));
    let took = start.elapsed();

    let truth = bed.truth("group");
    let troubles: Vec<_> = members.iter().flat_map(|member| member.heard.all()).filter_map(trouble).collect();
    let batches: Vec<_> = members.iter().map(|member| member.stats().batches).collect();
    Figures::of(&bed.run)
        .truth("group", &truth)
        .add("batches of each", format!("{batches:?}"))
        .add("errors", troubles.len() as u64 + produced.failed + produced.in_doubt)
        .add("took", format!("{took:.1?}"))
        .print();
    truth.assert_exactly_once();
    assert!(troubles.is_empty(), "{troubles:?}");
    assert_eq!((produced.failed, produced.in_doubt), (0, 0));
    assert!(batches.iter().filter(|batches| **batches > 0).count() > 1, "{batches:?}");
    Ok(())
}

fn trouble((_, notice): (Instant, Notice)) -> Option<Notice> {
    match notice {
        Notice::Disconnected { .. }
        | Notice::RolledBack { .. }
        | Notice::Trouble { .. }
        | Notice::Lost { .. } => Some(notice),
        Notice::Retried { .. } | Notice::Dead { .. } => Some(notice),
        _ => None,
    }
}

fn who_listens_behind_a_pooler_is_told(run: Run) -> crate::Result {
    let bed = Bed::new(run)?;
    let Some(pooler) = available(PgBouncer::before(&bed.server))? else { return Ok(()) };
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let _tickers = bed.tickers(1);
    let pooled = pooler.conninfo(&bed.database);
    let worker = bed.job(role).through(&pooled).options(|options| options.claim(Claim::Share)).start();
    // The others take the session that it has asked for notifications.
    let others = Producers::steady(&bed.run, &named(&pooled, "other"), 4, PAUSE * 15);
    let deaf = || worker.heard.count(|notice| matches!(notice, Notice::Deaf { .. }));
    until_within(Duration::from_secs(20), "the worker says so", || deaf() > 0);
    let told = worker.stats().batches;
    until_within(Duration::from_secs(20), "there are more batches", || worker.stats().batches >= told + 10);
    others.end();
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("batches", worker.stats().batches)
        .add("told that it is deaf", format!("{} times, after {told} batches", deaf()))
        .print();
    truth.assert_exactly_once();
    assert_eq!(deaf(), 1);
    Ok(())
}

/// Its lock would be another client's.
fn a_ticker_refuses_a_pooler(run: Run) -> crate::Result {
    let bed = Bed::new(run)?;
    let Some(pooler) = available(PgBouncer::before(&bed.server))? else { return Ok(()) };
    let pooled = pooler.conninfo(&bed.database);
    let others = Producers::steady(&bed.run, &named(&pooled, "other"), 4, PAUSE);
    let ticker = Ticker::start(bed.run.driver, &named(&pooled, "ticker"));
    let refuses = || ticker.stats().trouble.filter(|trouble| trouble.contains("pooler"));
    until_within(Duration::from_secs(20), "the ticker says that a pooler is in between", || {
        refuses().is_some()
    });
    Figures::of(&bed.run).add("the ticker says", refuses().unwrap_or_default()).print();
    others.end();
    Ok(())
}
