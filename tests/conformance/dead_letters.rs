use std::time::Duration;

use pgq_core::{DeadLetter, Error, EventId, LetterId, NewLetter, Role, batch, dead_letter, maintenance};
use pgq_testkit::Server;

use crate::bed::{Bed, Coop, drain, insert, number, read, terminate, tick};
use crate::driver::{
    Batch, Client, Consumer, DeadLetters, Driver, LoadedBatch, Session, SubConsumer, Transaction,
};
use crate::engine;
use crate::privileges::Login;
use crate::retries::{opened, retried};

cases!(
    with_the_finish,
    not_when_the_batch_is_dropped,
    not_when_the_connection_is_killed,
    not_when_it_is_killed_before_the_commit,
    not_when_the_batch_is_lost,
    not_when_it_was_taken_over,
    either_retried_or_dead,
    from_a_loaded_batch,
    of_a_subconsumer,
    many_at_once,
    count_deliveries,
    replayed_to_the_consumer,
    replayed_as_new_events,
    of_what_is_gone,
    discarded,
    purged_by_age,
    without_the_schema,
    by_role,
    of_any_text,
    of_an_unreadable_time,
);

/// Reads the next batch of consumer `c`, gives up the events of these numbers and finishes it.
fn bury<D: Driver>(bed: &mut Bed<D>, numbers: &[u32]) {
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db).unwrap().unwrap();
    while let Some(event) = batch.next_event().unwrap() {
        if numbers.contains(&number(&event)) {
            batch.dead_letter(&event, "error", &format!("no {}", number(&event)));
        }
    }
    batch.finish().unwrap();
}

fn letters<D: Driver>(db: &mut D::Client) -> Vec<DeadLetter> {
    D::DeadLetters::of("q").all(db).into_iter().map(Result::unwrap).collect()
}

fn letter_ids<D: Driver>(db: &mut D::Client) -> Vec<LetterId> {
    letters::<D>(db).iter().map(|letter| letter.id).collect()
}

fn numbers<D: Driver>(db: &mut D::Client) -> Vec<u32> {
    letters::<D>(db).iter().map(|letter| number(&letter.event)).collect()
}

fn with_the_finish<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let mut second = None;
    while let Some(event) = batch.next_event()? {
        if number(&event) == 2 {
            batch.dead_letter(&event, "timeout", "took too long");
            second = Some(event);
        }
    }
    assert_eq!(batch.transaction().value::<i64>("SELECT count(*) FROM pgq_dead.letter"), 0);
    batch.finish()?;
    assert!(bed.drain().is_empty() && retried(&mut bed).is_empty());

    let found = letters::<D>(&mut bed.db);
    let [letter] = &found[..] else { panic!("{found:?}") };
    assert_eq!(Some(&letter.event), second.as_ref());
    assert_eq!((letter.id, letter.queue.as_str(), letter.consumer.as_str()), (LetterId(1), "q", "c"));
    assert_eq!((letter.subconsumer.as_deref(), letter.attempts), (None, 1));
    assert_eq!((letter.reason.as_str(), letter.error.as_deref()), ("timeout", Some("took too long")));
    assert!(letter.dead_time >= letter.event.time, "{letter:?}");

    let of_c = D::DeadLetters::of("q").consumer("c");
    assert_eq!(of_c.list(&mut bed.db, None, 9)?, found);
    assert_eq!(of_c.first(&mut bed.db)?.as_ref(), Some(letter));
    assert!(of_c.list(&mut bed.db, Some(letter.id), 9)?.is_empty());
    let others = [D::DeadLetters::of("q").consumer("d"), D::DeadLetters::of("r").consumer("c")];
    for other in &others {
        assert_eq!((other.count(&mut bed.db)?, other.first(&mut bed.db)?), (0, None));
    }
    assert_eq!(bed.db.call(dead_letter::count(None, None))?, 1);
    assert_eq!(bed.db.call(dead_letter::version())?, "1.0");
    Ok(())
}

fn not_when_the_batch_is_dropped<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.dead_letter(&event, "error", "");
    drop(batch);
    assert_eq!(bed.drain(), [1, 2]);
    assert!(letters::<D>(&mut bed.db).is_empty());
    Ok(())
}

