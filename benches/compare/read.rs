use std::fs;
use std::time::{Duration, Instant};

use pgq::aio::futures::TryStreamExt;
use pgq::aio::tokio_postgres;
use pgq::sync::postgres::{Client, NoTls};
use pgq::{Event, aio, sync};
use tokio::runtime::Builder;

use crate::Result;

/// Reads the batch and prints what a `Reading` is parsed from.
pub(crate) fn run(driver: &str, conninfo: &str) -> Result {
    let (events, bytes, time) = match driver {
        "sync" => read_sync(conninfo)?,
        "async, one thread" => {
            Builder::new_current_thread().enable_all().build()?.block_on(read_async(conninfo))?
        }
        "async, two threads" => {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(read_async(conninfo))?
        }
        _ => return Err(format!("no driver {driver:?}").into()),
    };
    println!("{events} {bytes} {} {}", time.as_nanos(), peak_kib()?);
    Ok(())
}

fn read_sync(conninfo: &str) -> Result<(u64, usize, Duration)> {
    let mut db = Client::connect(conninfo, NoTls)?;
    let start = Instant::now();
    let mut batch = sync::Consumer::new("q", "c").next_batch(&mut db)?.ok_or("no batch")?;
    let (mut events, mut bytes) = (0, 0);
    while let Some(event) = batch.next_event()? {
        events += 1;
        bytes += weigh(&event);
    }
    Ok((events, bytes, start.elapsed()))
}

async fn read_async(conninfo: &str) -> Result<(u64, usize, Duration)> {
    let (mut db, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
    tokio::spawn(connection);
    let start = Instant::now();
    let mut batch = aio::Consumer::new("q", "c").next_batch(&mut db).await?.ok_or("no batch")?;
    let (mut events, mut bytes) = (0, 0);
    let mut stream = batch.events();
    while let Some(event) = stream.try_next().await? {
        events += 1;
        bytes += weigh(&event);
    }
    Ok((events, bytes, start.elapsed()))
}

fn weigh(event: &Event) -> usize {
    [&event.event_type, &event.data].into_iter().flatten().map(String::len).sum()
}

fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
