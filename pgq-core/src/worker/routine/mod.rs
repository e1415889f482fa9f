use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::retry_policy::NEVER;
use super::{
    Claim, Handling, Journal, Notice, Permanent, Prepared, Registration, Ticks, Unfinished, Wakeup, Worked,
    WorkerOptions, WorkerState,
};
use crate::batch::Reader;
use crate::{Backoff, BatchId, Error, NextBatch, Result, TickId};

/// Decides what a worker does next. It does no I/O and reads no clock: a runner carries out each [`Action`] and tells what came of
/// it.
#[derive(Debug)]
pub struct Routine {
    options: WorkerOptions,
    handling: Handling,
    journal: Journal,
    queue: String,
    is_member: bool,
    step: Step,
    backoff: Backoff,
    /// Between tries to connect. Short, so that work goes on soon after any outage.
    dialling: Backoff,
    random: fastrand::Rng,
    paused_until: Option<Instant>,
    asks_at: Instant,
    looks_at: Instant,
    registered: bool,
    ears: Ears,
    stalled: bool,
    left_at: Option<TickId>,
    stopping: bool,
    end: Option<Result<()>>,
}

/// What is to be done next.
#[derive(Debug)]
#[must_use = "an action is to be carried out"]
pub enum Action {
    /// Make a connection, then tell [`Routine::connected`] or [`Routine::lost`].
    Connect,
    /// Drop the connection; there is nothing to tell.
    Disconnect,
    /// Run [`prepare`](super::prepare()), then tell [`Routine::prepared`].
    Prepare,
    /// Register the consumer, then tell [`Routine::registered`].
    Register,
    /// Run [`Reader::claim`], then tell [`Routine::claimed`].
    Claim,
    /// Run [`listen`](super::listen), then tell [`Routine::listening`].
    Listen,
    /// Ask for a batch and handle it, then tell [`Routine::worked`].
    Ask,
    /// Run [`ticks`](super::ticks), then tell [`Routine::looked`].
    Look,
    /// There is nothing to do for so long, unless a notification comes: [`Routine::notified`].
    Wait(Duration),
    /// It is over.
    End(Result<()>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Down,
    /// The connection is of no use any more.
    Broken,
    Prepare,
    Register,
    Claim,
    Listen,
    Work,
}

/// What is known of notifications.
#[derive(Debug, Default)]
struct Ears {
    /// The last look found nothing, so that a notification comes with the next batch.
    pricked: bool,
    /// The worker waits. A pooler passes on what comes while its client has the session, which it has not then.
    waiting: bool,
    woken: bool,
    /// The look that goes on is one that a notification asked for.
    bidden: bool,
    found_unheard: u32,
}

impl Routine {
    const LONGEST_DIAL_PAUSE: Duration = Duration::from_secs(1);
    const CLAIM_PERIOD: Duration = Duration::from_millis(500);
    const LOST_PAUSE: Duration = Duration::from_millis(100);
    const PERMANENT_PAUSE: Duration = Duration::from_secs(8);
    /// So many batches in a row that were waited for and came without a notification say that none comes.
    const DEAF_AFTER: u32 = 3;

