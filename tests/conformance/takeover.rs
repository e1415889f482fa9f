use std::thread;
use std::time::Duration;

use pgq_core::batch::Finish;
use pgq_core::{Error, coop};

use crate::bed::{Bed, Coop, read, terminate, wait_for_waiters};
use crate::driver::{Batch, Client, Driver, LoadedBatch, NextEvents, Session, SubConsumer, Transaction};

cases!(
    of_a_dead_member,
    from_a_zombie_that_finishes_late,
    from_a_zombie_with_its_batch_loaded,
    from_a_zombie_in_next_events,
    from_a_zombie_with_retries,
    back_and_forth,
    not_while_a_finish_is_uncommitted,
    not_from_one_that_polls,
    not_from_an_idle_one,
    after_a_kill_at_any_step,
);

const DEAD: Duration = Duration::from_secs(3600);

fn of_a_dead_member<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(DEAD));
        bed.produce(1..=3);
        let mut first = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut first), [1, 2, 3]);
        let ticks = (first.info().prev_tick, first.info().tick);
        drop(first);
        assert!(b.next_batch(&mut bed.db)?.is_none());
        bed.age("a", DEAD);
        let mut batch = b.next_batch(&mut bed.db)?.unwrap();
        assert_eq!((batch.info().prev_tick, batch.info().tick), ticks);
        assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
        batch.finish()?;
        // The dead one comes back as if nothing was.
        bed.produce([4]);
        let mut batch = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [4]);
        batch.finish()?;
    }
    Ok(())
}

/// Member a reads a batch and falls asleep; b takes it over, and has it open or has finished it when a wakes up.
fn zombie<D: Driver>(
    work: impl Fn(&D::SubConsumer, &mut D::Client, &mut dyn FnMut()) -> pgq_core::Result<()>,
) -> crate::Result {
    for (coop, heir_finishes_first) in Coop::BOTH.into_iter().flat_map(|coop| [(coop, true), (coop, false)]) {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(Duration::ZERO));
        bed.produce(1..=3);
        bed.produce([4]);
        let (mut zombie, mut heir) = (bed.connect(), bed.connect());
        let mut heirs = None;
        let mut heir = Some(&mut heir);
        let lost = work(&a, &mut zombie, &mut || {
            let Some(heir) = heir.take() else { return };
            let mut batch = b.next_batch(heir).unwrap().unwrap();
            assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
            batch.transaction().batch_execute("INSERT INTO sink VALUES (1, 'b')").unwrap();
            heirs = Some(batch);
            if heir_finishes_first {
                heirs.take().unwrap().finish().unwrap();
            }
        });
        assert!(lost.as_ref().err().unwrap().is_transient());
        assert_error!(lost, Error::BatchLost { queue, consumer, .. } if queue == "q" && consumer == "m.a", "",
            ["\"m.a\"", "rolled back"]);
        if let Some(batch) = heirs {
            batch.finish()?;
        }
        assert_eq!(
            bed.db.value::<String>("SELECT string_agg(id || worker, ',') FROM sink"),
            "1b",
            "{coop:?}"
        );
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);
        let mut batch = a.next_batch(&mut zombie)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [4]);
        batch.finish()?;
        assert!(b.next_batch(&mut bed.db)?.is_none());
    }
    Ok(())
}

fn from_a_zombie_that_finishes_late<D: Driver>() -> crate::Result {
    zombie::<D>(|a, db, sleep| {
        let mut batch = a.next_batch(db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1, 2, 3]);
        batch.transaction().batch_execute("INSERT INTO sink VALUES (1, 'a')")?;
        sleep();
        batch.finish()
    })
}

fn from_a_zombie_with_its_batch_loaded<D: Driver>() -> crate::Result {
    zombie::<D>(|a, db, sleep| {
        let batch = a.next_loaded(db)?.unwrap();
        sleep();
        batch.finish(db)
    })
}

fn from_a_zombie_in_next_events<D: Driver>() -> crate::Result {
    zombie::<D>(|a, db, sleep| {
        let mut events = a.next_events(db);
        while events.next_event()?.is_some() {
            sleep();
        }
        Ok(())
    })
}

fn from_a_zombie_with_retries<D: Driver>() -> crate::Result {
    for count in [1, 3] {
        zombie::<D>(|a, db, sleep| {
            let mut batch = a.next_loaded(db)?.unwrap();
            for event in batch.take_events().iter().take(count) {
                batch.retry(event, Duration::ZERO);
            }
            sleep();
            batch.finish(db)
        })?;
    }
    Ok(())
}

