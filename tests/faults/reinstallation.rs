//! PgQ goes, and comes again, under a worker that is told to wait for that; or its functions become others under any worker.

use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::worker::{Notice, Permanent};
use pgq_schema::{Engine, Schema, Setup};
use pgq_sync::postgres::Client;
use pgq_sync::{Installer, Queue};
use pgq_testkit::until_within;

use crate::bed::{Bed, Figures, Progress, QUEUE, Role, Run, Spread, patient, value};

cases!(a_worker_outlives_an_installation, a_worker_outlives_functions_that_are_replaced);

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

/// Under producers, a ticker and a worker that are at work: all functions are replaced in their place, those that are called are dropped and
/// created anew, and the portable engine is upgraded.
fn a_worker_outlives_functions_that_are_replaced(run: Run) -> crate::Result {
    const LIMIT: Duration = Duration::from_secs(60);
    let rounds = run.size(3, 20);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let tickers = bed.tickers(1);
    let producers = bed.steady_producers();
    let worker = bed.job(role).start();
    let mut db = bed.connect();
    let mut recovery = Spread::default();
    for _ in 0..rounds {
        for replace in [replace_all, create_anew, upgrade] {
            replace(&bed, &mut db)?;
            let (start, progress) = (Instant::now(), Progress::of(&tickers, &worker));
            let resumed = progress.goes_on(start);
            recovery.add(resumed.0.max(resumed.1));
        }
    }
    let produced = producers.end();
    bed.wait_for_top(LIMIT);
    let cached = worker.heard.count(|notice| format!("{notice:?}").contains("cached plan"));
    let rolled_back = worker.heard.count(|notice| matches!(notice, Notice::RolledBack { .. }));
    let stats = worker.stop()?;
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("replaced", 3 * rounds)
        .add("batches rolled back", rolled_back)
        .add("next batch after", &recovery)
        .print();
    truth.assert_exactly_once();
    assert_eq!(cached, 0, "plans of what was there before");
    assert_eq!((stats.connections, produced.in_doubt), (1, 0));
    assert!(recovery.max() <= patient(Duration::from_secs(15)), "{recovery}");
    Ok(())
}

/// As a minor release does.
fn replace_all(_: &Bed, db: &mut Client) -> crate::Result {
    db.batch_execute(
        "DO $$ DECLARE definition text; BEGIN \
         FOR definition IN SELECT pg_get_functiondef(oid) FROM pg_proc WHERE prokind = 'f' \
         AND pronamespace IN ('pgq'::regnamespace, 'pgq_coop'::regnamespace, 'pgq_dead'::regnamespace) \
         LOOP EXECUTE definition; END LOOP; END $$",
    )?;
    Ok(())
}

/// As a release with other parameters must.
fn create_anew(bed: &Bed, db: &mut Client) -> crate::Result {
    const CALLED: [&str; 6] = [
        "pgq.ticker()",
        "pgq.insert_event(text, text, text)",
        "pgq.next_batch_info(text, text)",
        "pgq.get_batch_cursor(bigint, text, integer, text)",
        "pgq.finish_batch(bigint)",
        "pgq.force_tick(text)",
    ];
    let mut transaction = db.transaction()?;
    for function in CALLED {
        let definition: String =
            transaction.query_one("SELECT pg_get_functiondef($1::text::regprocedure)", &[&function])?.get(0);
        if !bed.run.is_portable() {
            transaction.batch_execute(&format!("ALTER EXTENSION pgq DROP FUNCTION {function}"))?;
        }
        transaction.batch_execute(&format!("DROP FUNCTION {function}"))?;
        transaction.batch_execute(&definition)?;
        if !bed.run.is_portable() {
            transaction.batch_execute(&format!("ALTER EXTENSION pgq ADD FUNCTION {function}"))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn upgrade(bed: &Bed, db: &mut Client) -> crate::Result {
    const MAKE_OLDER: &str = "CREATE OR REPLACE FUNCTION pgq.portable_release() RETURNS integer \
         LANGUAGE sql IMMUTABLE AS 'SELECT 0'; ALTER FUNCTION pgq.finish_batch(bigint) SECURITY INVOKER";
    if bed.run.is_portable() {
        db.batch_execute(MAKE_OLDER)?;
        let plan = Installer::new().engine(Engine::Portable).upgrade(db)?;
        assert!(!plan.is_empty(), "{plan}");
    } else {
        db.execute("SELECT pgq.upgrade_schema()", &[])?;
    }
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