    /// The routine of a worker that starts `now`.
    pub fn new(
        mut options: WorkerOptions,
        handling: Handling,
        reader: &Reader,
        journal: Journal,
        mut random: fastrand::Rng,
        now: Instant,
    ) -> Self {
        options.poll = options.poll.min(NEVER);
        options.no_ticks_after = options.no_ticks_after.min(NEVER);
        Self {
            journal,
            queue: reader.queue().to_owned(),
            is_member: reader.sub().is_some(),
            step: Step::Down,
            backoff: Backoff::new(random.fork()),
            dialling: Backoff::new(random.fork()).up_to(Self::LONGEST_DIAL_PAUSE),
            random,
            paused_until: None,
            asks_at: now,
            looks_at: now + options.no_ticks_after,
            options,
            handling,
            registered: false,
            ears: Ears::default(),
            stalled: false,
            left_at: None,
            stopping: false,
            end: None,
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Instant) -> Action {
        let action = self.decide(now);
        self.ears.waiting = matches!(action, Action::Wait(_));
        if matches!(action, Action::Ask) {
            // What comes from now on may tell of what this look does not see.
            self.ears.bidden = std::mem::take(&mut self.ears.woken);
        }
        action
    }

    fn decide(&mut self, now: Instant) -> Action {
        if let Some(end) = self.end.take() {
            return Action::End(end);
        }
        if self.stopping {
            return Action::End(Ok(()));
        }
        if self.step == Step::Broken {
            self.step = Step::Down;
            return Action::Disconnect;
        }
        if let Some(wait) = self.paused_until.and_then(|until| until.checked_duration_since(now)) {
            if !wait.is_zero() {
                return Action::Wait(wait);
            }
        }
        self.paused_until = None;
        match self.step {
            Step::Down | Step::Broken => Action::Connect,
            Step::Prepare => Action::Prepare,
            Step::Register => Action::Register,
            Step::Claim => Action::Claim,
            Step::Listen => Action::Listen,
            Step::Work if self.ears.woken || self.asks_at <= now => Action::Ask,
            Step::Work if self.looks_at <= now => Action::Look,
            Step::Work => Action::Wait(self.asks_at.min(self.looks_at).saturating_duration_since(now)),
        }
    }

    /// A connection is made.
    pub fn connected(&mut self) {
        self.ears = Ears::default();
        self.step = Step::Prepare;
    }

    /// The connection is gone, or could not be made.
    pub fn lost(&mut self, error: &Error, now: Instant) {
        self.disconnected(format!("{error:?}"), now);
    }

    /// What the connection turned out to be.
    pub fn prepared(&mut self, reply: Result<Prepared>, now: Instant) {
        match reply {
            Ok(Prepared { writes: false, .. }) => self.lost(&Error::ReadOnly { source: None }, now),
            // Without PgQ there is worse to be told, by the first call of it.
            Ok(Prepared { installed: true, dead_letters: false, .. })
                if self.handling.needs_dead_letters(&self.options) =>
            {
                self.failed(None, Error::NoDeadLetters, now);
            }
            Ok(_) => {
                self.journal.note(&Notice::Connected);
                self.go_on_with(Step::Register, now);
            }
            Err(error) => self.failed(None, error, now),
        }
    }

    /// The consumer is registered, or not.
    pub fn registered(&mut self, reply: Result<()>, now: Instant) {
        match reply {
            Ok(()) => {
                self.registered = true;
                self.go_on_with(Step::Claim, now);
            }
            Err(error) => self.failed(None, error, now),
        }
    }

    /// Whether the name is ours now.
    pub fn claimed(&mut self, reply: Result<bool>, now: Instant) {
        match reply {
            Ok(true) => self.go_on_with(Step::Listen, now),
            Ok(false) => {
                if self.journal.stats().state != WorkerState::StandingBy {
                    self.journal.note(&Notice::StandingBy);
                }
                // Another session moves the position meanwhile.
                self.left_at = None;
                self.paused_until = Some(now + self.backoff.spread(Self::CLAIM_PERIOD));
            }
            Err(error) => self.failed(None, error, now),
        }
    }

    /// Whether notifications were asked for. The worker goes on without them.
    pub fn listening(&mut self, reply: Result<()>, now: Instant) {
        match reply {
            Err(error) if error.is_connection() => self.lost(&error, now),
            _ => self.go_on_with(Step::Work, now),
        }
    }

    /// A notification came on `pgq_tick`.
    pub fn notified(&mut self, payload: &str) {
        if self.ears.waiting && self.ears.found_unheard < Self::DEAF_AFTER {
            self.ears.found_unheard = 0;
        }
        if payload.is_empty() || payload == self.queue {
            self.ears.woken = true;
        }
    }

    /// What came of a batch.
    pub fn worked(&mut self, worked: Worked, now: Instant) {
        match worked {
            Worked::Nothing => {
                self.ears.pricked = true;
                self.works();
                self.asks_at = now + self.options.poll.mul_f64(1.0 + self.random.f64() / 4.0);
            }
            Worked::Finished(batch) => self.finished(&batch, now),
            Worked::Not { batch, because } => self.unfinished(batch, because, now),
        }
    }

    /// How the queue stands with its ticks.
    pub fn looked(&mut self, reply: Result<Option<Ticks>>, now: Instant) {
        self.looks_at = now + self.options.no_ticks_after;
        let ticks = match reply {
            Ok(Some(ticks)) => ticks,
            Ok(None) => return,
            Err(error) if error.is_connection() => return self.lost(&error, now),
            // Not everybody may look; the next batch tells what is wrong, if something is.
            Err(_) => return,
        };
        let Ticks { age, waiting, cause, max_lag } = ticks;
        let stalled = waiting > 0 && age >= self.options.no_ticks_after.max(max_lag.saturating_mul(2));
        if stalled && !self.stalled {
            self.journal.note(&Notice::NoTicks { age, waiting, cause });
        }
        if self.stalled && !stalled {
            self.journal.note(&Notice::TicksAgain);
        }
        self.stalled = stalled;
    }

    /// The worker is to stop: after the batch in hand, which may go on for [`WorkerOptions::grace`].
    pub fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            self.journal.note(&Notice::Stopping);
        }
    }

    /// A batch was opened.
    pub fn opened(&mut self, batch: &NextBatch) {
        // A group's batches go to whoever asks, and its position moves with each of them.
        if let Some(from) = self.left_at.take().filter(|&from| from != batch.prev_tick && !self.is_member) {
            self.journal.note(&Notice::Moved { from, to: batch.prev_tick });
        }
        // Where it comes again, if it is rolled back.
        self.left_at = Some(batch.prev_tick);
    }

