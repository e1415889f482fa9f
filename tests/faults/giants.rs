//! Events that are much larger than others.

use std::env;
use std::fs;
use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use pgq_testkit::Process;

use crate::bed::{Driver, Figures, Job, QUEUE, Role, Run, patient};
use crate::stage::Stage;

cases!(giants_take_the_memory_of_a_few);

/// So many in a batch, and small ones in the next; in a process whose memory nobody else takes.
fn giants_take_the_memory_of_a_few(run: Run) -> crate::Result {
    const GIANTS: i32 = 12;
    let megabytes = run.size(20_i32, 80);
    let mut stage = Stage::new(run, Role::consumer_of("plain"))?;
    let driver = if stage.bed.run.driver == Driver::Sync { "sync" } else { "async" };
    let variables = [("FAULTS_CONNINFO", stage.bed.database.conninfo()), ("FAULTS_DRIVER", driver)];
    let mut process = Process::rerun("giants::the_worker", &variables)?;
    assert_eq!(process.next_line().as_deref(), Some("at work"));
    stage.produce();
    stage.wait("small ones");
    let before = most_memory(process.pid())?;

    let insert = format!(
        "WITH events AS (SELECT pgq.insert_event('{QUEUE}', 'number', '99:' || seq, repeat('x', $2::int << 20), NULL, NULL, NULL), seq \
         FROM generate_series(1, $1::int) seq) INSERT INTO sent SELECT 99, seq FROM events"
    );
    stage.db.execute(&insert, &[&GIANTS, &megabytes])?;
    stage.cut();
    let start = Instant::now();
    stage.produce();
    stage.wait("giants, and small ones after them");
    let took = start.elapsed();
    let grown = most_memory(process.pid())? - before;
    assert!(process.wait()?.success());
    let truth = stage.bed.truth("plain");
    Figures::of(&stage.bed.run)
        .truth("consumer", &truth)
        .add("giants", GIANTS)
        .add("MB of each", megabytes)
        .add("MB of memory for them", grown)
        .add("the next batch after", format!("{took:.2?}"))
        .print();
    truth.assert_exactly_once();
    // The first chunk has four events, whatever their size: as they came, and as they are handed out.
    let most = 8 * u64::try_from(megabytes)? + 64;
    assert!(grown <= most, "{grown} MB, and not {most}");
    assert!(took <= patient(Duration::from_secs(30)), "{took:?}");
    Ok(())
}

/// Not a test, but the process with the worker, until its standard input ends.
#[test]
fn the_worker() {
    if !Process::is_rerun() {
        return;
    }
    let driver = if env::var("FAULTS_DRIVER").unwrap() == "sync" { Driver::Sync } else { Driver::Async };
    let worker = Job::new(driver, &env::var("FAULTS_CONNINFO").unwrap(), Role::consumer_of("plain")).start();
    Process::tell("at work");
    let _ = stdin().read_to_end(&mut Vec::new());
    worker.stop().unwrap();
}

/// The most memory that a process ever had, in megabytes.
fn most_memory(process: u32) -> crate::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = most.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024)
}
