use std::thread;

use pgq_core::ext::{self, Recorded};
use pgq_core::{BatchId, EmptyBatches, Error, EventId, Filter, TickId};

use crate::bed::{Bed, number, terminate, wait_for_waiters};
use crate::driver::{Batch, Client, Consumer, Driver, ExactlyOnce, LoadedBatch, Session, Transaction};

cases!(
    every_call,
    a_crash_between_the_commits,
    a_crash_before_the_first_commit,
    a_gap,
    a_repetition,
    the_first_batch,
    empty_batches_between,
    empty_batches_passed,
    two_movers_at_once,
    a_mover_that_wakes_up_late,
    records_do_not_mix,
    not_installed,
    under_repeated_kills,
);

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Tick,
    Batch,
    Event,
}

impl By {
    const ALL: [Self; 3] = [Self::Tick, Self::Batch, Self::Event];
}

/// The queue, and another database with a table `sink (id)`.
struct Two<D: Driver> {
    bed: Bed<D>,
    other: Bed<D>,
}

impl<D: Driver> Two<D> {
    fn new() -> crate::Result<Self> {
        let (bed, mut other) = (Bed::new()?, Bed::<D>::on(crate::engine::database()?)?);
        other.db.batch_execute("CREATE TABLE sink (id bigint)")?;
        Ok(Self { bed, other })
    }

    fn sink(&mut self) -> String {
        self.other.db.value("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM sink")
    }
}

fn write<D: Driver>(transaction: &mut D::Transaction<'_>, event: &pgq_core::Event) -> pgq_core::Result<()> {
    Ok(transaction.batch_execute(&format!("INSERT INTO sink VALUES ({})", number(event)))?)
}

/// Applies one batch to the other database, without finishing it. Calls `step` after each thing it does.
fn apply<D: Driver>(
    by: By,
    target: &mut D::Client,
    batch: &D::LoadedBatch,
    mut step: impl FnMut(),
) -> pgq_core::Result<()> {
    let once = D::ExactlyOnce::new("shop: q");
    if by == By::Event {
        for event in batch.events() {
            if let Some(mut transaction) = once.by_event(target, batch.info(), event)? {
                step();
                write::<D>(&mut transaction, event)?;
                step();
                transaction.commit()?;
            }
        }
        return Ok(());
    }
    let begun = match by {
        By::Tick => once.by_tick(target, batch.info())?,
        _ => once.by_batch(target, batch.info())?,
    };
    if let Some(mut transaction) = begun {
        step();
        for event in batch.events() {
            write::<D>(&mut transaction, event)?;
            step();
        }
        transaction.commit()?;
    }
    Ok(())
}

fn every_call<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let db = &mut two.other.db;
    let (batch, event, tick) = (BatchId(7), EventId(8), TickId(9));
    assert!(!db.call(ext::is_batch_done("a", "", batch))?);
    assert_eq!(db.call(ext::set_batch_done("a", "", batch))?, Recorded::Now);
    assert_eq!(db.call(ext::set_batch_done("a", "", batch))?, Recorded::Before);
    assert!(db.call(ext::is_batch_done("a", "", batch))? && !db.call(ext::is_batch_done("a", "b", batch))?);
    assert!(!db.call(ext::is_event_done("a", "", batch, event))?);
    assert_eq!(db.call(ext::set_event_done("a", "", batch, event))?, Recorded::Now);
    assert_eq!(db.call(ext::set_event_done("a", "", batch, event))?, Recorded::Before);
    assert!(db.call(ext::is_event_done("a", "", batch, event))?);
    assert_eq!(db.call(ext::set_event_done("a", "", BatchId(8), event))?, Recorded::Now);
    assert!(!db.call(ext::is_event_done("a", "", batch, event))?);
    assert_eq!(db.call(ext::last_tick("a", ""))?, None);
    db.call(ext::set_last_tick("a", "", Some(tick)))?;
    assert_eq!(db.call(ext::last_tick("a", ""))?, Some(tick));
    db.call(ext::set_last_tick("a", "", None))?;
    assert_eq!(db.call(ext::last_tick("a", ""))?, None);
    db.call(ext::lock("a", ""))?;
    assert_eq!(db.call(ext::version())?, "3.1");
    assert_eq!(db.call(ext::upgrade_schema())?, 0);
    Ok(())
}

