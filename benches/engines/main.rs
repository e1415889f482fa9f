//! Does the same work by turns on the portable engine, on the C extension, and on the SQL-only build of PgQ, and prints how fast each
//! was, and the ratios of each round.
//!
//! Run it with `benches/engines/run`. One server, five rounds. The extension is left out where the server has none, and so is the
//! SQL-only build unless `PGQ_SQL_ONLY` names its script.
#![allow(clippy::unwrap_used, reason = "a bench fails by a panic")]

mod bed;
mod jobs;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;

use crate::bed::Kind;
use crate::jobs::JOBS;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Things done in a second, by job and engine, in the order of the rounds.
type Speeds = BTreeMap<(&'static str, Kind), Vec<f64>>;

fn main() -> Result {
    // Cargo says `--bench` to a bench that is to measure, as criterion takes it.
    let has = |wanted: &str| env::args().any(|argument| argument == wanted);
    let (scale, rounds) = if has("--bench") && !has("--test") { (100, 5) } else { (1, 1) };
    let mut beds = bed::all()?;
    let mut speeds = Speeds::new();
    for _ in 0..rounds {
        for job in &JOBS {
            for bed in &mut beds {
                if let Some(speed) = job.speed(bed, scale)? {
                    speeds.entry((job.name, bed.kind)).or_default().push(speed);
                }
            }
        }
    }
    print_speeds(&speeds);
    print_ratios(&speeds);
    Ok(())
}

fn print_speeds(speeds: &Speeds) {
    println!("{:58} {:>9} {:>9} {:>9}", "a second", "median", "min", "max");
    for ((name, kind), speeds) in speeds {
        let [median, min, max] = spread(speeds.clone());
        println!("{:58} {median:9.1} {min:9.1} {max:9.1}", format!("{name}, {kind}"));
    }
}

fn print_ratios(speeds: &Speeds) {
    println!();
    println!("{:58} {:>9} {:>9} {:>9}", "times as fast, round by round", "median", "min", "max");
    for job in &JOBS {
        let Some(ours) = speeds.get(&(job.name, Kind::Portable)) else { continue };
        for kind in [Kind::Extension, Kind::SqlOnly] {
            let Some(theirs) = speeds.get(&(job.name, kind)) else { continue };
            print_ratio(&format!("{}: portable / {kind}", job.name), ours, theirs);
        }
        let Some(base) = job.base else { continue };
        if let Some(theirs) = speeds.get(&(base, Kind::Portable)) {
            print_ratio(&format!("{} / {}", job.name, base), ours, theirs);
        }
    }
}

fn print_ratio(what: &str, ours: &[f64], theirs: &[f64]) {
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [median, min, max] = spread(ratios);
    println!("{what:58} {median:9.2} {min:9.2} {max:9.2}");
}

/// Median, least and greatest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values.get(values.len() / 2), values.first(), values.last()].map(|value| *value.unwrap())
}