/// The batch returns to its first owner, who finishes it: once as what it opened first, which is not what it has now.
fn back_and_forth<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) =
            (bed.member("a").dead_interval(Duration::ZERO), bed.member("b").dead_interval(Duration::ZERO));
        bed.produce([1]);
        let loaded = a.next_loaded(&mut bed.db)?.unwrap();
        let stolen = b.next_loaded(&mut bed.db)?.unwrap();
        let again = a.next_loaded(&mut bed.db)?.unwrap();
        assert_error!(stolen.finish(&mut bed.db), Error::BatchLost { .. }, "", ["m.b"]);
        match coop {
            Coop::NewId => {
                assert_error!(loaded.finish(&mut bed.db), Error::BatchLost { .. }, "", ["m.a"]);
            }
            Coop::SameId => assert_eq!(loaded.info().id, again.info().id),
        }
        again.finish(&mut bed.db)?;
    }
    Ok(())
}

fn not_while_a_finish_is_uncommitted<D: Driver>() -> crate::Result {
    for (coop, commits) in Coop::BOTH.into_iter().flat_map(|coop| [(coop, true), (coop, false)]) {
        let mut bed = Bed::<D>::cooperative(coop)?;
        bed.member("a");
        let b = bed.member("b").dead_interval(Duration::ZERO);
        bed.produce([1]);
        let open = bed.db.call(coop::next("q", "m", "a"))?.unwrap();
        let (mut worker, conninfo) = (bed.connect(), bed.database.conninfo());
        let mut transaction = worker.transaction()?;
        transaction.batch_execute("INSERT INTO sink VALUES (1, 'a')")?;
        assert_eq!(transaction.call(coop::finish_fenced("q", "m", "a", open))?, Finish::Done);
        thread::scope(|scope| -> crate::Result {
            let heir = scope.spawn(|| -> pgq_core::Result<_> {
                let mut db = D::Client::connect(conninfo)?;
                let Some(mut batch) = b.next_batch(&mut db)? else { return Ok(false) };
                batch.transaction().batch_execute("INSERT INTO sink VALUES (1, 'b')")?;
                batch.finish_unread()?;
                Ok(true)
            });
            wait_for_waiters::<D>(&mut bed.db, 1);
            match commits {
                true => transaction.commit()?,
                false => transaction.rollback()?,
            }
            assert_eq!(heir.join().unwrap()?, !commits);
            Ok(())
        })?;
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 1);
    }
    Ok(())
}

/// Asking for the batch that one has shows that one is alive.
fn not_from_one_that_polls<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(DEAD));
        bed.produce([1]);
        let id = a.next_batch(&mut bed.db)?.unwrap().info().id;
        for _ in 0..4 {
            bed.age("a", DEAD / 2);
            assert!(b.next_batch(&mut bed.db)?.is_none());
            assert_eq!(a.next_batch(&mut bed.db)?.unwrap().info().id, id);
        }
    }
    Ok(())
}

/// Idle members are unregistered by others and come back; nobody notices.
fn not_from_an_idle_one<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(DEAD));
        for _ in 0..4 {
            bed.age("a", DEAD);
            assert!(b.next_batch(&mut bed.db)?.is_none());
            assert_eq!(a.info(&mut bed.db)?, None);
            assert!(a.next_batch(&mut bed.db)?.is_none());
        }
        bed.produce([1]);
        bed.produce([2]);
        let mut other = bed.connect();
        let mut one = a.next_batch(&mut bed.db)?.unwrap();
        let mut two = b.next_batch(&mut other)?.unwrap();
        assert_eq!((read::<D>(&mut one), read::<D>(&mut two)), (vec![1], vec![2]));
        one.finish()?;
        two.finish()?;
    }
    Ok(())
}

/// The session of a member is killed after ever more steps; another one goes on where it was.
fn after_a_kill_at_any_step<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let b = bed.member("b").dead_interval(Duration::ZERO);
        for steps in 0..8 {
            bed.produce(steps * 10..steps * 10 + 4);
            let mut victim = bed.connect();
            let died = work_until::<D>(&mut victim, &mut bed.db, steps).err();
            assert_eq!(died.is_none(), steps > 5, "{steps}: {died:?}");
            assert!(died.is_none_or(|error| error.is_connection()));
            let mut events = b.next_events(&mut bed.db);
            let rest: pgq_core::Result<Vec<_>> = std::iter::from_fn(|| events.next()).collect();
            drop(events);
            for event in rest? {
                bed.db.batch_execute(&format!("INSERT INTO sink VALUES ({}, 'b')", event.id))?;
            }
        }
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 32);
        assert_eq!(bed.db.value::<i64>("SELECT count(DISTINCT id) FROM sink"), 32);
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink WHERE worker = 'a'"), 8);
    }
    Ok(())
}

fn work_until<D: Driver>(db: &mut D::Client, killer: &mut D::Client, steps: u32) -> pgq_core::Result<()> {
    let pid = db.value("SELECT pg_backend_pid()");
    let a = D::SubConsumer::new("q", "m", "a");
    let mut step = 0;
    let mut last = || {
        step += 1;
        if step > steps {
            terminate::<D>(killer, pid);
        }
    };
    last();
    let mut batch = a.next_batch(db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        last();
        batch.transaction().batch_execute(&format!("INSERT INTO sink VALUES ({}, 'a')", event.id))?;
    }
    last();
    batch.finish()
}
