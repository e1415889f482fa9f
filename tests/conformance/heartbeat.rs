use std::net::TcpListener;
use std::time::{Duration, Instant};

use pgq_core::batch::Finish;
use pgq_core::{Error, coop};

use crate::bed::{Bed, Coop, read, until, wait_for_waiters};
use crate::driver::{Batch, Client, Driver, Heartbeat, LoadedBatch, Session, SubConsumer, Transaction};
use crate::privileges::Login;

cases!(
    keeps_a_loaded_batch,
    keeps_a_batch_with_its_transaction,
    costs_nothing_when_the_batch_is_short,
    tells_of_a_loss,
    opens_nothing,
    waits_for_a_finish,
    leaves_nobody_waiting,
    outlives_an_outage,
    tells_of_the_last_failure,
    ends_without_privilege,
    ends_in_a_wrong_database,
);

const DEAD: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_millis(100);

/// Works for longer than its siblings think that it can live.
fn work_long<D: Driver>(bed: &mut Bed<D>) {
    const ALIVE: &str = "SELECT sub_active > now() - interval '1 minute' FROM pgq.subscription \
         JOIN pgq.consumer ON co_id = sub_consumer WHERE co_name = 'm.a'";
    let b = D::SubConsumer::new("q", "m", "b").dead_interval(DEAD);
    for _ in 0..3 {
        bed.age("a", DEAD);
        until("it beats", || bed.db.value(ALIVE));
        assert!(b.next_batch(&mut bed.db).unwrap().is_none());
    }
}

fn keeps_a_loaded_batch<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, mut db) = (bed.member("a"), bed.connect());
        bed.produce([1]);
        let batch = a.next_loaded(&mut db)?.unwrap();
        let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), EVERY);
        work_long(&mut bed);
        assert!(!heartbeat.is_lost());
        heartbeat.stop()?;
        batch.finish(&mut db)?;
    }
    Ok(())
}

fn keeps_a_batch_with_its_transaction<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, mut db) = (bed.member("a"), bed.connect());
        bed.produce([1]);
        let mut batch = a.next_batch(&mut db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1]);
        batch.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
        let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), EVERY);
        work_long(&mut bed);
        assert!(!heartbeat.is_lost());
        heartbeat.stop()?;
        batch.finish()?;
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 1);
    }
    Ok(())
}

fn costs_nothing_when_the_batch_is_short<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    // Nothing can be reached there, which nobody notices.
    let heartbeat = a.heartbeat(batch.info().id, "host=/nowhere user=nobody", Duration::from_secs(3600));
    let start = Instant::now();
    heartbeat.stop()?;
    drop(a.heartbeat(batch.info().id, "host=/nowhere user=nobody", Duration::from_secs(3600)));
    assert!(start.elapsed() < Duration::from_secs(60));
    batch.finish(&mut bed.db)?;
    Ok(())
}

fn tells_of_a_loss<D: Driver>() -> crate::Result {
    for (coop, finishes) in Coop::BOTH.into_iter().flat_map(|coop| [(coop, true), (coop, false)]) {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(Duration::ZERO));
        bed.produce([1]);
        let batch = a.next_loaded(&mut bed.db)?.unwrap();
        let heirs = b.next_loaded(&mut bed.db)?.unwrap();
        if finishes {
            heirs.finish(&mut bed.db)?;
        }
        let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), EVERY);
        until("the loss is noticed", || heartbeat.is_lost());
        let id = batch.info().id;
        assert_error!(heartbeat.stop(), Error::BatchLost { batch, .. } if *batch == id, "", ["\"m.a\""]);
        assert_error!(batch.finish(&mut bed.db), Error::BatchLost { .. }, "", ["\"m.a\""]);
    }
    Ok(())
}

/// There would be another batch to open, and the dead member was unregistered: a beat changes nothing of that.
fn opens_nothing<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(Duration::ZERO));
        bed.produce([1]);
        bed.produce([2]);
        let batch = a.next_loaded(&mut bed.db)?.unwrap();
        b.next_loaded(&mut bed.db)?.unwrap().finish(&mut bed.db)?;
        let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), EVERY);
        until("the loss is noticed", || heartbeat.is_lost());
        assert_eq!(a.info(&mut bed.db)?, None);
        let mut next = b.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut next), [2]);
    }
    Ok(())
}

