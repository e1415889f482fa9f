//! A mixed load, for an hour where there is time: nothing grows that has to stay as it is.

use std::env;
use std::fs;
use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::worker::{Outcome, RetryPolicy};
use pgq_sync::Queue;
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::{Engine, Process, until_within};

use crate::bed::{
    Beat, Bed, Driver, Figures, Job, Producers, QUEUE, Role, Run, Ticker, Truth, named, patient, value,
};

cases!(a_mixed_load_leaves_nothing_behind);

const DEAD_INTERVAL: Duration = Duration::from_secs(30);

/// One look at all that could grow.
#[derive(Debug)]
struct Sample {
    files: u64,
    threads: u64,
    connections: u64,
    /// In kilobytes.
    memory: u64,
    /// Of the server, in the tables of PgQ that are not emptied as a whole. Of those that are, the server's count is not to be relied on.
    dead_rows: u64,
    /// Of the server, for all tables of PgQ, in kilobytes.
    disk: u64,
}

/// What it was in the first quarter of the time, and in the last.
#[derive(Debug)]
struct Growth {
    first: u64,
    last: u64,
}

/// Producers at a steady pace, a plain worker and two members, some failures, tables that are rotated: all of one process.
fn a_mixed_load_leaves_nothing_behind(run: Run) -> crate::Result {
    let is_long = run.size(false, true);
    let time = run.size(Duration::from_secs(20), minutes() * 60);
    let rotation = run.size(Duration::from_secs(2), Duration::from_secs(60));
    let bed = Bed::new(run)?;
    let mut db = bed.connect();
    Queue::new(QUEUE).set_config(&mut db, &QueueConfig::new().rotation_period(rotation))?;
    for role in roles() {
        bed.register(&role)?;
    }
    let driver = if bed.run.driver == Driver::Sync { "sync" } else { "async" };
    let variables = [("FAULTS_CONNINFO", bed.database.conninfo()), ("FAULTS_DRIVER", driver)];
    let mut process = Process::rerun("soak::the_load", &variables)?;
    assert_eq!(process.next_line().as_deref(), Some("at work"));

    let (mut samples, begun) = (Vec::new(), Instant::now());
    let warm = time / 10;
    until_within(time * 2, "that has lasted", || {
        let due = warm + time.mul_f64(samples.len() as f64 / 200.0);
        if begun.elapsed() >= due {
            samples.push(Sample::take(process.pid(), &mut db));
        }
        samples.len() >= 180
    });
    let rotated: f64 = value(
        &mut db,
        "SELECT extract(epoch FROM clock_timestamp() - queue_switch_time)::float8 FROM pgq.queue",
        &[],
    );
    assert!(process.wait()?.success());

    let growth = |of: fn(&Sample) -> u64| Growth::of(&samples, of);
    let (files, threads) = (growth(|sample| sample.files), growth(|sample| sample.threads));
    let (connections, memory) = (growth(|sample| sample.connections), growth(|sample| sample.memory));
    let (dead_rows, disk) = (growth(|sample| sample.dead_rows), growth(|sample| sample.disk));
    let (plain, group) = (bed.truth("plain"), bed.truth("grouped"));
    Figures::of(&bed.run)
        .truth("plain", &plain)
        .truth("group", &group)
        .add("seconds", time.as_secs())
        .add("open files", &files)
        .add("threads", &threads)
        .add("connections", &connections)
        .add("KB of memory", &memory)
        .add("dead rows", &dead_rows)
        .add("KB of disk", &disk)
        .add("seconds since the last rotation", format!("{rotated:.1}"))
        .print();
    plain.assert_exactly_once();
    group.assert_exactly_once();
    // One that was just being made, or was just gone.
    files.assert_at_most(2);
    threads.assert_at_most(2);
    connections.assert_at_most(2);
    assert!(rotated <= patient(rotation * 2 + Duration::from_secs(15)).as_secs_f64(), "{rotated}");
    if is_long {
        memory.assert_at_most(8 * 1024);
        dead_rows.assert_at_most(dead_rows.first.max(10_000));
        disk.assert_at_most(disk.first.max(8 * 1024));
    }
    Ok(())
}

