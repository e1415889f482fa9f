//! What the server says decides what a worker does: what may pass is tried again, what will not ends it, or has it wait.

use std::collections::HashMap;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use pgq_core::Error;
use pgq_core::worker::{Exhausted, Notice, Permanent, RetryPolicy, Undecodable, UnknownType, WorkerState};
use pgq_testkit::{Database, SmallDisk, until_within};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber, subscriber};

use crate::bed::{Figures, Job, QUEUE, Role, Run, value};
use crate::stage::{LIMIT, Stage, deliveries, open_batch};

cases!(
    what_may_pass_repeats_the_batch,
    a_full_server_is_tried_again,
    a_full_disk_is_waited_for,
    what_will_not_pass_ends_the_worker,
    waiting_for_what_will_not_pass_is_quiet,
);

/// How often each of them strikes. Each strike rolls back the batch.
const STRIKES: usize = 3;
const PASSING: [&str; 9] = ["57014", "55P03", "40P01", "40001", "53100", "57P01", "53300", "25006", "08006"];

fn what_may_pass_repeats_the_batch(run: Run) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    stage.db.batch_execute(STRIKE)?;
    let worker = stage.job(&plain()).start();
    for code in PASSING {
        stage
            .db
            .batch_execute(&format!("UPDATE strike SET code = '{code}'; ALTER SEQUENCE strikes RESTART"))?;
        stage.produce();
        let batches = stage.finish(code, &[], None);
        assert_eq!(deliveries(&[&worker.heard], batches[0]), STRIKES + 1, "{code}");
    }
    let failed = worker.heard.count(|notice| matches!(notice, Notice::Retried { .. }));
    let stats = worker.stop()?;
    stage.figures().add("rolled back", stats.rolled_back).print();
    assert_eq!(failed, 0, "a failure of the database is not the event's");
    assert_eq!(stats.rolled_back, (PASSING.len() * STRIKES) as u64);
    Ok(())
}

/// The first events of a batch fail, until it was often enough.
const STRIKE: &str = "CREATE TABLE strike AS SELECT '00000' AS code; CREATE SEQUENCE strikes; \
    CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.seq = 2 AND nextval('strikes') <= 3 THEN \
            RAISE EXCEPTION 'struck' USING ERRCODE = (SELECT code FROM strike); \
        END IF; RETURN NEW; END $$; \
    CREATE TRIGGER strike BEFORE INSERT ON sink_plain FOR EACH ROW EXECUTE FUNCTION strike()";

/// 53300
fn a_full_server_is_tried_again(run: Run) -> crate::Result {
    const KILL: &str =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'plain'";
    let mut stage = Stage::new(run, plain())?;
    let worker = stage.job(&plain()).start();
    let began = Instant::now();
    let refused =
        |notice: &Notice| matches!(notice, Notice::Disconnected { error, .. } if error.contains("53300"));
    let mut occupied = Vec::new();
    until_within(LIMIT, "it finds no room", || {
        stage.db.batch_execute(KILL).unwrap();
        occupied.push(stage.bed.server.occupy_all_connections().unwrap());
        worker.heard.after(began, refused).is_some()
    });
    stage.produce();
    drop(occupied);
    stage.finish("53300", &[], None);
    worker.stop()?;
    stage.figures().print();
    Ok(())
}

/// 53100
fn a_full_disk_is_waited_for(run: Run) -> crate::Result {
    let Some(disk) = pgq_testkit::available(SmallDisk::megabytes(4))? else { return Ok(()) };
    let mut stage = Stage::new(run, plain())?;
    let tablespace = disk.tablespace(&stage.bed.server)?;
    stage.db.batch_execute(&format!("ALTER TABLE sink_plain SET TABLESPACE {tablespace}"))?;
    disk.fill()?;
    let worker = stage.job(&plain()).start();
    stage.produce();
    let full = |notice: &Notice| matches!(notice, Notice::RolledBack { error, .. } if error.contains("No space left"));
    until_within(LIMIT, "it finds the disk full", || worker.heard.count(full) >= 2);
    let batch = open_batch(&mut stage.db);
    disk.free()?;
    assert_eq!(stage.finish("53100", &[], None), Vec::from_iter(batch));
    worker.stop()?;
    stage.figures().print();
    // The disk goes last.
    drop(stage);
    Ok(())
}

/// What will not pass by itself.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// 42501
    NoRight,
    /// 3F000
    NoPgq,
    Unregistered,
    NoQueue,
}

impl Trouble {
    /// The last ones cannot be undone.
    const ALL: [Self; 4] = [Self::NoRight, Self::NoPgq, Self::Unregistered, Self::NoQueue];