    fn finished(&mut self, batch: &NextBatch, now: Instant) {
        self.works();
        self.left_at = Some(batch.tick);
        if self.stalled {
            self.stalled = false;
            self.journal.note(&Notice::TicksAgain);
        }
        if self.options.wakeup == Wakeup::Listen && self.ears.pricked && !self.ears.bidden {
            self.ears.found_unheard += 1;
            if self.ears.found_unheard == Self::DEAF_AFTER {
                self.journal.note(&Notice::Deaf { poll: self.options.poll });
            }
        }
        (self.ears.woken, self.ears.pricked) = (false, false);
        // At once, so that nothing is missed of what was heard meanwhile.
        (self.asks_at, self.looks_at) = (now, now + self.options.no_ticks_after);
    }

    fn unfinished(&mut self, batch: Option<BatchId>, because: Unfinished, now: Instant) {
        match because {
            Unfinished::Server(error) => self.failed(batch, error, now),
            Unfinished::Handler(failure) if failure.is_connection() => {
                self.rolled_back_by_disconnect(batch, failure.text(), now);
            }
            Unfinished::Handler(failure) => self.rolled_back(batch, failure.text(), now),
            Unfinished::Batch(failure, pause) => {
                self.journal.note(&Notice::RolledBack { batch, error: failure.text(), pause });
                self.pause(pause, now);
            }
            Unfinished::Redo => self.asks_at = now,
            Unfinished::Stop(error) => self.end = Some(Err(error)),
            Unfinished::GaveUp => {
                self.journal.note(&Notice::GaveUp);
                self.stopping = true;
            }
        }
    }

    fn failed(&mut self, batch: Option<BatchId>, error: Error, now: Instant) {
        if let Error::BatchLost { batch, .. } = error {
            self.left_at = None;
            self.journal.note(&Notice::Lost { batch });
            let pause = self.backoff.pause().max(Self::LOST_PAUSE);
            self.pause(pause, now);
        } else if error.is_connection() || matches!(error, Error::ReadOnly { .. }) || is_aborted(&error) {
            self.rolled_back_by_disconnect(batch, format!("{error:?}"), now);
        } else if error.is_transient() {
            self.rolled_back(batch, format!("{error:?}"), now);
        } else if self.options.permanent == Permanent::Stop {
            self.end = Some(Err(error));
        } else {
            self.journal.note(&Notice::Trouble { error: format!("{error:?}") });
            let pause = self.backoff.spread(Self::PERMANENT_PAUSE);
            self.pause(pause, now);
        }
    }

    fn rolled_back(&mut self, batch: Option<BatchId>, error: String, now: Instant) {
        let pause = self.backoff.pause();
        self.journal.note(&Notice::RolledBack { batch, error, pause });
        self.pause(pause, now);
    }

    fn rolled_back_by_disconnect(&mut self, batch: Option<BatchId>, error: String, now: Instant) {
        let pause = self.disconnected(error.clone(), now);
        if batch.is_some() {
            // It may have been finished, if it was the commit that was not answered.
            self.left_at = None;
            self.journal.note(&Notice::RolledBack { batch, error, pause });
        }
    }

    fn works(&mut self) {
        self.backoff.reset();
        self.dialling.reset();
    }

    fn disconnected(&mut self, error: String, now: Instant) -> Duration {
        let pause = self.dialling.pause();
        self.journal.note(&Notice::Disconnected { error, pause });
        self.step = if self.step == Step::Down { Step::Down } else { Step::Broken };
        self.pause(pause, now);
        pause
    }

    fn pause(&mut self, pause: Duration, now: Instant) {
        self.paused_until = Some(now + pause);
        self.asks_at = now;
    }

    /// Goes on with that step, or the first one after it that there is something to do in.
    fn go_on_with(&mut self, step: Step, now: Instant) {
        let registers = self.options.registration == Registration::IfMissing && !self.is_member;
        self.step = match step {
            Step::Register if !registers || self.registered => return self.go_on_with(Step::Claim, now),
            Step::Claim if self.options.claim == Claim::Share => return self.go_on_with(Step::Listen, now),
            Step::Listen if self.options.wakeup == Wakeup::Poll => return self.go_on_with(Step::Work, now),
            step => step,
        };
        if step == Step::Work {
            (self.asks_at, self.looks_at) = (now, now + self.options.no_ticks_after);
            self.journal.note(&Notice::Working);
        }
    }
}

/// Whether the session is in a transaction that failed, as when a rollback was cancelled: it is of no use any more.
fn is_aborted(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
        && !matches!(error, Error::TransactionEnded { .. })
}

#[cfg(test)]
mod tests;