fn not_when_the_connection_is_killed<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let mut victim = bed.connect();
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut victim)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.dead_letter(&event, "error", "");
    let pid = batch.transaction().value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    assert!(batch.finish_unread().unwrap_err().is_connection());
    assert!(letters::<D>(&mut bed.db).is_empty());
    assert_eq!(bed.drain(), [1, 2]);
    Ok(())
}

/// After the letter was written and the batch finished.
fn not_when_it_is_killed_before_the_commit<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (open, ids) = opened(&mut bed, 2);
    let mut victim = bed.connect();
    let mut transaction = victim.transaction()?;
    let dead = [NewLetter::new(ids[0], "error"), NewLetter::new(ids[1], "panic").attempts(7)];
    assert_eq!(transaction.call(dead_letter::add(open, &dead))?, 2);
    assert_eq!(transaction.call(batch::finish(open))?, batch::Finish::Done);
    let pid = transaction.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    assert!(transaction.commit().is_err());
    assert!(letters::<D>(&mut bed.db).is_empty());

    assert_eq!(bed.db.call(dead_letter::add(open, &dead))?, 2);
    let found = letters::<D>(&mut bed.db);
    assert_eq!(found.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [1, 7]);
    assert!(found.iter().all(|letter| letter.error.is_none()));
    assert_error!(
        bed.db.call(dead_letter::add(open, &[NewLetter::new(EventId(99), "error")])),
        Error::EventNotFound { batch, .. } if *batch == open,
        "P0001",
        [format!("not in batch {open}").as_str()]
    );
    assert_eq!(bed.drain(), [1, 2]);
    Ok(())
}

fn not_when_the_batch_is_lost<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    let mut other = bed.connect();
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.dead_letter(&event, "error", "");
    assert_eq!(drain::<D>(&mut other, &consumer), [1, 2]);
    assert_error!(batch.finish_unread(), Error::BatchLost { .. }, "", ["taken away"]);
    assert!(letters::<D>(&mut other).is_empty());
    Ok(())
}

fn not_when_it_was_taken_over<D: Driver>() -> crate::Result {
    for coop in Coop::BOTH {
        let mut bed = Bed::<D>::cooperative(coop)?;
        let (slow, quick) = (bed.member("slow"), bed.member("quick").dead_interval(Duration::from_secs(60)));
        bed.produce(1..=2);
        let mut db = bed.connect();
        let mut batch = slow.next_batch(&mut db)?.unwrap();
        let event = batch.next_event()?.unwrap();
        batch.dead_letter(&event, "error", "");
        bed.age("slow", Duration::from_secs(120));
        let mut taken = quick.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut taken), [1, 2]);
        assert!(matches!(batch.finish_unread(), Err(Error::BatchLost { .. })), "{coop:?}");
        taken.finish()?;
        assert!(letters::<D>(&mut bed.db).is_empty(), "{coop:?}");
    }
    Ok(())
}

fn either_retried_or_dead<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=4);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        match number(&event) {
            1 => batch.retry(&event, Duration::ZERO),
            2 => batch.dead_letter(&event, "first", ""),
            _ => {}
        }
        batch.dead_letter(&event, "error", "");
        if number(&event) % 2 == 0 {
            batch.retry(&event, Duration::ZERO);
        }
    }
    batch.finish()?;
    assert_eq!(numbers::<D>(&mut bed.db), [1, 3]);
    assert_eq!(retried(&mut bed), [(2, 1), (4, 1)]);
    Ok(())
}

fn from_a_loaded_batch<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    let mut loaded = bed.consumer().next_loaded(&mut bed.db)?.unwrap();
    for event in loaded.take_events() {
        loaded.dead_letter(&event, "error", "");
        if number(&event) == 3 {
            loaded.retry(&event, Duration::ZERO);
        }
    }
    assert!(letters::<D>(&mut bed.db).is_empty());
    loaded.finish(&mut bed.db)?;
    assert_eq!(numbers::<D>(&mut bed.db), [1, 2]);
    assert_eq!(retried(&mut bed), [(3, 1)]);
    Ok(())
}

