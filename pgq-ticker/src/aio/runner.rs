use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use pgq_async::ClientExt;
use pgq_async::tokio_postgres::Client;
use pgq_core::{Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::Sender;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Connect;
use crate::request::RequestId;
use crate::routine::{Action, Routine};
use crate::stats::Published;
use crate::{Periods, State, Stats, limits};

/// Carries out what the [`Routine`] decides.
pub(super) struct Runner {
    routine: Routine,
    patience: Duration,
    connect: Connect,
    link: Option<Link>,
    commands: UnboundedReceiver<Command>,
    askers: HashMap<RequestId, Sender<Result<()>>>,
    stats: Published,
}

/// What the handle wants of the task.
pub(super) enum Command {
    TickNow { queue: String, answer: Sender<Result<()>> },
}

/// A client and the task that drives its connection.
struct Link {
    client: Client,
    driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Runner {
    const CONNECT_LIMIT: Duration = Duration::from_secs(15);
    const CLOSE_LIMIT: Duration = Duration::from_secs(1);

    pub(super) fn new(
        connect: Connect,
        periods: Periods,
        answer_limit: Duration,
        commands: UnboundedReceiver<Command>,
        stats: Published,
    ) -> Self {
        let routine = Routine::new(periods, answer_limit, fastrand::Rng::new(), Instant::now());
        Self {
            routine,
            patience: limits::patience(answer_limit),
            connect,
            link: None,
            commands,
            askers: HashMap::new(),
            stats,
        }
    }

    /// Runs until the handle stops it or is gone.
    pub(super) async fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            match timeout(wait, self.commands.recv()).await {
                Ok(Some(Command::TickNow { queue, answer })) => self.tick_now(queue, answer),
                Ok(None) => break,
                Err(_) => {}
            }
            wait = self.step().await;
            self.stats.publish(self.routine.stats().clone());
        }
        if let Some(Link { client, mut driver }) = self.link.take() {
            drop(client);
            // A connection that does not end by itself is cut off.
            let _ = timeout(Self::CLOSE_LIMIT, &mut driver.0).await;
        }
    }

    /// Does one thing, and tells for how long there is no other.
    async fn step(&mut self) -> Duration {
        match self.routine.next(Instant::now()) {
            Action::Connect => match limited(Self::CONNECT_LIMIT, (self.connect)()).await {
                Ok(Ok((client, connection))) => {
                    // The client reports how its connection ended.
                    let driver = Driver(tokio::spawn(async { drop(connection.await) }));
                    self.link = Some(Link { client, driver });
                    self.routine.connected(Instant::now());
                }
                Ok(Err(error)) => self.routine.lost(&Error::from(error), Instant::now()),
                Err(error) => self.routine.lost(&error, Instant::now()),
            },
            Action::Disconnect => self.link = None,
            Action::Call => {
                let (Some(link), Some(call)) = (&self.link, self.routine.call()) else {
                    return Duration::ZERO;
                };
                match limited(self.patience, link.client.call(call)).await {
                    Ok(reply) => self.routine.replied(reply, Instant::now()),
                    Err(error) => self.routine.lost(&error, Instant::now()),
                }
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

async fn limited<F: Future>(limit: Duration, future: F) -> Result<F::Output> {
    timeout(limit, future).await.map_err(|_| Error::NoAnswerInTime { waited: limit })
}
