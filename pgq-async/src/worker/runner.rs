use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use pgq_core::fault_point::Point;
use pgq_core::worker::{
    Action, Failure, Journal, Judge, Routine, Unfinished, Worked, listen, prepare, ticks,
};
use pgq_core::{Call, Error, NextBatch, Result, consumer};
use tokio::time::{sleep, timeout};

use super::clock::now;
use super::desk::Desk;
use super::stopper::Stopping;
use super::work::Work;
use crate::connection::{Link, limited};
use crate::fault_point::reach;
use crate::{Batch, ClientExt};

/// Carries out what the [`Routine`] decides. Whatever it holds goes with its future: it starts no task.
pub(super) struct Runner {
    pub(super) routine: Routine,
    pub(super) desk: Desk,
    pub(super) judge: Judge,
    pub(super) work: Work,
    pub(super) link: Option<Link>,
    pub(super) stopping: Stopping,
    pub(super) ended: Ended,
}

/// Tells that the worker has ended, however it does.
pub(super) struct Ended {
    pub(super) journal: Journal,
    pub(super) error: Option<String>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.journal.ended(self.error.take());
    }
}

impl Runner {
    /// Runs until it is stopped, or something will not pass by itself.
    pub(super) async fn run(mut self) -> Result<()> {
        let ran = AssertUnwindSafe(self.work_off()).catch_unwind().await;
        let end = ran
            .unwrap_or_else(|payload| Err(Error::WorkerEnded { problem: Failure::panic(&*payload).text() }));
        if let Some(link) = self.link.take() {
            link.close().await;
        }
        self.ended.error = end.as_ref().err().map(|error| format!("{error:?}"));
        end
    }

    async fn work_off(&mut self) -> Result<()> {
        loop {
            match self.routine.next(now()) {
                Action::End(end) => return end,
                Action::Ask => self.ask().await,
                action => self.unless_stopped(action).await,
            }
            self.hear();
        }
    }

    async fn unless_stopped(&mut self, action: Action) {
        let mut stopping = self.stopping.clone();
        let stopped = {
            let (stop, step) = (pin!(stopping.soft()), pin!(self.step(action)));
            matches!(select(stop, step).await, Either::Left(_))
        };
        if stopped {
            self.routine.stop();
        }
    }

    async fn step(&mut self, action: Action) {
        match action {
            Action::Connect => match connect(&self.desk).await {
                Ok(link) => {
                    self.link = Some(link);
                    self.routine.connected();
                }
                Err(error) => self.routine.lost(&error, now()),
            },
            Action::Disconnect => self.link = None,
            Action::Prepare => {
                let reply = call(&mut self.link, &self.desk, prepare()).await;
                self.routine.prepared(reply, now());
            }
            Action::Register => {
                let reader = &self.desk.reader;
                let register = consumer::register(reader.queue(), reader.name());
                let reply = call(&mut self.link, &self.desk, register).await;
                self.routine.registered(reply.map(drop), now());
            }
            Action::Claim => {
                let reply = call(&mut self.link, &self.desk, self.desk.reader.claim()).await;
                self.routine.claimed(reply, now());
            }
            Action::Listen => {
                let reply = call(&mut self.link, &self.desk, listen()).await;
                self.routine.listening(reply, now());
            }
            Action::Look => {
                let reply = call(&mut self.link, &self.desk, ticks(self.desk.reader.queue())).await;
                self.routine.looked(reply, now());
            }
            Action::Wait(wait) => self.wait(wait).await,
            Action::Ask | Action::End(_) => {}
        }
    }

    async fn wait(&mut self, wait: Duration) {
        let Some(Link { line, .. }) = &mut self.link else { return sleep(wait).await };
        // Nothing to tell of the time that is over.
        let _ = timeout(wait, line.news()).await;
        if line.has_ended() {
            let error = line.take_error().unwrap_or_else(gone);
            self.routine.lost(&error, now());
        }
    }

    async fn ask(&mut self) {
        let mut stopping = self.stopping.clone();
        let asked = {
            let asked = open(&mut self.link, &self.desk);
            match select(pin!(stopping.soft()), pin!(asked)).await {
                Either::Left(_) => None,
                Either::Right((asked, _)) => Some(asked),
            }
        };
        let worked = match asked {
            None => return self.routine.stop(),
            Some(Ok(None)) => Worked::Nothing,
            Some(Ok(Some(found))) => {
                self.routine.opened(&found);
                self.work(found).await
            }
            Some(Err(error)) => Worked::Not { batch: None, because: Unfinished::Server(error) },
        };
        let worked = self.explain(worked);
        self.routine.worked(worked, now());
    }

    async fn work(&mut self, found: NextBatch) -> Worked {
        let Self { routine, desk, judge, work, link, stopping, .. } = self;
        let id = found.id;
        let gave_up = || Worked::Not { batch: Some(id), because: Unfinished::GaveUp };
        let Some(Link { client, line }) = link else {
            return Worked::Not { batch: Some(id), because: gone().into() };
        };
        let (cancel, dial, grace) = (client.cancel_token(), desk.dial.clone(), desk.options.grace);
        let worked = {
            let stop = pin!(async {
                stopping.soft().await;
                routine.stop();
                // Either way, the time is over.
                let _ = timeout(grace, stopping.hard()).await;
            });
            let work = pin!(work.work(client, found, desk, judge));
            match line.drive(select(work, stop)).await {
                Either::Left((worked, _)) => Some(worked),
                Either::Right(_) => None,
            }
        };
        if worked.is_none() {
            // What the handler has running there would go on, and keep its locks.
            dial.cancel(cancel).await;
        }
        worked.unwrap_or_else(gave_up)
    }

    /// Names the end of the connection by what the server said at last.
    fn explain(&mut self, worked: Worked) -> Worked {
        match worked {
            Worked::Not { batch, because: Unfinished::Server(error) } if error.is_connection() => {
                let said =
                    self.link.as_mut().and_then(|link| link.line.take_error()).filter(Error::is_connection);
                Worked::Not { batch, because: Unfinished::Server(said.unwrap_or(error)) }
            }
            worked => worked,
        }
    }

    fn hear(&mut self) {
        let Some(link) = &mut self.link else { return };
        for payload in link.line.take_heard() {
            self.routine.notified(&payload);
        }
    }
}

async fn connect(desk: &Desk) -> Result<Link> {
    let link = desk.dial.connect().await?;
    reach(&desk.reader, Point::AfterConnect).await?;
    Ok(link)
}

async fn open(link: &mut Option<Link>, desk: &Desk) -> Result<Option<NextBatch>> {
    let Some(Link { client, line }) = link else { return Err(gone()) };
    line.drive(desk.answer(Batch::ask(client, &desk.reader))).await
}

async fn call<T>(link: &mut Option<Link>, desk: &Desk, call: Call<'_, T>) -> Result<T> {
    let Some(Link { client, line }) = link else { return Err(gone()) };
    line.drive(limited(desk.options.answer_limit, client.call(call))).await?
}

fn gone() -> Error {
    Error::NoAnswerInTime { waited: Duration::ZERO }
}
