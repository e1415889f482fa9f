//! PgQ goes, and comes again, under a worker that is told to wait for that.

use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::worker::{Notice, Permanent};
use pgq_schema::{Schema, Setup};
use pgq_sync::Queue;
use pgq_sync::postgres::Client;
use pgq_testkit::until_within;

use crate::bed::{Bed, Figures, QUEUE, Role, Run, Spread, patient, value};

cases!(a_worker_outlives_an_installation);

/// The schemas are dropped and installed anew; the ticker and the worker stay.
fn a_worker_outlives_an_installation(run: Run) -> crate::Result {
    const LIMIT: Duration = Duration::from_secs(60);
    let rounds = run.size(1, 5);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let _tickers = bed.tickers(1);
    let worker = bed.job(role.clone()).options(|options| options.permanent(Permanent::Wait)).start();
    let mut db = bed.connect();
    let mut recovery = Spread::default();
    for round in 0..=rounds {
        let begun = Instant::now();
        if round > 0 {
            reinstall(&bed, &mut db, || {
                let told =
                    |notice: &Notice| matches!(notice, Notice::Trouble { .. } | Notice::Disconnected { .. });
                until_within(LIMIT, "the worker is in trouble", || worker.heard.after(begun, told).is_some());
            })?;
            bed.register(&role)?;
        }
        let installed = Instant::now();
        db.batch_execute(&format!(
            "BEGIN; INSERT INTO sent SELECT {round}, generate_series(1, 10); \
             SELECT pgq.insert_event('{QUEUE}', 'number', '{round}:' || seq) FROM generate_series(1, 10) seq; COMMIT"
        ))?;
        until_within(LIMIT, "the events arrive", || {
            value(&mut db, "SELECT count(*) = 10 FROM sink_plain WHERE producer = $1", &[&round])
        });
        if round > 0 {
            recovery.add(installed.elapsed());
        }
    }
    let cached = worker.heard.count(|notice| format!("{notice:?}").contains("cached plan"));
    let stats = worker.stop()?;
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("installed anew", rounds)
        .add("handled after", &recovery)
        .add("connections", stats.connections)
        .print();
    truth.assert_exactly_once();
    assert_eq!(cached, 0, "plans of what was there before");
    assert!(recovery.max() <= patient(Duration::from_secs(15)), "{recovery}");
    Ok(())
}

fn reinstall(bed: &Bed, db: &mut Client, meanwhile: impl FnOnce()) -> crate::Result {
    let schemas: Vec<_> = Schema::ALL.iter().rev().map(|schema| schema.name()).collect();
    let drop = match bed.run.is_portable() {
        true => format!("DROP SCHEMA {} CASCADE", schemas.join(", ")),
        false => format!("DROP EXTENSION pgq CASCADE; DROP SCHEMA IF EXISTS {} CASCADE", schemas.join(", ")),
    };
    // The ticker and the worker hold locks of their own.
    until_within(Duration::from_secs(10), "PgQ is dropped", || db.batch_execute(&drop).is_ok());
    meanwhile();
    let script = match bed.run.is_portable() {
        true => Setup::new().only(Schema::ALL).sql(),
        false => {
            let beside = Schema::ALL.into_iter().filter(|schema| *schema != Schema::Pgq);
            format!("CREATE EXTENSION pgq;\n{}", Setup::new().only(beside).sql())
        }
    };
    db.batch_execute(&script)?;
    let config = QueueConfig::new().ticker_max_lag(Duration::from_millis(100));
    Queue::new(QUEUE).create(db)?;
    Queue::new(QUEUE).set_config(db, &config)?;
    Ok(())
}