/// Not a test, but the process that works until its standard input ends; then it goes on until all is handled.
#[test]
fn the_load() {
    if !Process::is_rerun() {
        return;
    }
    let conninfo = env::var("FAULTS_CONNINFO").unwrap();
    let driver = if env::var("FAULTS_DRIVER").unwrap() == "sync" { Driver::Sync } else { Driver::Async };
    let mut db = Client::connect(&conninfo, NoTls).unwrap();
    let run = Run { scenario: "the_load", driver, engine: Engine::Portable, seed: 32 };
    let beat = Beat { maintenance: Duration::from_secs(1), ..Beat::default() };
    let _tickers = [(); 2].map(|()| Ticker::with(driver, &named(&conninfo, "ticker"), beat));
    let retries = RetryPolicy::new().pauses(Duration::from_secs(1), Duration::from_secs(1));
    let workers = roles().map(|role| {
        let job = Job::new(driver, &conninfo, role).options(|options| options.retries(retries.clone()));
        job.heard.forget();
        job.decide(|event| match event.retry == 0 && event.id.0 % 50 == 0 {
            true => Err("fails at first".into()),
            false => Ok(Outcome::Done),
        })
        .start()
    });
    let producers = Producers::steady(&run, &named(&conninfo, "producer"), 4, Duration::from_millis(80));
    until_within(Duration::from_secs(60), "all work", || {
        value(&mut db, "SELECT EXISTS (SELECT FROM sink_plain) AND EXISTS (SELECT FROM sink_grouped)", &[])
    });
    Process::tell("at work");
    let _ = stdin().read_to_end(&mut Vec::new());
    producers.end();
    until_within(Duration::from_secs(45), "all is handled", || {
        ["plain", "grouped"].iter().all(|consumer| Truth::of(&mut db, consumer).lost == 0)
    });
    for worker in workers {
        worker.stop().unwrap();
    }
}

impl Sample {
    fn take(process: u32, db: &mut Client) -> Self {
        const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
        const DEAD_ROWS: &str = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables \
             WHERE schemaname LIKE 'pgq%' AND relname NOT LIKE 'event\\_%'";
        const DISK: &str = "SELECT coalesce(sum(pg_total_relation_size(relid)) / 1024, 0)::bigint FROM pg_stat_user_tables WHERE schemaname LIKE 'pgq%'";
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            files: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count() as u64,
            threads: field("Threads:"),
            connections: value::<i64>(db, CONNECTIONS, &[]).unsigned_abs(),
            memory: field("VmRSS:"),
            dead_rows: value::<i64>(db, DEAD_ROWS, &[]).unsigned_abs(),
            disk: value::<i64>(db, DISK, &[]).unsigned_abs(),
        }
    }
}

impl Growth {
    fn of(samples: &[Sample], of: fn(&Sample) -> u64) -> Self {
        let quarter = samples.len() / 4;
        let median = |samples: &[Sample]| {
            let mut values: Vec<_> = samples.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self { first: median(&samples[..quarter]), last: median(&samples[samples.len() - quarter..]) }
    }

    #[track_caller]
    fn assert_at_most(&self, growth: u64) {
        assert!(self.last <= self.first + growth, "{self:?} exceeds {growth}");
    }
}

impl std::fmt::Display for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.first, self.last)
    }
}

fn roles() -> [Role; 3] {
    let member = |name| Role::member("grouped", name, DEAD_INTERVAL);
    [Role::consumer_of("plain"), member("one"), member("two")]
}

/// How long the full load lasts.
fn minutes() -> Duration {
    let minutes = env::var("PGQ_TEST_SOAK_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    Duration::from_secs(minutes.unwrap_or(60))
}
