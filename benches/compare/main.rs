//! Reads the same batch by turns with python3-pgq and with this SDK, and prints how fast they were and how much memory they took.
//!
//! Run it with `benches/compare/run`. One server, one batch of 500,000 events of 100 bytes, five rounds; in each, every program opens
//! the batch (`next_batch`, committed), reads type and data of all events, and leaves it unfinished, so that the next one gets it
//! again. They time that themselves, without their start and the connection. Skipped where python3-pgq is not installed.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

mod program;
mod read;

use std::env;
use std::error::Error;

use pgq::sync::postgres::{Client, NoTls};
use pgq::sync::{ClientExt, Consumer, Queue};
use pgq::{NewEvent, tick};
use pgq_testkit::Server;

use crate::program::{PROGRAMS, Program, Reading};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let ["read", driver, conninfo] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return read::run(driver, conninfo);
    }
    if let Some(reason) = program::missing_python() {
        println!("compare: skipped, for {reason}");
        return Ok(());
    }
    // Cargo says `--bench` to a bench that is to measure, as criterion takes it.
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let (events, rounds) = if has("--bench") && !has("--test") { (500_000, 5) } else { (1_000, 1) };
    compare(events, rounds)
}

fn compare(events: u32, rounds: u32) -> Result {
    let database = Server::shared()?.database()?;
    fill(&mut Client::connect(database.conninfo(), NoTls)?, events)?;
    // The first to read a table pays for its hint bits.
    PROGRAMS.last().unwrap().run(database.conninfo())?;

    let mut readings: Vec<Vec<Reading>> = PROGRAMS.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (program, readings) in PROGRAMS.iter().zip(&mut readings) {
            let reading = program.run(database.conninfo())?;
            let expected = u64::from(events) * (TYPE.len() + DATA.len()) as u64;
            assert_eq!((reading.events, reading.bytes), (events.into(), expected), "{program}");
            readings.push(reading);
        }
    }
    println!("A batch of {events} events of {} bytes, {rounds} rounds", DATA.len());
    print_speeds(&readings);
    print_ratios(&readings);
    Ok(())
}

fn fill(db: &mut Client, events: u32) -> Result {
    let queue = Queue::new("q");
    queue.create(db)?;
    Consumer::new("q", "c").register(db)?;
    let mut transaction = db.transaction()?;
    queue.copy_events(&mut transaction, (0..events).map(|_| NewEvent::new(TYPE, DATA)))?;
    transaction.commit()?;
    db.call(tick::force("q"))?;
    db.call(tick::queue("q"))?;
    // Nothing is left for autovacuum to do in between.
    Ok(db.batch_execute("VACUUM (ANALYZE)")?)
}

fn print_speeds(readings: &[Vec<Reading>]) {
    println!();
    println!("{:44} {:>9} {:>9} {:>9} {:>9}", "events/s", "median", "min", "max", "peak RSS");
    for (program, readings) in PROGRAMS.iter().zip(readings) {
        let [median, min, max] = spread(readings.iter().map(Reading::speed).collect());
        let peak = readings.iter().map(|reading| reading.peak_kib).max().unwrap();
        println!("{program:44} {median:9.0} {min:9.0} {max:9.0} {:5.1} MiB", peak as f64 / 1024.0);
    }
}

fn print_ratios(readings: &[Vec<Reading>]) {
    println!();
    println!("{:44} {:>9} {:>9} {:>9}", "times as fast, round by round", "median", "min", "max");
    let is_ours = |pair: &(&Program, &Vec<Reading>)| matches!(pair.0, Program::Ours(_));
    let (ours, theirs): (Vec<_>, Vec<_>) = PROGRAMS.iter().zip(readings).partition(is_ours);
    for (program, readings) in ours {
        for (other, others) in &theirs {
            let ratios = readings.iter().zip(*others).map(|(reading, other)| reading.speed() / other.speed());
            let [median, min, max] = spread(ratios.collect());
            println!("{:44} {median:9.2} {min:9.2} {max:9.2}", format!("{program} / {other}"));
        }
    }
}

/// Median, least and greatest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values.get(values.len() / 2), values.first(), values.last()].map(|value| *value.unwrap())
}

const TYPE: &str = "reading";

/// 100 bytes.
const DATA: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
