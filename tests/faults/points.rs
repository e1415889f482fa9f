//! Whatever goes wrong at any point in the life of a batch, each of its events takes effect once.

use std::env;
use std::str::FromStr;
use std::time::{Duration, Instant};

use pgq_core::fault_point::{Action, Hook, Point};
use pgq_core::worker::Notice;
use pgq_testkit::{Process, until_within};

use crate::bed::{Driver, Job, Role, Run, Spread, Worker, runtime};
use crate::stage::{LIMIT, Spot, Stage, Wishes, aside, assert_panicked, decide, open_batch};

cases!(
    errors_at_points,
    panics_at_points,
    killed_sessions_at_points,
    members_taken_over_at_points,
    ended_processes_at_points,
    dropped_futures_at_points,
);

const DEAD_INTERVAL: Duration = Duration::from_millis(500);
const CODE: i32 = 9;

fn errors_at_points(run: Run) -> crate::Result {
    survives(run, |_| Action::Error)
}

fn killed_sessions_at_points(run: Run) -> crate::Result {
    survives(run, |spot| {
        aside(|| {
            let mut db = spot.connect();
            let mut kill = || {
                let sessions =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'plain'";
                db.query(sessions, &[]).unwrap().is_empty()
            };
            until_within(LIMIT, "the session is gone", &mut kill);
        });
        Action::Go
    })
}

/// The worker itself goes on.
fn survives(run: Run, act: fn(&Spot) -> Action) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    for point in Point::ALL {
        let spot = stage.spot(point);
        stage.produce();
        let worker = stage.job(&plain()).hook(spot.hook(act)).start();
        spot.wait_until_reached();
        let batches = stage.finish(&point.to_string(), &[&worker.heard], spot.batch());
        assert_same(point, spot.batch(), &batches);
        worker.stop()?;
    }
    stage.figures().print();
    Ok(())
}

fn panics_at_points(run: Run) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    for point in Point::ALL {
        let spot = stage.spot(point);
        stage.produce();
        let panicking = stage.job(&plain()).hook(spot.hook(|_| Action::Panic)).start();
        let heard = panicking.heard.clone();
        assert_panicked(panicking, point);
        let worker = stage.job(&plain()).start();
        let batches = stage.finish(&point.to_string(), &[&heard, &worker.heard], spot.batch());
        assert_same(point, spot.batch(), &batches);
        worker.stop()?;
    }
    stage.figures().print();
    Ok(())
}

fn dropped_futures_at_points(run: Run) -> crate::Result {
    if run.driver == Driver::Sync {
        println!("skipped: the blocking driver has no futures");
        return Ok(());
    }
    let mut stage = Stage::new(run, plain())?;
    for point in Point::ALL {
        let spot = stage.spot(point);
        stage.produce();
        let job = stage.job(&plain()).hook(spot.hook(|_| Action::DropFuture));
        let heard = job.heard.clone();
        let task = runtime().spawn(job.aio().run());
        spot.wait_until_reached();
        task.abort();
        assert!(runtime().block_on(task).unwrap_err().is_cancelled());
        let worker = stage.job(&plain()).start();
        let batches = stage.finish(&point.to_string(), &[&heard, &worker.heard], spot.batch());
        assert_same(point, spot.batch(), &batches);
        worker.stop()?;
    }
    stage.figures().print();
    Ok(())
}