/// A beat that comes between the finish and its commit waits, ends, and has done no harm.
fn waits_for_a_finish<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a");
        bed.produce([1]);
        bed.produce([2]);
        let open = bed.db.call(coop::next("q", "m", "a"))?.unwrap();
        let mut worker = bed.connect();
        let mut transaction = worker.transaction()?;
        assert_eq!(transaction.call(coop::finish_fenced("q", "m", "a", open))?, Finish::Done);
        let heartbeat = a.heartbeat(open, bed.database.conninfo(), EVERY);
        wait_for_waiters::<D>(&mut bed.db, 1);
        transaction.commit()?;
        until("the finish is taken for a loss", || heartbeat.is_lost());
        assert_eq!(a.info(&mut bed.db)?.unwrap().current_batch, None);
        let mut batch = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [2]);
    }
    Ok(())
}

const SEEN: &str =
    "SELECT extract(epoch FROM max(sub_active))::float8 FROM pgq.subscription WHERE sub_batch IS NOT NULL";
const LOCK: &str = "SELECT count(*) FROM (SELECT FROM pgq.subscription FOR UPDATE) AS locked";

/// A beat that waits for the group ends by its own limit, also when nobody asks any more.
fn leaves_nobody_waiting<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    let mut holder = bed.connect();
    let mut lock = holder.transaction()?;
    assert!(lock.value::<i64>(LOCK) > 0);
    let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), EVERY);
    wait_for_waiters::<D>(&mut bed.db, 1);
    drop(heartbeat);
    let waiters = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until("nobody waits", || bed.db.value::<i64>(waiters) == 0);
    lock.rollback()?;
    batch.finish(&mut bed.db)?;
    Ok(())
}

/// The connections of three beats break, each while it waits for a lock; the one after that gets through.
fn outlives_an_outage<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    let mut holder = bed.connect();
    let mut lock = holder.transaction()?;
    assert!(lock.value::<i64>(LOCK) > 0);
    let heartbeat = a.heartbeat(batch.info().id, bed.database.conninfo(), Duration::ZERO);
    for _ in 0..3 {
        let kill = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
             WHERE wait_event_type = 'Lock' AND datname = current_database()";
        until("a beat is broken", || bed.db.value::<i64>(kill) == 1);
    }
    assert!(!heartbeat.is_lost());
    let before = bed.db.value::<f64>(SEEN);
    lock.rollback()?;
    until("it beats again", || bed.db.value::<f64>(SEEN) > before);
    assert!(!heartbeat.is_lost());
    drop(heartbeat);
    batch.finish(&mut bed.db)?;
    Ok(())
}

/// What listens there hangs up, three times.
fn tells_of_the_last_failure<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let conninfo = format!("host=127.0.0.1 port={} user=nobody", listener.local_addr()?.port());
    let heartbeat = a.heartbeat(batch.info().id, &conninfo, EVERY);
    for _ in 0..3 {
        drop(listener.accept()?);
    }
    assert!(!heartbeat.is_lost());
    let error = heartbeat.stop().unwrap_err();
    assert!(error.is_connection(), "{error:?}");
    batch.finish(&mut bed.db)?;
    Ok(())
}

fn ends_without_privilege<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let nobody = Login::new(&bed.database, "");
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    let heartbeat = a.heartbeat(batch.info().id, &bed.database.conninfo_as(nobody.name()), EVERY);
    until("it has ended", || heartbeat.is_lost());
    assert_error!(heartbeat.stop(), Error::MissingPrivilege { .. }, "42501", ["pgq_reader"]);
    batch.finish(&mut bed.db)?;
    Ok(())
}

fn ends_in_a_wrong_database<D: Driver>() -> crate::Result {
    let (mut bed, mut other) =
        (Bed::<D>::cooperative(Coop::NewId)?, Bed::<D>::on(crate::engine::database()?)?);
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    let id = batch.info().id;
    let ended = |conninfo: &str| {
        let heartbeat = a.heartbeat(id, conninfo, EVERY);
        until("it has ended", || heartbeat.is_lost());
        heartbeat.stop()
    };
    assert_error!(ended(other.database.conninfo()), Error::BatchLost { .. }, "", ["another database"]);
    other.db.drop_with_consumers("q")?;
    assert_error!(ended(other.database.conninfo()), Error::QueueNotFound { .. }, "P0001", ["\"q\""]);
    other.db.batch_execute("DROP SCHEMA pgq_coop CASCADE")?;
    assert_error!(ended(other.database.conninfo()), Error::NotInstalled { .. }, "3F000", ["pgq_coop"]);
    let nowhere = format!("{} dbname=pgq_no_such_database", bed.database.conninfo());
    assert_error!(ended(&nowhere), Error::Database { .. }, "3D000", ["connection"]);
    batch.finish(&mut bed.db)?;
    Ok(())
}
