use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::EventId;
use pgq_core::worker::{Failure, Journal, Notice, Outcome, WorkerOptions};

/// The threads that handlers run on which work without a transaction. One that takes too long is left to itself, and replaced.
pub(super) struct Crew {
    idle: Vec<Sender<(Ticket, Job)>>,
    running: HashMap<Ticket, Running>,
    report: Sender<(Ticket, Handled)>,
    reports: Receiver<(Ticket, Handled)>,
    started: Ticket,
}

/// Names a job.
pub(super) type Ticket = u64;
pub(super) type Job = Box<dyn FnOnce() -> Handled + Send>;
pub(super) type Handled = Result<Outcome, Failure>;

struct Running {
    event: Option<EventId>,
    since: Instant,
    told: bool,
    thread: Option<Sender<(Ticket, Job)>>,
}

impl Default for Crew {
    fn default() -> Self {
        let (report, reports) = mpsc::channel();
        Self { idle: Vec::new(), running: HashMap::new(), report, reports, started: 0 }
    }
}

impl Crew {
    /// How long a wait may be deaf to a stop, and how late a handler may be found that takes too long.
    const SLICE: Duration = Duration::from_millis(50);

    /// Has the job done on a thread; on this one where the system gives none.
    pub(super) fn start(&mut self, event: Option<EventId>, job: Job) -> Ticket {
        self.started += 1;
        let ticket = self.started;
        let mut running = Running { event, since: Instant::now(), told: false, thread: None };
        match self.idle.pop().or_else(|| recruit(self.report.clone())) {
            Some(thread) => {
                // Its thread waits for it: jobs do not panic.
                let _ = thread.send((ticket, job));
                running.thread = Some(thread);
            }
            None => drop(self.report.send((ticket, job()))),
        }
        self.running.insert(ticket, running);
        ticket
    }

    /// Waits a moment, at most until then, for a job that is done, or takes longer than it may.
    pub(super) fn next(
        &mut self,
        until: Option<Instant>,
        options: &WorkerOptions,
        journal: &Journal,
    ) -> Option<(Ticket, Handled)> {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if let Ok((ticket, handled)) = self.reports.recv_timeout(left.min(Self::SLICE)) {
            // Unless it was given up before.
            let running = self.running.remove(&ticket)?;
            self.idle.extend(running.thread);
            return Some((ticket, handled));
        }
        self.tell_stuck(options, journal);
        let limit = options.handler_limit?;
        let (&ticket, _) = self.running.iter().find(|(_, running)| running.since.elapsed() >= limit)?;
        self.running.remove(&ticket);
        Some((ticket, Err(Failure::timeout(limit))))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Leaves all jobs to themselves.
    pub(super) fn abandon(&mut self) {
        self.running.clear();
    }

    fn tell_stuck(&mut self, options: &WorkerOptions, journal: &Journal) {
        for running in self.running.values_mut() {
            let since = running.since.elapsed();
            if let (false, Some(event), true) = (running.told, running.event, since >= options.stuck_after) {
                running.told = true;
                journal.note(&Notice::Stuck { event, since });
            }
        }
    }
}

/// A thread for jobs. It ends when nobody has any for it.
fn recruit(report: Sender<(Ticket, Handled)>) -> Option<Sender<(Ticket, Job)>> {
    let (thread, jobs) = mpsc::channel::<(Ticket, Job)>();
    let run = move || {
        for (ticket, job) in jobs {
            // Fails where the worker has ended meanwhile.
            let _ = report.send((ticket, job()));
        }
    };
    thread::Builder::new().name("pgq-handler".to_owned()).spawn(run).ok()?;
    Some(thread)
}
