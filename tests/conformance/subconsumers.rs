use std::sync::Barrier;
use std::time::Duration;

use pgq_core::batch::{ChunkSize, Finish};
use pgq_core::coop::{self, IfBusy};
use pgq_core::{Created, Error, Filter, NewEvent, NextBatch, Pace, batch};

use crate::bed::{Bed, Coop, number, read, tick};
use crate::driver::{
    Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session, SubConsumer, Transaction,
};
use crate::privileges::Login;

cases!(
    each_batch_goes_to_one,
    every_way_to_read,
    every_call,
    siblings_do_not_wait,
    empty_batches_are_finished,
    retries_come_to_the_group,
    a_batch_that_is_dropped_comes_again,
    first_registrations_at_once,
    a_dot_in_a_name,
    a_name_that_is_taken,
    the_main_consumer_is_busy,
    not_installed,
    no_privilege,
    unregistering_an_idle_one,
    a_busy_one_is_not_unregistered,
    giving_back,
    giving_back_what_was_finished_just_now,
);

/// What each member has open or stands on: nothing, unless it works.
fn members<D: Driver>(bed: &mut Bed<D>) -> String {
    bed.db.value(
        "SELECT coalesce(string_agg(co_name || CASE WHEN sub_batch IS NOT NULL THEN ' works' \
         WHEN sub_last_tick IS NOT NULL OR sub_next_tick IS NOT NULL THEN ' broken' ELSE '' END, ', ' ORDER BY co_name), '') \
         FROM pgq.subscription JOIN pgq.consumer ON co_id = sub_consumer WHERE co_name LIKE 'm.%'",
    )
}

fn each_batch_goes_to_one<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b"));
        assert_eq!(a.register(&mut bed.db)?, Created::Existed);
        let (mut first, mut second) = (bed.connect(), bed.connect());
        for numbers in [1..=3, 4..=6, 7..=9] {
            bed.produce(numbers);
        }
        let mut one = a.next_batch(&mut first)?.unwrap();
        let mut two = b.next_batch(&mut second)?.unwrap();
        assert_ne!(one.info().id, two.info().id);
        assert_eq!(one.info().tick, two.info().prev_tick);
        check_info(&mut bed, one.info(), "m.a");
        check_info(&mut bed, two.info(), "m.b");
        assert_eq!((read::<D>(&mut one), read::<D>(&mut two)), (vec![1, 2, 3], vec![4, 5, 6]));
        one.finish()?;
        assert_eq!(members(&mut bed), "m.a, m.b works");
        let mut three = a.next_batch(&mut first)?.unwrap();
        assert_eq!(read::<D>(&mut three), [7, 8, 9]);
        two.finish()?;
        three.finish()?;
        assert_eq!(members(&mut bed), "m.a, m.b");
        assert!(a.next_batch(&mut first)?.is_none() && b.next_batch(&mut second)?.is_none());
        // A plain consumer's position is its own.
        assert!(bed.drain().into_iter().eq(1..=9));
    }
    Ok(())
}

/// Compares with what PgQ's tables have.
fn check_info<D: Driver>(bed: &mut Bed<D>, batch: &NextBatch, consumer: &str) {
    let info = bed.db.call(batch::info(batch.id)).unwrap().unwrap();
    assert_eq!((info.queue.as_str(), info.consumer.as_str()), ("q", consumer));
    assert_eq!(
        (batch.prev_tick, batch.prev_tick_time, batch.prev_tick_event_seq),
        (info.prev_tick, info.start, info.seq_start)
    );
    assert_eq!((batch.tick, batch.tick_time, batch.tick_event_seq), (info.tick, info.end, info.seq_end));
}

fn every_way_to_read<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a").chunk(ChunkSize { events: 2, ..ChunkSize::default() });
        for first in [1, 11, 21] {
            bed.produce(first..first + 10);
        }
        let mut loaded = a.next_loaded(&mut bed.db)?.unwrap();
        let events = loaded.take_events();
        assert!(events.iter().map(number).eq(1..=10));
        loaded.finish(&mut bed.connect())?;
        let mut events = a.next_events(&mut bed.db);
        for expected in 11..=30 {
            assert_eq!(number(&events.next().unwrap()?), expected);
        }
        assert!(events.next().is_none());
        drop(events);
        assert_eq!(members(&mut bed), "m.a");

        bed.db.insert_events("q", [NewEvent::new("other", "31"), NewEvent::new("number", "32")])?;
        tick::<D>(&mut bed.db);
        let patient = a.clone().pace(Pace { min_count: Some(100_000), ..Pace::default() });
        assert!(patient.next_batch(&mut bed.db)?.is_none());
        let picky = a.filter(Filter::new().types(["number"]));
        let mut batch = picky.next_batch(&mut bed.db)?.unwrap();
        assert!(batch.events(9).into_iter().map(|event| number(&event.unwrap())).eq([32]));
        batch.finish()?;
    }
    Ok(())
}

