//! A worker in a process of its own is asked to end, wherever it stands.

use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgq_core::fault_point::{Action, Hook, Point};
use pgq_core::worker::Notice;
use pgq_testkit::{Process, until_within};

use crate::bed::{Driver, Job, Role, Run, Spread, patient, value};
use crate::stage::{LIMIT, Stage, aside, decide, open_batch};

cases!(processes_end_in_time, a_second_signal_ends_at_once);

const GRACE: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(1);

const AT_THE_POINT: &str = "at the point";
const FINISHED: &str = "finished";
const GAVE_UP: &str = "gave up";

/// It goes on with the batch in hand, and ends well.
fn processes_end_in_time(run: Run) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    let mut ends = Spread::default();
    for point in Point::ALL {
        stage.produce();
        let directory = tempfile::tempdir()?;
        let go = directory.path().join("go");
        let mut process = start(&stage, Some(point), &go)?;
        assert_eq!(process.next_line().as_deref(), Some(AT_THE_POINT), "{point}");
        let batch = open_batch(&mut stage.db);
        process.terminate()?;
        let asked = Instant::now();
        fs::write(&go, "")?;
        assert_eq!(process.wait()?.code(), Some(0), "{point}");
        ends.add(asked.elapsed());
        let told: Vec<_> = std::iter::from_fn(|| process.next_line()).collect();
        // Before there is a batch there is none to be finished.
        let in_hand = point > Point::AfterNext;
        assert!(!in_hand || told == [FINISHED], "{point}: {told:?}");
        assert!(!in_hand || open_batch(&mut stage.db).is_none(), "{point}");
        let worker = stage.job(&plain()).start();
        let batches = stage.finish(&point.to_string(), &[&worker.heard], batch);
        assert!(batch.is_none_or(|batch| batches == [batch]), "{point}: {batch:?} became {batches:?}");
        worker.stop()?;
    }
    stage.figures().add("ended after", &ends).print();
    assert!(ends.max() <= patient(GRACE + SLACK), "{ends}");
    Ok(())
}

/// A handler hangs: the batch is given back when the time is over, or at the second signal.
fn a_second_signal_ends_at_once(run: Run) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    let (mut late, mut at_once) = (Spread::default(), Spread::default());
    for signals in [1, 2, 1, 2] {
        stage.db.batch_execute(HANGS)?;
        stage.produce();
        let mut process = start(&stage, None, Path::new("/"))?;
        until_within(LIMIT, "the handler hangs", || value(&mut stage.db, IS_HANGING, &[]));
        let batch = open_batch(&mut stage.db);
        process.terminate()?;
        let asked = Instant::now();
        if signals == 2 {
            // Two that come at the same time are one.
            until_within(LIMIT, "it ends", || {
                process.terminate().unwrap();
                !process.is_running()
            });
        }
        assert_eq!(process.wait()?.code(), Some(0));
        if signals == 2 { &mut at_once } else { &mut late }.add(asked.elapsed());
        let told: Vec<_> = std::iter::from_fn(|| process.next_line()).collect();
        assert_eq!(told.last().map(String::as_str), Some(GAVE_UP), "{told:?}");
        assert_eq!(open_batch(&mut stage.db), batch, "it is given back");
        until_within(LIMIT, "nothing hangs any more", || !value::<bool>(&mut stage.db, IS_HANGING, &[]));
        stage.db.batch_execute("DROP TRIGGER hangs ON sink_plain")?;
        let worker = stage.job(&plain()).start();
        let batches = stage.finish(&format!("{signals} signals"), &[&worker.heard], batch);
        assert_eq!(batches, Vec::from_iter(batch));
        worker.stop()?;
    }
    stage.figures().add("with one signal ended after", &late).add("with two", &at_once).print();
    assert!(late.max() >= GRACE && late.max() <= patient(GRACE + SLACK), "{late}");
    assert!(at_once.max() < GRACE, "{at_once}");
    Ok(())
}

const IS_HANGING: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'plain' AND wait_event = 'PgSleep')";
const HANGS: &str = "CREATE OR REPLACE FUNCTION hangs() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN IF NEW.seq = 2 THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END'; \
    CREATE TRIGGER hangs BEFORE INSERT ON sink_plain FOR EACH ROW EXECUTE FUNCTION hangs()";

fn start(stage: &Stage, point: Option<Point>, go: &Path) -> crate::Result<Process> {
    let driver = format!("{:?}", stage.bed.run.driver);
    let point = point.map(|point| point.to_string()).unwrap_or_default();
    let variables = [
        ("FAULTS_DRIVER", &*driver),
        ("FAULTS_CONNINFO", stage.bed.database.conninfo()),
        ("FAULTS_POINT", &point),
        ("FAULTS_GO", go.to_str().unwrap()),
    ];
    Ok(Process::rerun("signals::a_worker_that_heeds_signals", &variables)?)
}

/// Whether the process does.
static HEEDS: AtomicBool = AtomicBool::new(false);

/// Not a test, but a worker in a process of its own. It ends well if the worker does.
#[test]
fn a_worker_that_heeds_signals() {
    if !Process::is_rerun() {
        return;
    }
    let variable = |name: &str| env::var(name).unwrap();
    let driver = if variable("FAULTS_DRIVER") == "Sync" { Driver::Sync } else { Driver::Async };
    let mut job = Job::new(driver, &variable("FAULTS_CONNINFO"), plain())
        .chunk(2)
        .decide(decide)
        .options(|options| options.grace(GRACE));
    if let Ok(point) = Point::from_str(&variable("FAULTS_POINT")) {
        job = job.hook(wait_at(point, variable("FAULTS_GO")));
    }
    job.heard.tell(|notice| match notice {
        Notice::Finished { .. } => Process::tell(FINISHED),
        Notice::GaveUp => Process::tell(GAVE_UP),
        _ => {}
    });
    let worker = job.start();
    worker.stop_on_signals();
    HEEDS.store(true, Ordering::SeqCst);
    let ended = worker.wait();
    process::exit(i32::from(ended.is_err()));
}

fn wait_at(at: Point, go: String) -> Hook {
    let there = AtomicBool::new(false);
    Hook::new(move |point| {
        if point == at && !there.swap(true, Ordering::SeqCst) {
            aside(|| {
                until_within(LIMIT, "it heeds signals", || HEEDS.load(Ordering::SeqCst));
                Process::tell(AT_THE_POINT);
                until_within(LIMIT, "it may go on", || Path::new(&go).exists());
            });
        }
        Action::Go
    })
}

fn plain() -> Role {
    Role::consumer_of("plain")
}
