use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use pgq_core::{Error, Result};
use pgq_sync::ClientExt;
use pgq_sync::postgres::Client;

use super::Connect;
use crate::request::RequestId;
use crate::routine::{Action, Routine};
use crate::stats::Published;
use crate::{Periods, State, Stats};

/// Carries out what the [`Routine`] decides.
pub(super) struct Runner {
    routine: Routine,
    connect: Connect,
    client: Option<Client>,
    commands: Receiver<Command>,
    askers: HashMap<RequestId, Sender<Result<()>>>,
    stats: Published,
}

/// What the handle wants of the thread.
pub(super) enum Command {
    TickNow { queue: String, answer: Sender<Result<()>> },
    Stop,
}

impl Runner {
    pub(super) fn new(
        connect: Connect,
        periods: Periods,
        answer_limit: Duration,
        commands: Receiver<Command>,
        stats: Published,
    ) -> Self {
        let routine = Routine::new(periods, answer_limit, fastrand::Rng::new(), Instant::now());
        Self { routine, connect, client: None, commands, askers: HashMap::new(), stats }
    }

    /// Runs until the handle stops it or is gone.
    pub(super) fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            match self.commands.recv_timeout(wait) {
                Ok(Command::TickNow { queue, answer }) => self.tick_now(queue, answer),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            wait = self.step();
            self.stats.publish(self.routine.stats().clone());
        }
    }

    /// Does one thing, and tells for how long there is no other.
    fn step(&mut self) -> Duration {
        match self.routine.next(Instant::now()) {
            Action::Connect => match (self.connect)() {
                Ok(client) => {
                    self.client = Some(client);
                    self.routine.connected(Instant::now());
                }
                Err(error) => self.routine.lost(&Error::from(error), Instant::now()),
            },
            Action::Disconnect => self.client = None,
            Action::Call => {
                let (Some(client), Some(call)) = (&mut self.client, self.routine.call()) else {
                    return Duration::ZERO;
                };
                let reply = client.call(call);
                self.routine.replied(reply, Instant::now());
            }
            Action::Answer(id, answer) => {
                if let Some(asker) = self.askers.remove(&id) {
                    // One who went away wants no answer.
                    let _ = asker.send(answer);
                }
            }
            Action::Wait(wait) => return wait,
        }
        Duration::ZERO
    }

    fn tick_now(&mut self, queue: String, answer: Sender<Result<()>>) {
        let id = self.routine.tick_now(queue, Instant::now());
        self.askers.insert(id, answer);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let (state, long_transactions) = (State::Stopped, Vec::new());
        self.stats.publish(Stats { state, long_transactions, ..self.routine.stats().clone() });
    }
}