fn every_call<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        assert_eq!(bed.db.call(coop::register("q", "m", "a"))?, Created::New);
        assert_eq!(bed.db.call(coop::next("q", "m", "a"))?, None);
        bed.produce([1]);
        let open = bed.db.call(coop::next("q", "m", "a"))?.unwrap();
        assert_eq!(bed.db.call(coop::next("q", "m", "a"))?, Some(open));
        assert_eq!(bed.db.call(coop::next_or_take_over("q", "m", "a", Duration::ZERO))?, Some(open));
        assert_eq!(bed.db.call(coop::next_or_take_over("q", "m", "b", Duration::from_secs(60)))?, None);
        assert!(bed.db.call(coop::beat("q", "m", "a", open, Duration::from_secs(5)))?);
        assert!(!bed.db.call(coop::beat("q", "m", "b", open, Duration::from_secs(5)))?);
        assert_eq!(bed.db.call(coop::finish_fenced("q", "m", "b", open))?, Finish::NotOpen);
        assert_eq!(bed.db.call(coop::finish_fenced("q", "m", "a", open))?, Finish::Done);
        assert_eq!(bed.db.call(coop::finish(open))?, Finish::NotOpen);
        bed.produce([2]);
        let open = bed.db.call(coop::next("q", "m", "a"))?.unwrap();
        assert_eq!(bed.db.call(coop::finish(open))?, Finish::Done);
        assert_eq!(bed.db.call(coop::unregister("q", "m", "a"))?, 1);
        let expected = match coop {
            Coop::NewId => Some("3.4"),
            Coop::SameId => None,
        };
        assert_eq!(bed.db.call(coop::version())?.as_deref(), expected);
    }
    Ok(())
}

/// Opens and finishes batches while another member works, having written, in an open transaction.
fn siblings_do_not_wait<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(Duration::from_secs(60)));
        for number in 1..=4 {
            bed.produce([number]);
        }
        let mut db = bed.connect();
        let mut slow = a.next_batch(&mut db)?.unwrap();
        assert_eq!(read::<D>(&mut slow), [1]);
        slow.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
        bed.db.batch_execute("SET lock_timeout = '500ms'")?;
        let mut numbers = Vec::new();
        while let Some(mut batch) = b.next_batch(&mut bed.db)? {
            numbers.extend(read::<D>(&mut batch));
            batch.transaction().batch_execute("INSERT INTO sink VALUES (2)")?;
            batch.finish()?;
        }
        assert_eq!(numbers, [2, 3, 4]);
        slow.finish()?;
    }
    Ok(())
}

fn empty_batches_are_finished<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a");
        bed.produce([]);
        bed.produce([]);
        assert!(a.next_batch(&mut bed.db)?.is_none());
        bed.produce([]);
        bed.produce([1]);
        bed.produce([]);
        let mut batch = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1]);
        batch.finish()?;
        assert!(a.next_events(&mut bed.db).next().is_none());
        assert_eq!(members(&mut bed), "m.a");
    }
    Ok(())
}

fn retries_come_to_the_group<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b"));
        for count in [1, 3] {
            bed.produce(1..=3);
            let mut batch = a.next_batch(&mut bed.db)?.unwrap();
            for event in batch.events(9).into_iter().take(count) {
                batch.retry(&event?, Duration::ZERO);
            }
            batch.finish()?;
            bed.db.call(pgq_core::maintenance::retry_events(1))?;
            tick::<D>(&mut bed.db);
            let mut batch = b.next_batch(&mut bed.db)?.unwrap();
            let events: pgq_core::Result<Vec<_>> = batch.events(9).into_iter().collect();
            assert!(
                events?
                    .iter()
                    .map(|event| (number(event), event.retry))
                    .eq((1..=count as u32).map(|n| (n, 1)))
            );
            batch.finish()?;
        }
    }
    Ok(())
}

fn a_batch_that_is_dropped_comes_again<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b").dead_interval(Duration::from_secs(60)));
        bed.produce([1]);
        let id = a.next_batch(&mut bed.db)?.unwrap().info().id;
        assert!(b.next_batch(&mut bed.db)?.is_none());
        let mut batch = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!((batch.info().id, read::<D>(&mut batch)), (id, vec![1]));
        batch.finish()?;
    }
    Ok(())
}