fn a_crash_between_the_commits<D: Driver>() -> crate::Result {
    for by in By::ALL {
        let mut two = Two::<D>::new()?;
        let consumer = two.bed.consumer();
        for (numbers, expected) in [(1..=2, "1,2"), (3..=4, "1,2,3,4")] {
            two.bed.produce(numbers);
            for _ in 0..3 {
                let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
                apply::<D>(by, &mut two.other.db, &batch, || {})?;
                assert_eq!(two.sink(), expected, "{by:?}");
            }
            let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
            batch.finish(&mut two.bed.db)?;
        }
        assert!(consumer.next_batch(&mut two.bed.db)?.is_none());
    }
    Ok(())
}

/// The batch is streamed, as by most users, and the transaction of the target dropped at first.
fn a_crash_before_the_first_commit<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let (consumer, once) = (two.bed.consumer(), D::ExactlyOnce::new("shop: q"));
    two.bed.produce(1..=3);
    for (attempt, expected) in [(0, ""), (1, "1,2,3")] {
        let mut batch = consumer.next_batch(&mut two.bed.db)?.unwrap();
        let mut target = once.by_tick(&mut two.other.db, batch.info())?.unwrap();
        while let Some(event) = batch.next_event()? {
            write::<D>(&mut target, &event)?;
        }
        match attempt {
            0 => drop(target),
            _ => target.commit()?,
        }
        drop(batch);
        assert_eq!(two.sink(), expected);
    }
    let batch = consumer.next_batch(&mut two.bed.db)?.unwrap();
    assert!(once.by_tick(&mut two.other.db, batch.info())?.is_none());
    batch.finish_unread()?;
    Ok(())
}

/// The target was restored to an earlier state: it would miss a batch.
fn a_gap<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let consumer = two.bed.consumer();
    let mut ticks = Vec::new();
    for numbers in [1..=2, 3..=4, 5..=6] {
        two.bed.produce(numbers);
        let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
        ticks.push((batch.info().prev_tick, batch.info().tick));
        if ticks.len() != 2 {
            let applied = apply::<D>(By::Tick, &mut two.other.db, &batch, || {});
            if ticks.len() == 3 {
                let (at, (begin, end)) = (ticks[0].1, ticks[2]);
                assert_error!(applied, Error::PositionGap { consumer, applied, begin: b, end: e, .. }
                    if consumer == "shop: q" && (*applied, *b, *e) == (at, begin, end), "",
                    ["lost position", "\"shop: q\"", &format!("up to tick {at}"), &format!("tick {begin}"), &format!("tick {end}"),
                    "register_at", "set_last_tick"]);
            }
        }
        batch.finish(&mut two.bed.db)?;
    }
    assert_eq!(two.sink(), "1,2");
    // The way out that the error names.
    consumer.register_at(&mut two.bed.db, ticks[0].1)?;
    while let Some(batch) = consumer.next_loaded(&mut two.bed.db)? {
        apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
        batch.finish(&mut two.bed.db)?;
    }
    assert_eq!(two.sink(), "1,2,3,4,5,6");
    Ok(())
}

/// The queue was restored to an earlier state, or its consumer moved back: the target has the batch already.
fn a_repetition<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let consumer = two.bed.consumer();
    let start = consumer.info(&mut two.bed.db)?.unwrap().last_tick.unwrap();
    for numbers in [1..=2, 3..=4, 5..=6] {
        two.bed.produce(numbers);
        let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
        apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
        batch.finish(&mut two.bed.db)?;
    }
    consumer.register_at(&mut two.bed.db, start)?;
    let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
    let refused = apply::<D>(By::Tick, &mut two.other.db, &batch, || {});
    assert!(!refused.as_ref().unwrap_err().is_transient());
    assert_error!(refused, Error::PositionGap { begin, .. } if *begin == start, "",
        ["lost position", "goes on behind", "applied again"]);
    assert_eq!(two.sink(), "1,2,3,4,5,6");
    Ok(())
}

fn the_first_batch<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    two.bed.produce([1]);
    assert_eq!(two.bed.drain(), [1]);
    two.bed.produce([2]);
    let batch = two.bed.consumer().next_loaded(&mut two.bed.db)?.unwrap();
    apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
    assert_eq!(two.other.db.call(ext::last_tick("shop: q", ""))?, Some(batch.info().tick));
    assert_eq!(two.sink(), "2");
    Ok(())
}

