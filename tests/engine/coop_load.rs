use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq_testkit::Database;

use crate::session::{Session, on_each_engine};

const EVENTS: u32 = 1_500;

/// Five subconsumers take each other's batches all the time: some sleep for longer than they are waited for, before or after they finish,
/// some leave. They work in the transaction that finishes the batch, so each event is done once.
#[test]
fn each_event_is_done_once() {
    on_each_engine(|engine, database| {
        let mut session = Session::new(database);
        session.run(
            "select pgq.create_queue('q'), pgq.set_queue_config('q', 'ticker_max_count', '1');
             select pgq.register_consumer('q', 'm');
             create table done (ev_id bigint)",
        );
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for worker in 0..5 {
                scope.spawn({
                    let stop = &stop;
                    move || work(database, worker, stop)
                });
            }
            let mut produced = 0;
            let limit = Instant::now() + Duration::from_secs(60);
            while done(&mut session) < EVENTS && Instant::now() < limit {
                if produced < EVENTS {
                    session
                        .run("select pgq.insert_event('q', 'number', i::text) from generate_series(1, 10) i");
                    produced += 10;
                }
                session.run("select pgq.maint_retry_events()");
                session.run("select pgq.ticker()");
            }
            stop.store(true, Ordering::Relaxed);
        });
        let sums = "select count(*), count(distinct ev_id) from done";
        assert_eq!(session.answer(sums), format!("{EVENTS}|{EVENTS}"), "{engine:?}");
    });
}

fn done(session: &mut Session) -> u32 {
    session.answer("select count(*) from done").parse().unwrap()
}

fn work(database: &Database, worker: u32, stop: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(worker.into());
    let mut session = Session::new(database);
    let next = format!("select pgq_coop.next_batch('q', 'm', 'w{worker}', '20 ms')");
    while !stop.load(Ordering::Relaxed) {
        let batch = session.answer(&next);
        if batch == "~" {
            session.run("select pg_sleep(0.005)");
            continue;
        }
        session.run("begin");
        let read = format!("insert into done select ev_id from pgq.get_batch_events({batch}) returning 0");
        let mut lost = session.answer(&read) == "P0001 batch not found";
        if !lost {
            doze(&mut session, &mut random);
            lost = session.answer(&format!("select pgq_coop.finish_batch({batch})")) != "1";
        }
        if lost {
            session.run("rollback");
            continue;
        }
        doze(&mut session, &mut random);
        session.run("commit");
        if random.u32(..20) == 0 {
            // Leaves, also if it has opened another batch meanwhile.
            session.answer(&next);
            session.answer(&format!("select pgq_coop.unregister_subconsumer('q', 'm', 'w{worker}', 1)"));
        }
    }
}

fn doze(session: &mut Session, random: &mut fastrand::Rng) {
    if random.u32(..8) == 0 {
        session.run("select pg_sleep(0.05)");
    }
}
