use std::thread;
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
    outlives_an_outage,
    ends_without_privilege,
);

const DEAD: Duration = Duration::from_millis(600);
const EVERY: Duration = Duration::from_millis(100);

/// Works for longer than its siblings think that it can live.
fn work_long<D: Driver>(bed: &mut Bed<D>) {
    let b = D::SubConsumer::new("q", "m", "b").dead_interval(DEAD);
    let start = Instant::now();
    while start.elapsed() < 2 * DEAD {
        assert!(b.next_batch(&mut bed.db).unwrap().is_none());
        thread::sleep(EVERY);
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

fn outlives_an_outage<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let reader = Login::new(&bed.database, "pgq_reader");
    let a = bed.member("a");
    bed.produce([1]);
    let batch = a.next_loaded(&mut bed.db)?.unwrap();
    bed.db.batch_execute(&format!("ALTER ROLE {} CONNECTION LIMIT 0", reader.name()))?;
    let heartbeat = a.heartbeat(batch.info().id, &bed.database.conninfo_as(reader.name()), EVERY);
    thread::sleep(5 * EVERY);
    assert!(!heartbeat.is_lost());
    let seen =
        "SELECT extract(epoch FROM sub_active)::float8 FROM pgq.subscription WHERE sub_batch IS NOT NULL";
    let before = bed.db.value::<f64>(seen);
    bed.db.batch_execute(&format!("ALTER ROLE {} CONNECTION LIMIT 1", reader.name()))?;
    until("it beats again", || bed.db.value::<f64>(seen) > before);
    heartbeat.stop()?;
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