/// Nobody has registered the group or a member before they ask for a batch.
fn first_registrations_at_once<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let bed = Bed::<D>::cooperative(coop)?;
        let (barrier, conninfo) = (&Barrier::new(8), bed.database.conninfo());
        for group in ["one", "two", "three"] {
            std::thread::scope(|scope| {
                let members: Vec<_> = (0..8)
                    .map(|number| {
                        scope.spawn(move || {
                            let mut db = D::Client::connect(conninfo).unwrap();
                            let member = D::SubConsumer::new("q", group, &number.to_string());
                            barrier.wait();
                            match number % 2 {
                                0 => assert!(member.next_batch(&mut db).unwrap().is_none()),
                                _ => assert_eq!(member.register(&mut db).unwrap(), Created::New),
                            }
                        })
                    })
                    .collect();
                members.into_iter().for_each(|member| member.join().unwrap());
            });
        }
    }
    Ok(())
}

fn a_dot_in_a_name<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::SameId)?;
    for (main, name) in [("m.x", "a"), ("m", "a.x"), (".", ""), ("", ".")] {
        let member = D::SubConsumer::new("q", main, name);
        for result in [
            member.register(&mut bed.db).map(drop),
            member.unregister(&mut bed.db, IfBusy::Refuse).map(drop),
            member.unregister(&mut bed.db, IfBusy::GiveBack).map(drop),
            member.next_batch(&mut bed.db).map(drop),
            member.next_loaded(&mut bed.db).map(drop),
            member.next_events(&mut bed.db).next().unwrap().map(drop),
        ] {
            assert_error!(result, Error::InvalidValue { .. }, "", ["dot", "consumer"]);
        }
    }
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.consumer"), 1);
    Ok(())
}

fn a_name_that_is_taken<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let plain = D::Consumer::new("q", "m.a");
        plain.register(&mut bed.db)?;
        let before = plain.info(&mut bed.db)?.unwrap().last_tick;
        let member = D::SubConsumer::new("q", "m", "a");
        for _ in 0..2 {
            for result in [member.register(&mut bed.db).map(drop), member.next_batch(&mut bed.db).map(drop)] {
                assert_error!(result, Error::NotInGroup { queue, consumer, main, .. }
                    if queue == "q" && consumer == "m.a" && main == "m", "", ["\"m.a\"", "another name"]);
            }
            assert_eq!(plain.info(&mut bed.db)?.unwrap().last_tick, before);
            // And where the group is there.
            bed.member("b");
        }
        // What the server itself says.
        if let Coop::NewId = coop {
            assert_error!(bed.db.call(coop::next("q", "m", "a")), Error::NotInGroup { main, .. } if main == "m", "55000", ["\"m.a\""]);
        }
        bed.produce([1]);
        assert_eq!(crate::bed::drain::<D>(&mut bed.db, &plain), [1]);
    }
    Ok(())
}

fn the_main_consumer_is_busy<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a");
        bed.produce([1]);
        let open = bed.db.call(batch::next("q", "m"))?.unwrap();
        assert_error!(a.next_batch(&mut bed.db), Error::MainConsumerBusy { queue, consumer, .. } if queue == "q" && consumer == "m",
            "P0001", ["\"m\"", "\"q\""]);
        let _ = bed.db.call(batch::finish(open))?;
        assert!(a.next_batch(&mut bed.db)?.is_none());
    }
    Ok(())
}

fn not_installed<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("DROP SCHEMA pgq_coop CASCADE")?;
    let member = D::SubConsumer::new("q", "m", "a");
    for (result, state) in [
        (member.register(&mut bed.db).map(drop), "3F000"),
        (member.next_batch(&mut bed.db).map(drop), "3F000"),
        (member.unregister(&mut bed.db, IfBusy::GiveBack).map(drop), "3F000"),
        (bed.db.call(coop::version()).map(drop), "3F000"),
    ] {
        assert_error!(result, Error::NotInstalled { .. }, state, ["pgq_coop", "Installer::install"]);
    }
    let missing = D::SubConsumer::new("none", "m", "a");
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    assert_error!(missing.next_batch(&mut bed.db), Error::QueueNotFound { queue, .. } if queue == "none", "P0001", ["none"]);
    assert_error!(missing.register(&mut bed.db), Error::QueueNotFound { .. }, "P0001", ["none"]);
    Ok(())
}