/// One that does not beat, so that standing still for long is dying.
fn members_taken_over_at_points(run: Run) -> crate::Result {
    let main = "group".to_owned();
    let sleeper = Role::Member { main, name: "sleeper".to_owned(), dead_interval: None };
    let heir = Role::member("group", "heir", DEAD_INTERVAL);
    let mut stage = Stage::new(run, sleeper.clone())?;
    stage.bed.register(&heir)?;
    let (mut takeovers, mut lost) = (Spread::default(), 0);
    let cases =
        Point::ALL.map(|point| (point, Wishes::None)).into_iter().chain([(Point::AfterFence, Wishes::Some)]);
    for (point, wishes) in cases {
        stage.wishes = wishes;
        let spot = stage.spot(point);
        stage.produce();
        let slow = stage.job(&sleeper).hook(spot.hook(Spot::stand)).start();
        spot.wait_until_reached();
        let stands = Instant::now();
        let heir = stage.job(&heir).start();
        let is_taken = (Point::AfterNext..=Point::AfterFence).contains(&point);
        match point {
            Point::AfterConnect => until_within(LIMIT, "the heir has the batch", || finished(&heir) > 0),
            // The heir has it, and waits to queue the same retries.
            Point::AfterFence if wishes == Wishes::Some => {
                until_within(LIMIT, "the batch is taken over", || opened(&heir) > 0)
            }
            _ if is_taken => {
                until_within(LIMIT, &format!("the heir finishes the batch: {point}"), || finished(&heir) > 0)
            }
            // A takeover waits for the end of the transaction that finishes.
            _ => until_within(LIMIT, "it counts as dead", || stands.elapsed() > 2 * DEAD_INTERVAL),
        };
        spot.let_go();
        if is_taken {
            takeovers.add(stands.elapsed());
            let told = || {
                slow.heard.count(|notice| matches!(notice, Notice::Lost { .. } | Notice::RolledBack { .. }))
            };
            until_within(LIMIT, &format!("the sleeper knows: {point}"), || told() > 0);
            lost += 1;
        }
        let heard = [&slow.heard, &heir.heard];
        let batches = stage.finish(&point.to_string(), &heard, spot.batch());
        if is_taken {
            assert_ne!(
                spot.batch(),
                Some(batches[0]),
                "{point}: another id, so that the old owner cannot finish it"
            );
        } else {
            assert_same(point, spot.batch(), &batches);
        }
        slow.stop()?;
        heir.stop()?;
    }
    assert_eq!(lost, 9);
    stage.figures().add("taken over", &takeovers).print();
    Ok(())
}

fn finished(worker: &Worker) -> u64 {
    worker.stats().batches
}

fn opened(worker: &Worker) -> usize {
    worker.heard.count(|notice| matches!(notice, Notice::Opened { .. }))
}

fn ended_processes_at_points(run: Run) -> crate::Result {
    let mut stage = Stage::new(run, plain())?;
    for point in Point::ALL {
        stage.produce();
        let driver = format!("{:?}", stage.bed.run.driver);
        let variables = [
            ("FAULTS_DRIVER", &*driver),
            ("FAULTS_CONNINFO", stage.bed.database.conninfo()),
            ("FAULTS_POINT", &point.to_string()),
        ];
        let mut process = Process::rerun("points::a_worker_that_exits", &variables)?;
        assert_eq!(process.wait()?.code(), Some(CODE), "{point}");
        let batch = open_batch(&mut stage.db);
        assert_eq!(batch.is_some(), (Point::AfterNext..=Point::CommitSent).contains(&point), "{point}");
        let worker = stage.job(&plain()).start();
        let batches = stage.finish(&point.to_string(), &[&worker.heard], batch);
        assert_same(point, batch, &batches);
        worker.stop()?;
    }
    stage.figures().print();
    Ok(())
}

/// Not a test, but a worker in a process of its own.
#[test]
fn a_worker_that_exits() {
    if !Process::is_rerun() {
        return;
    }
    let variable = |name: &str| env::var(name).unwrap();
    let driver = if variable("FAULTS_DRIVER") == "Sync" { Driver::Sync } else { Driver::Async };
    let at = Point::from_str(&variable("FAULTS_POINT")).unwrap();
    let hook = Hook::new(move |point| if point == at { Action::Exit(CODE) } else { Action::Go });
    let job = Job::new(driver, &variable("FAULTS_CONNINFO"), plain()).chunk(2).decide(decide).hook(hook);
    let ended = job.start().wait();
    panic!("it passes {at}: {ended:?}");
}

fn plain() -> Role {
    Role::consumer_of("plain")
}

fn assert_same(point: Point, before: Option<i64>, after: &[i64]) {
    assert!(before.is_none_or(|before| after == [before]), "{point}: {before:?} became {after:?}");
}