    fn job(self, stage: &mut Stage, empty: &Database) -> crate::Result<Job> {
        let role = stage.role();
        let job = stage.job(&role);
        Ok(match self {
            // Dead letters take a right of their own.
            Self::NoRight => job.through(&stage.bed.database.conninfo_as("nobody")).options(|options| {
                let options = options.unknown(UnknownType::Finish).undecodable(Undecodable::Retry);
                options.retries(RetryPolicy::new().exhausted(Exhausted::Retry))
            }),
            Self::NoPgq => job.through(empty.conninfo()),
            Self::Unregistered => {
                pgq_sync::Consumer::new(QUEUE, role.consumer()).unregister(&mut stage.db)?;
                job
            }
            Self::NoQueue => {
                pgq_sync::Queue::new(QUEUE).drop(&mut stage.db)?;
                job
            }
        })
    }

    fn is(self, error: &Error) -> bool {
        match self {
            Self::NoRight => error.sqlstate().is_some_and(|state| state.code() == "42501"),
            Self::NoPgq => matches!(error, Error::NotInstalled { .. } | Error::NoDeadLetters),
            Self::Unregistered => matches!(error, Error::NotSubscribed { .. }),
            Self::NoQueue => matches!(error, Error::NotSubscribed { .. } | Error::QueueNotFound { .. }),
        }
    }
}

fn what_will_not_pass_ends_the_worker(run: Run) -> crate::Result {
    let (mut stage, empty) = troubled(run, "ends")?;
    for trouble in Trouble::ALL {
        let worker = trouble.job(&mut stage, &empty)?.start();
        until_within(LIMIT, &format!("it ends: {trouble:?}"), || {
            worker.stats().state == WorkerState::Stopped
        });
        let error = worker.wait().unwrap_err();
        assert!(trouble.is(&error) && !error.is_transient(), "{trouble:?}: {error:?}");
    }
    Figures::of(&stage.bed.run).add("troubles", Trouble::ALL.len()).print();
    Ok(())
}

fn waiting_for_what_will_not_pass_is_quiet(run: Run) -> crate::Result {
    const TIME: Duration = Duration::from_secs(1);
    Lines::count();
    let (mut stage, empty) = troubled(run, "waits")?;
    let (name, mut most) = (stage.role().name().to_owned(), (0, 0));
    for trouble in Trouble::ALL {
        let job = trouble.job(&mut stage, &empty)?.options(|options| options.permanent(Permanent::Wait));
        let (transactions, lines) = (transactions(&mut stage), Lines::of(&name));
        let worker = job.start();
        until_within(LIMIT, &format!("it tells: {trouble:?}"), || worker.stats().trouble.is_some());
        // That nothing happens takes time to see.
        std::thread::sleep(TIME);
        worker.stop()?;
        until_within(LIMIT, "its session is gone", || {
            value::<i64>(
                &mut stage.db,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
                &[&name],
            ) == 0
        });
        let asked = self::transactions(&mut stage) - transactions;
        let said = Lines::of(&name) - lines;
        println!("{trouble:?}: {asked} transactions, {said} lines");
        most = (most.0.max(asked), most.1.max(said));
    }
    Figures::of(&stage.bed.run)
        .add("most transactions", most.0)
        .add("most lines", most.1)
        .add("in", format!("{TIME:?}"))
        .print();
    // Connecting takes some, and the looks of this test are among them.
    assert!(most.0 <= 60, "{most:?}");
    assert!((1..=6).contains(&most.1), "{most:?}");
    Ok(())
}

fn troubled(run: Run, what: &str) -> crate::Result<(Stage, Database)> {
    let name = format!("{what}_{:?}_{:?}", run.driver, run.engine).to_lowercase();
    let mut stage = Stage::new(run, Role::consumer_of(&name))?;
    stage.db.batch_execute("CREATE ROLE nobody LOGIN")?;
    let empty = stage.bed.server.new_database().empty().create()?;
    Ok((stage, empty))
}

/// How many transactions there were in all databases.
fn transactions(stage: &mut Stage) -> i64 {
    let sql =
        "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database, pg_stat_clear_snapshot()";
    value(&mut stage.db, sql, &[])
}

fn plain() -> Role {
    Role::consumer_of("plain")
}

/// Counts the lines that workers log.
struct Lines;

static LINES: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

impl Lines {
    /// From now on.
    fn count() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| subscriber::set_global_default(Self).unwrap());
    }

    /// Those of the worker of that consumer, so far.
    fn of(consumer: &str) -> usize {
        let lines = LINES.lock().unwrap();
        lines.as_ref().and_then(|lines| lines.get(consumer)).copied().unwrap_or_default()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("pgq") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Lines {
    fn record_str(&mut self, field: &Field, consumer: &str) {
        if field.name() == "consumer" {
            *LINES.lock().unwrap().get_or_insert_default().entry(consumer.to_owned()).or_default() += 1;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
