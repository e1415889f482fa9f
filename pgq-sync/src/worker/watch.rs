use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgq_core::EventId;
use pgq_core::worker::{Journal, Notice, WorkerOptions};
use postgres::CancelToken;

use super::connection::Dial;

/// What the worker's thread does just now, and whether it is to stop. A thread beside it looks here, for what takes too long.
#[derive(Default)]
pub(crate) struct Watch {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    stage: Stage,
    doing: Doing,
    cancel: Option<CancelToken>,
    cancelling: bool,
    lost: bool,
    ended: bool,
    at_end: Vec<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Go,
    Soft(Instant),
    Hard,
}

#[derive(Clone, Copy, Default)]
enum Doing {
    #[default]
    Nothing,
    Asking {
        since: Instant,
        times: u32,
    },
    Handling {
        event: Option<EventId>,
        since: Instant,
        told: bool,
    },
}

enum Due {
    Cancel(CancelToken),
    Stuck { event: EventId, since: Duration },
    Nothing,
}

/// How a handler came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    InTime,
    Late,
}

impl Watch {
    const CANCEL_PERIOD: Duration = Duration::from_millis(100);

    pub(crate) fn stop(&self) {
        let mut inside = self.lock();
        if matches!(inside.stage, Stage::Go) {
            inside.stage = Stage::Soft(Instant::now());
        }
        self.changed.notify_all();
    }

    pub(crate) fn stop_now(&self) {
        self.lock().stage = Stage::Hard;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        !matches!(self.lock().stage, Stage::Go)
    }

    pub(crate) fn is_hard(&self) -> bool {
        matches!(self.lock().stage, Stage::Hard)
    }

    /// Whether the batch in hand was taken away, as its heartbeat says.
    pub(crate) fn is_lost(&self) -> bool {
        self.lock().lost
    }

    pub(crate) fn set_lost(&self) {
        self.lock().lost = true;
        self.changed.notify_all();
    }

    /// There is another batch, or none.
    pub(crate) fn found(&self) {
        self.lock().lost = false;
    }

    /// Statements go over this connection from now on.
    pub(crate) fn connected(&self, token: Option<CancelToken>) {
        self.lock().cancel = token;
    }

    /// The server is being asked something, and has its time for an answer.
    pub(crate) fn asking(&self) {
        self.asking_much(1);
    }

    /// Like [`asking`](Self::asking), for what takes that many times as long.
    pub(crate) fn asking_much(&self, times: u32) {
        self.lock().doing = Doing::Asking { since: Instant::now(), times };
    }

    pub(crate) fn handling(&self, event: Option<EventId>) {
        self.lock().doing = Doing::Handling { event, since: Instant::now(), told: false };
    }

    /// The handler has returned; what comes is between the worker and the server.
    pub(crate) fn handled(&self, limit: Option<Duration>) -> Ended {
        // What comes next is not to be hit by a cancel request that was meant for the handler.
        let inside = self.changed.wait_while(self.lock(), |inside| inside.cancelling);
        let mut inside = inside.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = std::mem::replace(&mut inside.doing, Doing::Asking { since: now, times: 1 });
        match (before, limit) {
            (Doing::Handling { since, .. }, Some(limit)) if now - since >= limit => Ended::Late,
            _ => Ended::InTime,
        }
    }

    pub(crate) fn idle(&self) {
        self.lock().doing = Doing::Nothing;
    }

    /// Waits, but not when it is to stop.
    pub(crate) fn wait(&self, time: Duration) {
        let inside = self.lock();
        let going = |inside: &mut Inside| matches!(inside.stage, Stage::Go);
        drop(self.changed.wait_timeout_while(inside, time, going));
    }

    /// Waits, but not when it is to stop at once.
    pub(crate) fn wait_softly(&self, time: Duration) {
        let inside = self.lock();
        let going = |inside: &mut Inside| !matches!(inside.stage, Stage::Hard) && !inside.lost;
        drop(self.changed.wait_timeout_while(inside, time, going));
    }

    /// Has this done when the worker has ended, or at once if it has.
    #[cfg(feature = "signals")]
    pub(crate) fn at_end(&self, act: Box<dyn FnOnce() + Send>) {
        let mut inside = self.lock();
        if inside.ended {
            drop(inside);
            return act();
        }
        inside.at_end.push(act);
    }

    pub(crate) fn ended(&self) {
        let acts = {
            let mut inside = self.lock();
            inside.ended = true;
            inside.doing = Doing::Nothing;
            std::mem::take(&mut inside.at_end)
        };
        self.changed.notify_all();
        acts.into_iter().for_each(|act| act());
    }

    /// Looks until the worker has ended; what the thread beside it does.
    pub(crate) fn look_on(&self, options: &WorkerOptions, dial: &Dial, journal: &Journal) {
        let limits =
            [options.handler_limit.unwrap_or(Duration::MAX), options.answer_limit, options.stuck_after];
        let shortest = limits.into_iter().min().unwrap_or_default() / 4;
        let pace = shortest.clamp(Duration::from_millis(10), Duration::from_millis(500));
        loop {
            let mut inside = self.lock();
            if inside.ended {
                return;
            }
            match inside.due(Instant::now(), options) {
                Due::Cancel(token) => {
                    inside.cancelling = true;
                    drop(inside);
                    dial.cancel(&token);
                    self.lock().cancelling = false;
                    self.changed.notify_all();
                    self.wait_for_end(Self::CANCEL_PERIOD);
                }
                Due::Stuck { event, since } => {
                    drop(inside);
                    let note = || journal.note(&Notice::Stuck { event, since });
                    if panic::catch_unwind(AssertUnwindSafe(note)).is_err() {
                        tracing::error!("the callback for notices panicked");
                    }
                }
                Due::Nothing => {
                    let wait = inside.grace_left(options).map_or(pace, |left| left.min(pace));
                    drop(self.changed.wait_timeout(inside, wait));
                }
            }
        }
    }

    fn wait_for_end(&self, time: Duration) {
        drop(self.changed.wait_timeout_while(self.lock(), time, |inside| !inside.ended));
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Until when a worker that is to stop may go on.
    fn grace_left(&self, options: &WorkerOptions) -> Option<Duration> {
        let Stage::Soft(since) = self.stage else { return None };
        Some(options.grace.saturating_sub(since.elapsed()).max(Duration::from_millis(1)))
    }

    fn due(&mut self, now: Instant, options: &WorkerOptions) -> Due {
        if matches!(self.stage, Stage::Soft(since) if now - since >= options.grace) {
            self.stage = Stage::Hard;
        }
        let given_up = matches!(self.stage, Stage::Hard) || self.lost;
        let overdue = match &mut self.doing {
            Doing::Nothing => return Due::Nothing,
            Doing::Asking { since, times } => now - *since >= options.answer_limit.saturating_mul(*times),
            Doing::Handling { event, since, told } => {
                let took = now - *since;
                if let (false, Some(event), true) = (*told, *event, took >= options.stuck_after) {
                    *told = true;
                    return Due::Stuck { event, since: took };
                }
                options.handler_limit.is_some_and(|limit| took >= limit)
            }
        };
        match &self.cancel {
            Some(token) if given_up || overdue => Due::Cancel(token.clone()),
            _ => Due::Nothing,
        }
    }
}