fn of_a_subconsumer<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::cooperative(Coop::NewId)?;
    let (one, two) = (bed.member("one"), bed.member("two"));
    bed.produce(1..=2);
    let mut batch = one.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.dead_letter(&event, "error", "");
    batch.finish_unread()?;
    let found = D::DeadLetters::of("q").consumer("m").list(&mut bed.db, None, 9)?;
    let [letter] = &found[..] else { panic!("{found:?}") };
    assert_eq!((letter.consumer.as_str(), letter.subconsumer.as_deref()), ("m", Some("one")));

    assert_eq!(D::DeadLetters::of("q").replay(&mut bed.db, &[letter.id])?, 1);
    bed.db.call(maintenance::retry_events(10))?;
    tick::<D>(&mut bed.db);
    let mut batch = two.next_batch(&mut bed.db)?.unwrap();
    assert_eq!(batch.next_event()?.map(|event| (event.id, event.retry)), Some((letter.event.id, 0)));
    batch.finish()?;
    assert_eq!(bed.drain(), [1, 2]);
    Ok(())
}

/// More than one statement takes, and more than a page has.
fn many_at_once<D: Driver>() -> crate::Result {
    const COUNT: u32 = 6_001;

    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=COUNT);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.dead_letter(&event, "error", "it does not work");
    }
    batch.finish()?;
    let letters = D::DeadLetters::of("q");
    assert_eq!(letters.count(&mut bed.db)?, u64::from(COUNT));
    assert!(numbers::<D>(&mut bed.db).into_iter().eq(1..=COUNT));
    assert!(bed.drain().is_empty());
    let ids = letter_ids::<D>(&mut bed.db);
    assert_eq!(letters.replay(&mut bed.db, &ids[1..])?, u64::from(COUNT) - 1);
    assert_eq!(numbers::<D>(&mut bed.db), [1]);
    Ok(())
}

fn count_deliveries<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    for _ in 0..2 {
        let consumer = bed.consumer();
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let event = batch.next_event()?.unwrap();
        batch.retry(&event, Duration::ZERO);
        batch.finish()?;
        bed.db.call(maintenance::retry_events(1))?;
        tick::<D>(&mut bed.db);
    }
    bury(&mut bed, &[1]);
    let letter = D::DeadLetters::of("q").first(&mut bed.db)?.unwrap();
    assert_eq!((letter.attempts, letter.event.retry), (3, 2));

    // And start over.
    D::DeadLetters::of("q").replay(&mut bed.db, &[letter.id])?;
    bed.db.call(maintenance::retry_events(1))?;
    tick::<D>(&mut bed.db);
    bury(&mut bed, &[1]);
    let again = D::DeadLetters::of("q").first(&mut bed.db)?.unwrap();
    assert_eq!((again.attempts, again.event.retry), (1, 0));
    assert_eq!((again.event.id, again.event.time), (letter.event.id, letter.event.time));
    Ok(())
}

fn replayed_to_the_consumer<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let other = D::Consumer::new("q", "other");
    other.register(&mut bed.db)?;
    bed.produce(1..=3);
    bury(&mut bed, &[1, 3]);
    let ids = letter_ids::<D>(&mut bed.db);
    let letters = D::DeadLetters::of("q").consumer("c");
    assert_eq!(letters.replay(&mut bed.db, &ids)?, 2);
    assert_eq!(letters.replay(&mut bed.db, &ids)?, 0);
    assert_eq!(letters.count(&mut bed.db)?, 0);
    assert_eq!(retried(&mut bed), [(1, 0), (3, 0)]);
    assert_eq!(drain::<D>(&mut bed.db, &other), [1, 2, 3]);
    Ok(())
}

fn replayed_as_new_events<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let other = D::Consumer::new("q", "other");
    other.register(&mut bed.db)?;
    bed.produce(1..=3);
    bury(&mut bed, &[3, 1]);
    assert_eq!(drain::<D>(&mut bed.db, &other), [1, 2, 3]);
    let ids = letter_ids::<D>(&mut bed.db);
    assert_eq!(D::DeadLetters::of("q").replay_as_new(&mut bed.db, &ids)?, 2);
    insert::<D>(&mut bed.db, [4]);
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1, 3, 4]);
    assert_eq!(drain::<D>(&mut bed.db, &other), [1, 3, 4]);

    bed.produce([5]);
    bury(&mut bed, &[5]);
    let id = letter_ids::<D>(&mut bed.db);
    let mut transaction = bed.db.transaction()?;
    transaction.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
    assert_error!(
        transaction.call(dead_letter::replay_as_new(&id)),
        Error::Database { .. },
        "0A000",
        ["pgq_dead.replay_as_new"]
    );
    transaction.rollback()?;
    assert_eq!(letter_ids::<D>(&mut bed.db), id);
    Ok(())
}

