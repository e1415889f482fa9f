//! The process of a subconsumer stands still, is taken for dead, and goes on when its batch is another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgq_core::fault_point::Point;
use pgq_core::worker::{Notice, Outcome};
use pgq_sync::postgres::Client;
use pgq_testkit::{until, until_within};

use crate::bed::child::{AT_THE_POINT, Child, FINISHED, LOST, ROLLED_BACK, Retries};
use crate::bed::{Bed, Figures, QUEUE, Role, Run, Spread, patient, value};

cases!(a_zombie_finishes_nothing, a_zombie_with_the_lock_is_ended);

const DEAD: Duration = Duration::from_secs(1);

/// Where a worker can stand still without the lock of its group, which it has from the fence to the commit.
const POINTS: [Point; 7] = [
    Point::AfterHandler,
    Point::BeforeFence,
    Point::AfterNextCommit,
    Point::BeforeHandler,
    Point::MidFetch,
    Point::AfterDeclare,
    Point::AfterNext,
];

/// Who takes over a batch: pgq_coop of this project gives it a new id, PgQ's own keeps the id.
#[derive(Clone, Copy, Debug)]
enum Coop {
    NewId,
    SameId,
}

fn a_zombie_finishes_nothing(run: Run) -> crate::Result {
    let rounds = run.size(2, 25);
    let mut random = run.random();
    let mut takeovers = Spread::default();
    for coop in [Coop::NewId, Coop::SameId] {
        let bed = Bed::new(run.clone())?;
        if let Coop::SameId = coop {
            let mut db = bed.connect();
            db.batch_execute("DROP SCHEMA pgq_coop CASCADE")?;
            db.batch_execute(include_str!("../conformance/sql/coop_keeping_ids.sql"))?;
        }
        for round in 0..rounds {
            let chosen = POINTS.get(round).copied();
            let point = chosen.unwrap_or_else(|| POINTS[random.usize(..POINTS.len())]);
            takeovers.add(zombie(&bed, round, point)?);
        }
        let truth = bed.truth("group");
        Figures::of(&run).add("on pgq_coop of", format!("{coop:?}")).truth("group", &truth).print();
        truth.assert_exactly_once();
    }
    Figures::of(&run).add("takeover", &takeovers).add("dead interval", format!("{DEAD:?}")).print();
    assert!(takeovers.max() <= patient(DEAD + Duration::from_secs(1)), "{takeovers}");
    Ok(())
}

/// The lock is the fence's. The server ends the session after 10 seconds.
fn a_zombie_with_the_lock_is_ended(run: Run) -> crate::Result {
    const LIMIT: Duration = Duration::from_secs(25);
    let bed = Bed::new(run)?;
    let mut takeovers = Spread::default();
    let points = bed.run.size(&[Point::AfterFinish][..], &[Point::AfterFinish, Point::BeforeCommit]);
    for (round, point) in points.iter().enumerate() {
        takeovers.add(zombie(&bed, round, *point)?);
    }
    let truth = bed.truth("group");
    Figures::of(&bed.run).truth("group", &truth).add("takeover", &takeovers).print();
    truth.assert_exactly_once();
    assert!(takeovers.max() <= patient(LIMIT), "{takeovers}");
    Ok(())
}

/// One that stands still at the point, and tells after what time its batch was taken over. In every other round it has retries to
/// queue, and its heir has finished when it goes on; in the others its heir is still at work.
fn zombie(bed: &Bed, round: usize, point: Point) -> crate::Result<Duration> {
    let finishes_first = round % 2 == 0;
    let directory = tempfile::tempdir()?;
    let go = directory.path().join("go");
    let (zombie, heir) = (format!("zombie{round}"), format!("heir{round}"));
    let (zombie, heir) = (Role::member("group", &zombie, DEAD), Role::member("group", &heir, DEAD));
    bed.register(&zombie)?;
    let mut db = bed.connect();
    produce(&mut db, round);
    let child = Child {
        driver: bed.run.driver,
        conninfo: bed.database.conninfo(),
        role: &zombie,
        point: Some(point),
        go: &go,
        retries: if finishes_first { Retries::Third } else { Retries::None },
    };
    let mut child = child.start()?;
    assert_eq!(child.next_line().as_deref(), Some(AT_THE_POINT));
    child.pause()?;
    let start = Instant::now();

    let go_on = Arc::new(AtomicBool::new(finishes_first));
    let may_go_on = go_on.clone();
    let heir = bed.job(heir).decide(move |_| {
        until("the heir may go on", || may_go_on.load(Ordering::SeqCst));
        Ok(Outcome::Done)
    });
    let heir = heir.start();
    let opened = || heir.heard.after(start, |notice| matches!(notice, Notice::Opened { .. }));
    let taken_over = format!("the batch of a zombie {point} is taken over");
    until_within(Duration::from_secs(30), &taken_over, || opened().is_some());
    let takeover = opened().unwrap_or(start) - start;
    if finishes_first {
        until("the heir finishes it", || heir.stats().batches == 1);
    }
    std::fs::write(&go, "")?;
    child.resume()?;

    let told = child.next_line().expect("the zombie says what became of its batch");
    assert!([LOST, ROLLED_BACK].contains(&told.as_str()), "{point}: {told}");
    go_on.store(true, Ordering::SeqCst);
    until("the heir finishes it", || heir.stats().batches == 1);
    heir.stop()?;
    assert!(child.wait()?.success());
    while let Some(line) = child.next_line() {
        assert_ne!(line, FINISHED, "{point}");
    }
    assert_eq!(value::<i64>(&mut db, "SELECT count(*) FROM pgq.retry_queue", &[]), 0, "{point}");
    bed.truth("group").assert_exactly_once();
    Ok(takeover)
}

/// Inserts events and cuts them into a batch. There is no ticker, so that the first batch of the zombie is this one.
fn produce(db: &mut Client, round: usize) {
    let sql = format!(
        "BEGIN; INSERT INTO sent SELECT {round}, generate_series(1, 50); \
         SELECT pgq.insert_event('{QUEUE}', 'number', '{round}:' || seq) FROM generate_series(1, 50) seq; COMMIT; \
         SELECT pgq.force_tick('{QUEUE}'); SELECT pgq.ticker('{QUEUE}')"
    );
    db.batch_execute(&sql).unwrap();
}
