//! Eight members of a group at work, while their sessions are killed and they take each other for dead.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bed::{Bed, Coop, tick, until};
use crate::driver::{Batch, Client, Driver, Session, SubConsumer};
use crate::rotation::StopOnDrop;

cases!(every_event_once);

/// Now and then, a batch is finished for longer than a member can live before that is committed.
const SLOW_COMMITS: &str = "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN IF random() < 0.006 THEN PERFORM pg_sleep(0.06); END IF; RETURN NULL; END'; \
     CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON sink DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION sleep()";

fn every_event_once<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        bed.member("0");
        bed.db.batch_execute(SLOW_COMMITS)?;
        let (conninfo, done, troubles) =
            (bed.database.conninfo().to_owned(), &AtomicBool::new(false), &AtomicU64::new(0));
        thread::scope(|scope| {
            let _stop = StopOnDrop(done);
            for number in 0..8 {
                let conninfo = &conninfo;
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        match works::<D>(conninfo, number, done) {
                            Ok(()) => {}
                            Err(error) if error.is_transient() => {
                                troubles.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => panic!("{coop:?}: {error:?}"),
                        }
                    }
                });
            }
            let mut produced = 0;
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                crate::bed::insert::<D>(&mut bed.db, produced..produced + 20);
                produced += 20;
                tick::<D>(&mut bed.db);
                if fastrand::u32(..4) == 0 {
                    let kill = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid() \
                         AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS victim";
                    bed.db.value::<i64>(kill);
                }
                thread::sleep(Duration::from_millis(fastrand::u64(..20)));
            }
            tick::<D>(&mut bed.db);
            until("all events are in the sink", || {
                bed.db.value::<i64>("SELECT count(DISTINCT id) FROM sink") >= i64::from(produced)
            });
            done.store(true, Ordering::Relaxed);
        });
        let twice = "SELECT count(*) FROM (SELECT id FROM sink GROUP BY id HAVING count(*) > 1) AS twice";
        assert_eq!(bed.db.value::<i64>(twice), 0, "{coop:?}");
        assert!(bed.db.value::<i64>("SELECT count(DISTINCT worker) FROM sink") > 1);
        assert!(troubles.load(Ordering::Relaxed) > 0);
    }
    Ok(())
}

/// Now and then for longer than the others think that it can live.
fn works<D: Driver>(conninfo: &str, number: u32, done: &AtomicBool) -> pgq_core::Result<()> {
    const DEAD: Duration = Duration::from_millis(40);

    let mut db = D::Client::connect(conninfo)?;
    let member = D::SubConsumer::new("q", "m", &number.to_string()).dead_interval(DEAD);
    while !done.load(Ordering::Relaxed) {
        let Some(mut batch) = member.next_batch(&mut db)? else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        while let Some(event) = batch.next_event()? {
            let insert = format!("INSERT INTO sink VALUES ({}, '{number}')", event.id);
            batch.transaction().batch_execute(&insert)?;
        }
        if fastrand::u32(..6) == 0 {
            thread::sleep(2 * DEAD);
        }
        batch.finish()?;
    }
    Ok(())
}