fn no_privilege<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let (nobody, reader) = (Login::new(&bed.database, ""), Login::new(&bed.database, "pgq_reader"));
    let a = D::SubConsumer::new("q", "m", "a");
    let mut db = D::Client::connect(&bed.database.conninfo_as(nobody.name()))?;
    assert_error!(a.next_batch(&mut db), Error::MissingPrivilege { .. }, "42501", ["pgq_coop", "pgq_reader"]);
    drop(db);
    let mut db = D::Client::connect(&bed.database.conninfo_as(reader.name()))?;
    a.register(&mut db)?;
    bed.produce([1, 2]);
    let mut batch = a.next_batch(&mut db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.retry(&event, Duration::ZERO);
    assert_eq!(read::<D>(&mut batch), [2]);
    batch.finish()?;
    bed.produce([3]);
    drop(a.next_batch(&mut db)?.unwrap());
    assert_eq!(a.unregister(&mut db, IfBusy::GiveBack)?, 1);
    drop(db);
    drop(bed);
    Ok(())
}

fn unregistering_an_idle_one<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b"));
        assert_eq!(a.info(&mut bed.db)?.unwrap().name, "m.a");
        for if_busy in [IfBusy::Refuse, IfBusy::GiveBack] {
            a.register(&mut bed.db)?;
            assert_eq!(a.unregister(&mut bed.db, if_busy)?, 1);
            assert_eq!(a.unregister(&mut bed.db, if_busy)?, 0);
            assert_eq!(D::SubConsumer::new("q", "none", "a").unregister(&mut bed.db, if_busy)?, 0);
        }
        assert_eq!(a.info(&mut bed.db)?, None);
        assert_eq!(members(&mut bed), "m.b");
        bed.produce([1]);
        let mut batch = b.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1]);
        batch.finish()?;
        assert_eq!(D::Consumer::new("q", "m").unregister(&mut bed.db)?, 2);
    }
    Ok(())
}

fn a_busy_one_is_not_unregistered<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a");
        bed.produce([1]);
        drop(a.next_batch(&mut bed.db)?.unwrap());
        assert_error!(a.unregister(&mut bed.db, IfBusy::Refuse), Error::SubConsumerBusy { queue, consumer, .. }
            if queue == "q" && consumer == "m.a", "P0001", ["\"m.a\"", "\"q\"", "GiveBack"]);
        let mut batch = a.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), [1]);
        batch.finish()?;
    }
    Ok(())
}

fn giving_back<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (a, b) = (bed.member("a"), bed.member("b"));
        bed.produce(1..=3);
        bed.produce([4]);
        let mut victim = bed.connect();
        let mut zombie = a.next_batch(&mut victim)?.unwrap();
        assert_eq!(read::<D>(&mut zombie), [1, 2, 3]);
        zombie.transaction().batch_execute("INSERT INTO sink VALUES (1)")?;
        assert_eq!(a.unregister(&mut bed.db, IfBusy::GiveBack)?, 1);
        assert_error!(zombie.finish(), Error::BatchLost { .. }, "", ["\"m.a\""]);
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM sink"), 0);
        assert_eq!(members(&mut bed), "m.b");
        bed.db.call(pgq_core::maintenance::retry_events(1))?;
        tick::<D>(&mut bed.db);
        let mut events = Vec::new();
        while let Some(mut batch) = b.next_batch(&mut bed.db)? {
            for event in batch.events(9) {
                let event = event?;
                events.push((number(&event), event.retry));
            }
            batch.finish()?;
        }
        events.sort_unstable();
        assert_eq!(events, [(1, 1), (2, 1), (3, 1), (4, 0)]);
    }
    Ok(())
}

/// The worker finishes while it is being unregistered: either its work stays or its events come again, never both.
fn giving_back_what_was_finished_just_now<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let a = bed.member("a");
        bed.produce(1..=3);
        let open = bed.db.call(coop::next("q", "m", "a"))?.unwrap();
        let mut worker = bed.connect();
        let mut transaction = worker.transaction()?;
        assert_eq!(transaction.call(coop::finish_fenced("q", "m", "a", open))?, Finish::Done);
        let conninfo = bed.database.conninfo();
        let given_back = std::thread::scope(|scope| -> crate::Result<_> {
            let second =
                scope.spawn(|| a.unregister(&mut D::Client::connect(conninfo).unwrap(), IfBusy::GiveBack));
            crate::bed::wait_for_waiters::<D>(&mut bed.db, 1);
            transaction.commit()?;
            Ok(second.join().unwrap())
        })?;
        assert_error!(given_back, Error::BatchLost { .. }, "", ["\"m.a\""]);
        assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), 0);
        assert_eq!(a.unregister(&mut bed.db, IfBusy::GiveBack)?, 1);
    }
    Ok(())
}