fn of_what_is_gone<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    bury(&mut bed, &[1, 2]);
    let ids = letter_ids::<D>(&mut bed.db);
    let letters = D::DeadLetters::of("q");
    bed.consumer().unregister(&mut bed.db)?;
    assert_error!(
        letters.replay(&mut bed.db, &ids),
        Error::NotSubscribed { queue, consumer, .. } if queue == "q" && consumer == "c",
        "P0001",
        ["\"q\"", "\"c\""]
    );
    bed.db.drop_queue("q")?;
    assert_error!(
        letters.replay_as_new(&mut bed.db, &ids),
        Error::QueueNotFound { queue, .. } if queue == "q",
        "P0001",
        ["\"q\""]
    );
    assert_eq!(letter_ids::<D>(&mut bed.db), ids);

    // They wait for it to come back.
    bed.db.create("q")?;
    bed.consumer().register(&mut bed.db)?;
    assert_eq!(letters.replay(&mut bed.db, &ids)?, 2);
    assert_eq!(retried(&mut bed), [(1, 0), (2, 0)]);
    Ok(())
}

fn discarded<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bury(&mut bed, &[1, 2, 3]);
    let (letters, ids) = (D::DeadLetters::of("q"), letter_ids::<D>(&mut bed.db));
    assert_eq!(letters.discard(&mut bed.db, &[])?, 0);
    assert_eq!(letters.discard(&mut bed.db, &[ids[0], ids[2], LetterId(99)])?, 2);
    assert_eq!(letters.discard(&mut bed.db, &ids[..1])?, 0);
    assert_eq!(numbers::<D>(&mut bed.db), [2]);
    assert!(retried(&mut bed).is_empty());
    Ok(())
}

fn purged_by_age<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bury(&mut bed, &[1, 2, 3]);
    bed.db.batch_execute(
        "UPDATE pgq_dead.letter SET dead_time = now() - make_interval(days => letter_id::integer)",
    )?;
    let letters = D::DeadLetters::of("q");
    assert_eq!(letters.purge(&mut bed.db, Duration::MAX)?, 0);
    assert_eq!(letters.purge(&mut bed.db, Duration::from_secs(36 * 3_600))?, 2);
    assert_eq!(numbers::<D>(&mut bed.db), [1]);
    assert_eq!(D::DeadLetters::of("q").consumer("d").purge(&mut bed.db, Duration::ZERO)?, 0);
    assert_eq!(D::DeadLetters::of("q").consumer("c").purge(&mut bed.db, Duration::ZERO)?, 1);
    Ok(())
}

fn without_the_schema<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("DROP SCHEMA pgq_dead CASCADE")?;
    bed.produce(1..=2);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.dead_letter(&event, "error", "");
    assert_error!(
        batch.finish_unread(),
        Error::NotInstalled { function: "pgq_dead.add", .. },
        "3F000",
        ["pgq_dead.add", "install the schema pgq_dead", "only(Schema::ALL)"]
    );
    let letters = D::DeadLetters::of("q").all(&mut bed.db);
    assert!(
        matches!(&letters[..], [Err(Error::NotInstalled { function: "pgq_dead.list", .. })]),
        "{letters:?}"
    );
    assert!(matches!(bed.db.call(dead_letter::version()), Err(Error::NotInstalled { .. })));
    // Who buries nothing does not need it.
    assert_eq!(bed.drain(), [1, 2]);
    Ok(())
}

macro_rules! assert_refused {
    ($db:expr, $role:expr, $($function:literal => $call:expr),+ $(,)?) => {
        $(assert_error!($db.call($call), Error::MissingPrivilege { function: $function, role, .. } if *role == $role, "42501",
            [$function, $role.name(), "GRANT"]);)+
    };
}