/// Ticks of an idle queue, and batches of which the filter leaves nothing. Some crash between the two commits.
fn empty_batches_between<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let consumer =
        two.bed.consumer().empty_batches(EmptyBatches::HandOver).filter(Filter::new().types(["number"]));
    let mut sizes = Vec::new();
    for number in 1..=3 {
        two.bed.produce([number]);
        two.bed.produce([]);
        two.bed.db.insert_event("q", "other", "0")?;
        two.bed.produce([]);
        while let Some(mut batch) = consumer.next_loaded(&mut two.bed.db)? {
            let crashes = (sizes.len() + number as usize) % 2 == 0;
            sizes.push(batch.events().len());
            apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
            if crashes {
                batch = consumer.next_loaded(&mut two.bed.connect())?.unwrap();
                let again = D::ExactlyOnce::new("shop: q").by_tick(&mut two.other.db, batch.info())?;
                assert!(again.is_none());
            }
            batch.finish(&mut two.bed.db)?;
        }
    }
    assert_eq!(sizes, [1, 0, 0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(two.sink(), "1,2,3");
    Ok(())
}

/// Without that, the tick of the batch that was passed is missing: the error says so, and no event is lost on the way out.
fn empty_batches_passed<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let mut consumer = two.bed.consumer();
    two.bed.produce([1]);
    let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
    apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
    let applied = batch.info().tick;
    batch.finish(&mut two.bed.db)?;
    two.bed.produce([]);
    assert!(consumer.next_batch(&mut two.bed.db)?.is_none());
    two.bed.produce([2]);
    let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
    assert_error!(
        apply::<D>(By::Tick, &mut two.other.db, &batch, || {}),
        Error::PositionGap { .. },
        "",
        ["empty batches", "EmptyBatches::HandOver", "delivers again", "skips"]
    );
    consumer = consumer.empty_batches(EmptyBatches::HandOver);
    consumer.register_at(&mut two.bed.db, applied)?;
    while let Some(batch) = consumer.next_loaded(&mut two.bed.db)? {
        apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
        batch.finish(&mut two.bed.db)?;
    }
    assert_eq!(two.sink(), "1,2");
    Ok(())
}

/// Two processes have the same batch. The second waits for the first, and skips what that has committed.
fn two_movers_at_once<D: Driver>() -> crate::Result {
    for (by, commits) in By::ALL.into_iter().flat_map(|by| [(by, true), (by, false)]) {
        // Once as first batch ever, and once as a further one.
        let mut two = Two::<D>::new()?;
        let consumer = two.bed.consumer();
        for number in 1..=2 {
            two.bed.produce([number]);
            let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
            let (once, conninfo) = (D::ExactlyOnce::new("shop: q"), two.other.database.conninfo());
            let mut db = two.other.connect();
            let event = &batch.events()[0];
            let mut first = match by {
                By::Tick => once.by_tick(&mut db, batch.info())?,
                By::Batch => once.by_batch(&mut db, batch.info())?,
                By::Event => once.by_event(&mut db, batch.info(), event)?,
            }
            .unwrap();
            write::<D>(&mut first, event)?;
            let source = two.bed.database.conninfo();
            thread::scope(|scope| -> crate::Result {
                let second = scope.spawn(move || {
                    let mut other = D::Client::connect(source).unwrap();
                    let batch = D::Consumer::new("q", "c").next_loaded(&mut other).unwrap().unwrap();
                    apply::<D>(by, &mut D::Client::connect(conninfo).unwrap(), &batch, || {})
                });
                wait_for_waiters::<D>(&mut two.other.db, 1);
                match commits {
                    true => first.commit()?,
                    false => first.rollback()?,
                }
                Ok(second.join().unwrap()?)
            })?;
            assert_eq!(
                two.other.db.value::<i64>(&format!("SELECT count(*) FROM sink WHERE id = {number}")),
                1,
                "{by:?}"
            );
            batch.finish(&mut two.bed.db)?;
        }
    }
    Ok(())
}

