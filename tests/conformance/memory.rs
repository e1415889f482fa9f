use std::env;
use std::fs;
use std::process::Command;

use pgq_core::NewEvent;
use pgq_core::batch::ChunkSize;

use crate::bed::{Bed, tick};
use crate::driver::{Batch, Client, Consumer, Driver, NextEvents, Session};

cases!(
    two_hundred_thousand_events_by_batch,
    two_hundred_thousand_events_by_next_events,
    a_backlog_of_giants,
    one_event_of_fifty_megabytes,
    a_stream_of_new_events,
    any_chunk_size_gives_the_same_events,
);

const CONNINFO: &str = "PGQ_CONFORMANCE_CONNINFO";

/// Runs `work` on a bed that `fill` has filled, in a process of its own, in which it must not add more than `limit` MB to the peak
/// of the memory.
fn measured<D: Driver>(
    case: &str,
    limit: u64,
    fill: impl FnOnce(&mut Bed<D>) -> crate::Result,
    work: impl FnOnce(&mut D::Client, &D::Consumer) -> crate::Result,
) -> crate::Result {
    if let Ok(conninfo) = env::var(CONNINFO) {
        let mut db = D::Client::connect(&conninfo)?;
        db.query("SELECT 1")?;
        let before = peak();
        work(&mut db, &D::Consumer::new("q", "c"))?;
        let grown = peak() - before;
        assert!(grown < limit << 10, "{case} took {grown} kB");
        return Ok(());
    }
    let mut bed = Bed::<D>::new()?;
    fill(&mut bed)?;
    tick::<D>(&mut bed.db);
    let output = Command::new(env::current_exe()?)
        .args(["--exact", "--nocapture", &format!("memory::{}::{case}", crate::engine::module::<D>())])
        .env(CONNINFO, bed.database.conninfo())
        .output()?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

/// The peak of this process' resident memory, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn fill<D: Driver>(bed: &mut Bed<D>, count: u32, data: &str) -> crate::Result {
    bed.db.batch_execute(&format!(
        "INSERT INTO pgq.event_1_0 (ev_time, ev_type, ev_data) SELECT now(), 'number', {data} FROM generate_series(1, {count}) n"
    ))?;
    Ok(())
}

fn two_hundred_thousand_events_by_batch<D: Driver>() -> crate::Result {
    let fill = |bed: &mut Bed<D>| fill(bed, 200_000, "n");
    measured::<D>("two_hundred_thousand_events_by_batch", 30, fill, |db, consumer| {
        let mut batch = consumer.next_batch(db)?.unwrap();
        let mut expected = 0;
        while let Some(event) = batch.next_event()? {
            expected += 1;
            assert_eq!(crate::bed::number(&event), expected);
        }
        assert_eq!(expected, 200_000);
        Ok(batch.finish()?)
    })
}

fn two_hundred_thousand_events_by_next_events<D: Driver>() -> crate::Result {
    let fill = |bed: &mut Bed<D>| fill(bed, 200_000, "n");
    measured::<D>("two_hundred_thousand_events_by_next_events", 30, fill, |db, consumer| {
        let consumer = consumer.clone().chunk(ChunkSize { events: 5_000, ..ChunkSize::default() });
        let mut events = consumer.next_events(db);
        let mut expected = 0;
        while let Some(event) = events.next() {
            expected += 1;
            assert_eq!(crate::bed::number(&event?), expected);
        }
        assert_eq!(expected, 200_000);
        Ok(())
    })
}

/// 400 MB. The first chunk may go over the budget, because nothing is known of the sizes then.
fn a_backlog_of_giants<D: Driver>() -> crate::Result {
    let fill = |bed: &mut Bed<D>| fill(bed, 100, "repeat('x', 4000000)");
    measured::<D>("a_backlog_of_giants", 180, fill, |db, consumer| {
        let mut batch = consumer.next_batch(db)?.unwrap();
        let mut events = 0;
        while let Some(event) = batch.next_event()? {
            assert_eq!(event.size(), 4_000_006);
            events += 1;
        }
        assert_eq!(events, 100);
        Ok(batch.finish()?)
    })
}

fn one_event_of_fifty_megabytes<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let data: String = ('a'..='z').cycle().take(50 << 20).collect();
    bed.db.insert("q", &NewEvent::new("t", data.as_str()).extra1("x"))?;
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    assert!(event.data.as_deref() == Some(data.as_str()) && event.extra1.as_deref() == Some("x"));
    assert_eq!(batch.next_event()?, None);
    Ok(batch.finish()?)
}

/// 200 MB go out, but never more than a chunk of them is here.
fn a_stream_of_new_events<D: Driver>() -> crate::Result {
    measured::<D>(
        "a_stream_of_new_events",
        30,
        |_| Ok(()),
        |db, _| {
            let events = (0..20_000)
                .map(|number| NewEvent::new("number", number.to_string()).extra1("x".repeat(10_000)));
            assert_eq!(db.insert_events("q", events)?, 20_000);
            Ok(())
        },
    )
}

fn any_chunk_size_gives_the_same_events<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    fill(&mut bed, 2_000, "n")?;
    tick::<D>(&mut bed.db);
    for (events, bytes) in
        [(0, 0), (1, 8 << 20), (7, 8 << 20), (1_000, 8 << 20), (5_000, 8 << 20), (5_000, 100)]
    {
        let consumer = bed.consumer().chunk(ChunkSize { events, bytes });
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        assert!(crate::bed::read::<D>(&mut batch).into_iter().eq(1..=2_000), "{events} {bytes}");
        drop(batch);
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        let read = batch.events(usize::MAX).into_iter().map(|event| crate::bed::number(&event.unwrap()));
        assert!(read.eq(1..=2_000), "{events} {bytes}");
    }
    Ok(())
}