fn by_role<D: Driver>() -> crate::Result {
    let database = engine::database()?;
    let [reader, writer, admin] =
        ["pgq_reader", "pgq_writer", "pgq_admin"].map(|role| Login::new(&database, role));
    let mut bed = Bed::<D>::on(database)?;
    bed.produce(1..=3);
    let mut db = D::Client::connect(&bed.database.conninfo_as(reader.name()))?;
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.dead_letter(&event, "error", "");
    }
    batch.finish()?;
    let ids = letter_ids::<D>(&mut db);
    assert_eq!(ids.len(), 3);
    let refuses_to_remove = |db: &mut D::Client| {
        assert_refused!(db, Role::Admin,
            "pgq_dead.replay_to_consumer" => dead_letter::replay_to_consumer(&ids),
            "pgq_dead.replay_as_new" => dead_letter::replay_as_new(&ids),
            "pgq_dead.discard" => dead_letter::discard(&ids),
            "pgq_dead.purge" => dead_letter::purge(None, None, Duration::ZERO),
        );
    };
    refuses_to_remove(&mut db);

    let mut db = D::Client::connect(&bed.database.conninfo_as(writer.name()))?;
    assert_refused!(db, Role::Reader,
        "pgq_dead.add" => dead_letter::add(batch_of_nobody(), &[NewLetter::new(EventId(1), "error")]),
        "pgq_dead.list" => dead_letter::list(None, None, None, 9),
        "pgq_dead.count" => dead_letter::count(None, None),
    );
    refuses_to_remove(&mut db);
    assert_eq!(db.call(dead_letter::version())?, "1.0");

    let mut db = D::Client::connect(&bed.database.conninfo_as(admin.name()))?;
    let letters = D::DeadLetters::of("q");
    assert_eq!(letters.replay(&mut db, &ids[..1])?, 1);
    assert_eq!(letters.replay_as_new(&mut db, &ids[1..2])?, 1);
    assert_eq!(letters.purge(&mut db, Duration::ZERO)?, 1);
    drop(db);
    assert_eq!(retried(&mut bed), [(1, 0), (2, 0)]);
    Ok(())
}

fn batch_of_nobody() -> pgq_core::BatchId {
    pgq_core::BatchId(1)
}

/// What a program says of an error must not keep the batch from being finished.
fn of_any_text<D: Driver>() -> crate::Result {
    let nasty = "a\0b\\c\n'õ' \u{1F4A9} %";
    let escaped = "a\\+00FFFDb\\\\c\n'\\+0000F5' \\+01F4A9 %";
    let server = Server::shared()?;
    for (encoding, expected) in
        [("UTF8", "a\u{FFFD}b\\c\n'õ' \u{1F4A9} %"), ("LATIN1", escaped), ("SQL_ASCII", escaped)]
    {
        let mut bed = Bed::<D>::on(engine::new_database(server).encoding(encoding).create()?)?;
        bed.produce([1]);
        let consumer = bed.consumer();
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let event = batch.next_event()?.unwrap();
        batch.dead_letter(&event, nasty, &nasty.repeat(1_000));
        batch.finish()?;
        let letter = D::DeadLetters::of("q").first(&mut bed.db)?.unwrap();
        assert_eq!(letter.reason, expected, "{encoding}");
        let error = letter.error.unwrap();
        assert!(error.starts_with(expected), "{encoding}");
        if encoding == "UTF8" {
            assert_eq!(error.chars().count(), NewLetter::MAX_ERROR);
        }
    }
    Ok(())
}

fn of_an_unreadable_time<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    bury(&mut bed, &[1, 2]);
    bed.db.batch_execute("UPDATE pgq_dead.letter SET ev_time = 'infinity' WHERE letter_id = 2")?;
    assert_error!(
        D::DeadLetters::of("q").list(&mut bed.db, Some(LetterId(1)), 1),
        Error::EventTimestamp { .. },
        "",
        ["ev_time"]
    );
    // The rest is not given after it.
    let all = D::DeadLetters::of("q").all(&mut bed.db);
    assert!(matches!(&all[..], [Err(Error::EventTimestamp { .. })]), "{all:?}");
    Ok(())
}