/// By its ticks, an old batch is known however many came after it.
fn a_mover_that_wakes_up_late<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    let consumer = two.bed.consumer();
    two.bed.produce([1]);
    let late = consumer.next_loaded(&mut two.bed.connect())?.unwrap();
    for number in 1..=3 {
        let batch = consumer.next_loaded(&mut two.bed.db)?.unwrap();
        apply::<D>(By::Tick, &mut two.other.db, &batch, || {})?;
        batch.finish(&mut two.bed.db)?;
        two.bed.produce([number + 1]);
    }
    assert_error!(
        apply::<D>(By::Tick, &mut two.other.db, &late, || {}),
        Error::PositionGap { .. },
        "",
        ["lost position"]
    );
    assert_error!(late.finish(&mut two.bed.db), Error::BatchLost { .. }, "", ["\"c\""]);
    assert_eq!(two.sink(), "1,2,3");
    Ok(())
}

fn records_do_not_mix<D: Driver>() -> crate::Result {
    let mut two = Two::<D>::new()?;
    two.bed.produce([1]);
    let batch = two.bed.consumer().next_loaded(&mut two.bed.db)?.unwrap();
    for (consumer, subconsumer) in [("a", ""), ("a", "b"), ("ab", ""), ("", "ab"), ("b", "a")] {
        let once = D::ExactlyOnce::new(consumer).subconsumer(subconsumer);
        let (mut db, mut other) = (two.other.connect(), two.other.connect());
        let begun = once.by_tick(&mut db, batch.info())?.unwrap();
        drop(begun);
        once.by_tick(&mut other, batch.info())?.unwrap().commit()?;
        assert!(once.by_tick(&mut db, batch.info())?.is_none());
        once.by_event(&mut db, batch.info(), &batch.events()[0])?.unwrap().commit()?;
        once.by_batch(&mut db, batch.info())?.unwrap().commit()?;
        assert!(once.by_batch(&mut db, batch.info())?.is_none());
    }
    Ok(())
}

fn not_installed<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("DROP SCHEMA pgq_ext CASCADE")?;
    bed.produce([1]);
    let batch = bed.consumer().next_loaded(&mut bed.db)?.unwrap();
    let once = D::ExactlyOnce::new("x");
    for result in [
        once.by_tick(&mut bed.connect(), batch.info()).map(drop),
        once.by_batch(&mut bed.connect(), batch.info()).map(drop),
        once.by_event(&mut bed.connect(), batch.info(), &batch.events()[0]).map(drop),
        bed.db.call(ext::version()).map(drop),
    ] {
        assert_error!(
            result,
            Error::NotInstalled { .. },
            "3F000",
            ["pgq_ext", "Installer::install", "written to"]
        );
    }
    Ok(())
}

/// The sessions of both databases are killed after ever more steps.
fn under_repeated_kills<D: Driver>() -> crate::Result {
    for by in By::ALL {
        let mut two = Two::<D>::new()?;
        for first in [1, 5, 9] {
            two.bed.produce(first..first + 4);
        }
        let (mut attempts, mut steps) = (0, (0..14).cycle());
        loop {
            attempts += 1;
            match mover(by, &mut two, steps.next().unwrap(), attempts % 2 == 0) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => assert!(error.is_connection(), "{error:?}"),
            }
        }
        assert!(attempts > 5, "{attempts}");
        assert_eq!(two.sink(), "1,2,3,4,5,6,7,8,9,10,11,12", "{by:?}");
    }
    Ok(())
}

fn mover<D: Driver>(by: By, two: &mut Two<D>, steps: u32, kills_target: bool) -> pgq_core::Result<bool> {
    let (mut source, mut target) = (two.bed.connect(), two.other.connect());
    let pid = if kills_target {
        target.value("SELECT pg_backend_pid()")
    } else {
        source.value("SELECT pg_backend_pid()")
    };
    let killer = &mut two.bed.db;
    let mut step = 0;
    let mut last = || {
        step += 1;
        if step == steps + 1 {
            terminate::<D>(killer, pid);
        }
    };
    let Some(batch) = D::Consumer::new("q", "c").next_loaded(&mut source)? else { return Ok(false) };
    last();
    apply::<D>(by, &mut target, &batch, &mut last)?;
    last();
    batch.finish(&mut source)?;
    Ok(true)
}
