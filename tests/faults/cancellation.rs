//! Futures that are dropped wherever they wait: nothing is lost, nothing is left behind.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use pgq_async::DeadLetters;
use pgq_async::tokio_postgres::NoTls;
use pgq_core::fault_point::Point;
use pgq_core::worker::Notice;
use pgq_testkit::until_within;
use tokio::runtime::{self, Runtime};

use crate::bed::{Driver, Job, QUEUE, Role, Run, Spread, Write, value};
use crate::stage::{LIMIT, Spot, Stage};

cases!(
    dropped_workers,
    dropped_workers_of_a_member,
    dropped_workers_outside,
    dropped_waits_for_a_worker,
    dropped_work_on_dead_letters,
);

const MEMBER: &str = "m1";

fn dropped_workers(run: Run) -> crate::Result {
    let Some(mut stage) = stage(run, Role::consumer_of("plain"))? else { return Ok(()) };
    let (runtime, mut gone) = (runtime(), Spread::default());
    for polls in polls(&stage) {
        stage.produce();
        let worker = job(&stage).aio().run();
        runtime.block_on(cut(polls, worker));
        gone.add(assert_nothing_is_left(&mut stage, &runtime));
    }
    stage.settle();
    stage.figures().add("session gone after", &gone).print();
    Ok(())
}

/// It has two connections, for it beats.
fn dropped_workers_of_a_member(run: Run) -> crate::Result {
    let Some(mut stage) = stage(run, Role::member("group", MEMBER, Duration::from_millis(30)))? else {
        return Ok(());
    };
    let (runtime, mut gone) = (runtime(), Spread::default());
    for polls in polls(&stage) {
        stage.produce();
        let worker = job(&stage).aio().run();
        runtime.block_on(cut(polls, worker));
        gone.add(assert_nothing_is_left(&mut stage, &runtime));
    }
    stage.settle();
    stage.figures().add("sessions gone after", &gone).print();
    Ok(())
}

fn dropped_workers_outside(run: Run) -> crate::Result {
    let Some(mut stage) = stage(run, Role::consumer_of("plain"))? else { return Ok(()) };
    let (runtime, mut gone) = (runtime(), Spread::default());
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = calls.clone();
    let write: Write = Arc::new(move |event, _| {
        noted.lock().unwrap().extend(event.data.clone());
        Ok(())
    });
    for polls in polls(&stage) {
        stage.produce();
        let worker = job(&stage).at_once(3).aio_outside(write.clone());
        runtime.block_on(cut(polls, worker.run()));
        gone.add(assert_nothing_is_left(&mut stage, &runtime));
    }
    let worker = job(&stage).outside(move |event, batch| write(event, batch)).start();
    stage.wait("by a worker that is left alone");
    worker.stop()?;
    let sql = "INSERT INTO sink_plain (producer, seq) SELECT split_part(data, ':', 1)::integer, split_part(data, ':', 2)::bigint \
               FROM unnest($1::text[]) AS data";
    stage.db.execute(sql, &[&*calls.lock().unwrap()])?;
    stage.truth().assert_at_least_once();
    stage.figures().add("session gone after", &gone).print();
    Ok(())
}

fn dropped_waits_for_a_worker(run: Run) -> crate::Result {
    let Some(mut stage) = stage(run, Role::consumer_of("plain"))? else { return Ok(()) };
    let runtime = runtime();
    for stops in [true, false] {
        stage.produce();
        let spot = stage.spot(Point::BeforeHandler);
        let job = job(&stage).hook(spot.hook(Spot::stand));
        let heard = job.heard.clone();
        let worker = runtime.block_on(async { job.aio().spawn().unwrap() });
        spot.wait_until_reached();
        match stops {
            true => assert!(runtime.block_on(cut(1, worker.stop())).is_none()),
            false => assert!(runtime.block_on(cut(1, worker.wait())).is_none()),
        }
        spot.let_go();
        assert_nothing_is_left(&mut stage, &runtime);
        let finished = heard.count(|notice| matches!(notice, Notice::Finished { .. }));
        assert_eq!(finished, 1, "the batch in hand is finished");
    }
    stage.settle();
    stage.figures().print();
    Ok(())
}

/// A letter is replayed, or it is there: not both, and not neither.
fn dropped_work_on_dead_letters(run: Run) -> crate::Result {
    let Some(mut stage) = stage(run, Role::consumer_of("plain"))? else { return Ok(()) };
    for _ in 0..10 {
        stage.produce();
    }
    stage.settle();
    let runtime = runtime();
    let conninfo = stage.bed.conninfo("letters");
    let (client, connection) = runtime.block_on(pgq_async::tokio_postgres::connect(&conninfo, NoTls))?;
    runtime.spawn(connection);
    let letters = DeadLetters::of(QUEUE);
    let there = |stage: &mut Stage| -> (i64, i64) {
        let letters = value(&mut stage.db, "SELECT count(*) FROM pgq_dead.letter", &[]);
        (letters, value(&mut stage.db, "SELECT count(*) FROM pgq.retry_queue", &[]))
    };
    assert_eq!(there(&mut stage), (10, 0));
    for polls in 1..=10 {
        runtime.block_on(async {
            cut(polls, letters.list(&client, None, 100)).await;
            cut(polls, letters.count(&client)).await;
            let first = letters.list(&client, None, 1).await?[0].id;
            cut(polls, letters.replay(&client, &[first])).await;
            // On the same session, so after it.
            letters.count(&client).await
        })?;
        assert_eq!(there(&mut stage).0 + there(&mut stage).1, 10, "{polls}");
    }
    assert!(there(&mut stage).0 < 10);
    stage.figures().add("replayed", there(&mut stage).1).print();
    Ok(())
}

/// After how many polls. Each of them in the end.
fn polls(stage: &Stage) -> impl Iterator<Item = usize> + use<> {
    let step = stage.bed.run.size(8, 1);
    (stage.bed.run.random().usize(1..=step)..=200).step_by(step)
}

/// Only where there are futures.
fn stage(run: Run, role: Role) -> crate::Result<Option<Stage>> {
    if run.driver == Driver::Sync {
        println!("skipped: the blocking driver has no futures");
        return Ok(None);
    }
    Stage::new(run, role).map(Some)
}

fn job(stage: &Stage) -> Job {
    let poll = Duration::from_millis(1);
    stage.job(&stage.role()).options(|options| options.poll(poll))
}

fn runtime() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Polls a future so many times, if it takes as many, and drops it.
async fn cut<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, polled) = (pin!(future), AtomicUsize::new(0));
    let some = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polled.fetch_add(1, Ordering::Relaxed) + 1 == polls => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    tokio::time::timeout(LIMIT, some).await.expect("something wakes the future")
}

/// Waits until the sessions are gone and the tasks too.
fn assert_nothing_is_left(stage: &mut Stage, runtime: &Runtime) -> Duration {
    const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let start = Instant::now();
    let name = stage.role().name().to_owned();
    until_within(LIMIT, "its sessions are gone", || value::<i64>(&mut stage.db, SESSIONS, &[&name]) == 0);
    until_within(LIMIT, "its tasks are gone", || runtime.metrics().num_alive_tasks() == 0);
    start.elapsed()
}
