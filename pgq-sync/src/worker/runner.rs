use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::fault_point::Point;
use pgq_core::worker::{Action, Failure, Journal, Wakeup, Worked, WorkerStats, listen, prepare, ticks};
use pgq_core::{Call, Error, Result, consumer};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;

use super::desk::Desk;
use super::work::Work;
use crate::ClientExt;

/// Carries out what the [`Routine`](pgq_core::worker::Routine) decides.
pub(super) struct Runner {
    desk: Desk,
    work: Work,
    client: Option<Client>,
}

impl Runner {
    /// How long a wait for notifications may be deaf to a stop.
    const SLICE: Duration = Duration::from_millis(100);

    pub(super) fn new(desk: Desk, work: Work) -> Self {
        Self { desk, work, client: None }
    }

    /// Runs until the end.
    pub(super) fn run(mut self) -> Result<()> {
        loop {
            if self.desk.watch.is_stopping() {
                self.desk.routine.stop();
            }
            match self.desk.routine.next(Instant::now()) {
                Action::Connect => self.connect(),
                Action::Disconnect => self.disconnect(),
                Action::Prepare => {
                    let reply = self.call(prepare());
                    self.desk.routine.prepared(reply, Instant::now());
                }
                Action::Register => {
                    let reader = self.desk.reader.clone();
                    let reply = self.call(consumer::register(reader.queue(), reader.name()));
                    self.desk.routine.registered(reply.map(drop), Instant::now());
                }
                Action::Claim => {
                    let reader = self.desk.reader.clone();
                    let reply = self.call(reader.claim());
                    self.desk.routine.claimed(reply, Instant::now());
                }
                Action::Listen => {
                    let reply = self.call(listen());
                    self.desk.routine.listening(reply, Instant::now());
                }
                Action::Ask => self.work(),
                Action::Look => {
                    let reader = self.desk.reader.clone();
                    let reply = self.call(ticks(reader.queue()));
                    self.desk.routine.looked(reply, Instant::now());
                }
                Action::Wait(time) => self.wait(time),
                Action::End(end) => return end,
            }
        }
    }

    fn connect(&mut self) {
        match self.try_connect() {
            Ok(client) => {
                self.client = Some(client);
                self.desk.routine.connected();
            }
            Err(error) => self.desk.routine.lost(&error, Instant::now()),
        }
    }

    fn try_connect(&self) -> Result<Client> {
        let client = self.desk.connect()?;
        self.desk.reach(Point::AfterConnect)?;
        Ok(client)
    }

    fn disconnect(&mut self) {
        self.desk.watch.connected(None);
        self.client = None;
    }

    fn call<T>(&mut self, call: Call<'_, T>) -> Result<T> {
        let Some(client) = &mut self.client else { return Err(no_connection()) };
        self.desk.watch.asking();
        let reply = client.call(call);
        self.desk.watch.idle();
        reply
    }

    fn work(&mut self) {
        let worked = match &mut self.client {
            Some(client) => {
                self.desk.watch.asking();
                let worked = self.work.work(client, &mut self.desk);
                self.desk.watch.idle();
                worked
            }
            None => Worked::Not { batch: None, because: no_connection().into() },
        };
        self.desk.routine.worked(worked, Instant::now());
        self.hear(Duration::ZERO);
    }

    fn wait(&mut self, time: Duration) {
        if self.client.is_none() || self.desk.options.wakeup == Wakeup::Poll {
            return self.desk.watch.wait(time);
        }
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.desk.watch.is_stopping() || self.hear(left.min(Self::SLICE)) {
                return;
            }
        }
    }

    /// Waits for a notification or the end of the connection, and tells whether one of them came.
    fn hear(&mut self, time: Duration) -> bool {
        let Some(client) = &mut self.client else { return false };
        let mut heard = false;
        let mut notifications = client.notifications();
        let mut next = match time {
            Duration::ZERO => notifications.iter().next(),
            time => notifications.timeout_iter(time).next(),
        };
        while let Ok(Some(notification)) = &next {
            self.desk.routine.notified(notification.payload());
            heard = true;
            next = notifications.iter().next();
        }
        drop(notifications);
        let lost = match next {
            // Whoever asks next finds out.
            _ if time.is_zero() => return heard,
            Err(error) => error.into(),
            Ok(_) if client.is_closed() => no_connection(),
            Ok(_) => return heard,
        };
        self.desk.routine.lost(&lost, Instant::now());
        true
    }
}

/// The thread that looks after a runner is there.
pub(super) struct Watched(());

impl Runner {
    pub(super) fn journal(&self) -> Journal {
        self.desk.journal.clone()
    }

    /// Starts the thread that looks after it. It ends with the run.
    pub(super) fn watched(&self) -> io::Result<Watched> {
        let Desk { options, journal, watch, dial, .. } = &self.desk;
        let (options, journal, watch, dial) =
            (options.clone(), journal.clone(), Arc::clone(watch), dial.clone());
        let look_on = move || watch.look_on(&options, &dial, &journal);
        thread::Builder::new().name("pgq-worker-watch".to_owned()).spawn(look_on)?;
        Ok(Watched(()))
    }
}

impl Watched {
    pub(super) fn run(self, runner: Runner) -> Result<WorkerStats> {
        let journal = runner.journal();
        let watch = Arc::clone(&runner.desk.watch);
        let ran = panic::catch_unwind(AssertUnwindSafe(|| runner.run()));
        watch.ended();
        let ran = ran.unwrap_or_else(|payload| Err(ended(&*payload)));
        journal.ended(ran.as_ref().err().map(|error| format!("{error:?}")));
        ran.map(|()| journal.stats())
    }
}

/// The error of a worker that panicked.
pub(super) fn ended(payload: &(dyn Any + Send)) -> Error {
    let problem = Failure::panic(payload).text();
    Error::WorkerEnded { problem }
}

/// The server closed the connection and said nothing.
fn no_connection() -> Error {
    Error::NoAnswerInTime { waited: Duration::ZERO }
}
