//! A worker in a process of its own, which can be stopped where it stands, or killed.

use std::env;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::fault_point::{Action, Hook, Point};
use pgq_core::worker::{Notice, Outcome};
use pgq_testkit::Process;

use super::{Driver, Job, Role};

/// What the process is told.
pub(crate) struct Child<'a> {
    pub(crate) driver: Driver,
    pub(crate) conninfo: &'a str,
    pub(crate) role: &'a Role,
    /// Where it waits, at the first time, until the file `go` is there; it tells `at the point` before.
    pub(crate) point: Option<Point>,
    pub(crate) go: &'a Path,
    /// Which part of the events its handler wants to have again, after the write.
    pub(crate) retries: Retries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retries {
    None,
    Third,
}

/// What a process tells of its batches.
pub(crate) const AT_THE_POINT: &str = "at the point";
pub(crate) const FINISHED: &str = "finished";
pub(crate) const LOST: &str = "lost";
pub(crate) const ROLLED_BACK: &str = "rolled back";

impl Child<'_> {
    pub(crate) fn start(&self) -> crate::Result<Process> {
        let driver = if self.driver == Driver::Sync { "sync" } else { "async" };
        let (main, name, dead) = match self.role {
            Role::Consumer(name) => (String::new(), name.clone(), 0),
            Role::Member { main, name, dead_interval } => {
                (main.clone(), name.clone(), dead_interval.unwrap_or_default().as_millis())
            }
        };
        let point = self.point.map(|point| point.to_string()).unwrap_or_default();
        let retries = if self.retries == Retries::Third { "third" } else { "" };
        let variables = [
            ("FAULTS_DRIVER", driver),
            ("FAULTS_CONNINFO", self.conninfo),
            ("FAULTS_MAIN", &main),
            ("FAULTS_NAME", &name),
            ("FAULTS_DEAD", &dead.to_string()),
            ("FAULTS_POINT", &point),
            ("FAULTS_GO", self.go.to_str().unwrap()),
            ("FAULTS_RETRIES", retries),
        ];
        Ok(Process::rerun("bed::child::the_worker", &variables)?)
    }
}

/// Not a test, but the worker of [`Child`]. It ends when its standard input does.
#[test]
fn the_worker() {
    if !Process::is_rerun() {
        return;
    }
    let variable = |name: &str| env::var(name).unwrap();
    let driver = if variable("FAULTS_DRIVER") == "sync" { Driver::Sync } else { Driver::Async };
    let name = variable("FAULTS_NAME");
    let role = match (variable("FAULTS_MAIN"), variable("FAULTS_DEAD").parse().unwrap()) {
        (main, _) if main.is_empty() => Role::consumer_of(&name),
        (main, 0) => Role::Member { main, name, dead_interval: None },
        (main, dead) => Role::member(&main, &name, Duration::from_millis(dead)),
    };
    let mut job = Job::new(driver, &variable("FAULTS_CONNINFO"), role);
    if variable("FAULTS_RETRIES") == "third" {
        job = job.decide(|event| match event.id.0 % 3 {
            0 => Ok(Outcome::Retry(Duration::ZERO)),
            _ => Ok(Outcome::Done),
        });
    }
    if let Ok(point) = Point::from_str(&variable("FAULTS_POINT")) {
        job = job.hook(wait_at(point, variable("FAULTS_GO")));
    }
    job.heard.tell(|notice| {
        let told = match notice {
            Notice::Finished { .. } => FINISHED,
            Notice::Lost { .. } => LOST,
            Notice::RolledBack { .. } => ROLLED_BACK,
            _ => return,
        };
        Process::tell(told);
    });
    let worker = job.start();
    let _ = io::stdin().read_to_end(&mut Vec::new());
    worker.stop().unwrap();
}

fn wait_at(point: Point, go: String) -> Hook {
    let waited = AtomicBool::new(false);
    Hook::new(move |reached| {
        if reached == point && !waited.swap(true, Ordering::SeqCst) {
            Process::tell(AT_THE_POINT);
            let start = Instant::now();
            while !Path::new(&go).exists() && start.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Action::Go
    })
}
