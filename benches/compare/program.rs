use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use crate::Result;

/// The programs of a round, in their order.
pub(crate) const PROGRAMS: [Program; 6] = [
    Program::Python { walker: "BaseBatchWalker", fetch_size: "300" },
    Program::Python { walker: "RetriableBatchWalker", fetch_size: "300" },
    Program::Python { walker: "RetriableBatchWalker", fetch_size: "1000" },
    Program::Ours("sync"),
    Program::Ours("async, one thread"),
    Program::Ours("async, two threads"),
];

/// A program that reads the batch.
pub(crate) enum Program {
    /// python3-pgq, whose default `fetch_size` is 300. Its `Consumer` uses the `RetriableBatchWalker`.
    Python { walker: &'static str, fetch_size: &'static str },
    /// This program itself, with one of the drivers, on a runtime of so many threads.
    Ours(&'static str),
}

/// What a program says about itself.
pub(crate) struct Reading {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    pub(crate) peak_kib: u64,
}

impl Program {
    pub(crate) fn run(&self, conninfo: &str) -> Result<Reading> {
        let output = self.command(conninfo)?.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{self}: {}", output.status).into());
        }
        Reading::parse(&String::from_utf8(output.stdout)?)
    }

    fn command(&self, conninfo: &str) -> io::Result<Command> {
        let mut command;
        match self {
            Self::Python { walker, fetch_size } => {
                command = Command::new(PYTHON);
                command.args([WALK, conninfo, walker, fetch_size]);
            }
            Self::Ours(driver) => {
                command = Command::new(env::current_exe()?);
                command.args(["read", driver, conninfo]);
            }
        }
        Ok(command)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python { walker, fetch_size } => f.pad(&format!("{walker}({fetch_size})")),
            Self::Ours(driver) => f.pad(&format!("pgq {driver}")),
        }
    }
}

impl Reading {
    fn parse(line: &str) -> Result<Self> {
        let [events, bytes, nanoseconds, peak_kib] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("not four numbers: {line:?}").into());
        };
        Ok(Self {
            events: events.parse()?,
            bytes: bytes.parse()?,
            time: Duration::from_nanos(nanoseconds.parse()?),
            peak_kib: peak_kib.parse()?,
        })
    }

    pub(crate) fn speed(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }
}

/// Why python3-pgq cannot be run here, if so.
pub(crate) fn missing_python() -> Option<String> {
    match Command::new(PYTHON).args(["-c", "import pgq.consumer, psycopg2.extras"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Some(format!("python3-pgq is not installed: {}", errors.lines().last().unwrap_or_default()))
        }
        Err(error) => Some(format!("{PYTHON} does not run: {error}")),
    }
}

/// That of the system, for which the packages python3-pgq and python3-psycopg2 are.
const PYTHON: &str = "/usr/bin/python3";

const WALK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/walk.py");
