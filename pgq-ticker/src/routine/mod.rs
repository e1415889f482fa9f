mod replies;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pgq_core::maintenance::Operation;
use pgq_core::{Call, Error, Result, maintenance, queue, tick, version};

use crate::backoff::Backoff;
use crate::reply::Reply;
use crate::request::{Request, RequestId};
use crate::{Job, Periods, Schedule, State, Stats};

/// Everything that a ticker decides, without I/O and without a clock: which call comes next, and what its answer means. The thread
/// and the task of `sync` and `aio` carry it out.
///
/// Ask [`next`](Self::next) what to do; say how it went with [`connected`](Self::connected), [`replied`](Self::replied) or
/// [`lost`](Self::lost); ask again.
pub(crate) struct Routine {
    stats: Stats,
    periods: Periods,
    schedule: Schedule,
    backoff: Backoff,
    link: Link,
    doing: Doing,
    pause_until: Instant,
    queues: VecDeque<String>,
    operations: VecDeque<Operation>,
    repeats: u32,
    then: Option<Doing>,
    requests: VecDeque<Request>,
    answers: VecDeque<(RequestId, Result<()>)>,
}

/// What to do next.
pub(crate) enum Action {
    /// Connect.
    Connect,
    /// Close the connection.
    Disconnect,
    /// Run the [`call`](Routine::call).
    Call,
    /// Tell the one who asked.
    Answer(RequestId, Result<()>),
    /// Nothing to do for so long, unless a request comes.
    Wait(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Failed,
    Unprepared,
    Unchecked,
    Standby,
    Leading,
}

#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    Prepare,
    Check,
    Lead,
    Tick,
    ListQueues,
    TickQueue(String),
    Retry,
    RetryEnabled,
    ListOperations,
    Run(Operation),
    Request,
}

impl Routine {
    const MAX_REPEATS: u32 = 1000;
    const RETRY_ROUNDS: u32 = 100;
    const RETRY_EVENTS: u32 = 1000;

    pub(crate) fn new(periods: Periods, random: fastrand::Rng, now: Instant) -> Self {
        Self {
            stats: Stats::default(),
            periods,
            schedule: Schedule::new(periods, now),
            backoff: Backoff::new(random),
            link: Link::Down,
            doing: Doing::Nothing,
            pause_until: now,
            queues: VecDeque::new(),
            operations: VecDeque::new(),
            repeats: 0,
            then: None,
            requests: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Asks for a tick that covers all that is committed by now.
    pub(crate) fn tick_now(&mut self, id: RequestId, queue: String, now: Instant) {
        self.requests.push_back(Request::new(id, queue, now));
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.link = Link::Unprepared;
        self.pause_until = now;
    }

    /// A connection could not be made, or broke, or a call took too long.
    pub(crate) fn lost(&mut self, error: &Error, now: Instant) {
        self.stats.trouble(error);
        self.stats.failures += 1;
        self.stats.state = State::Connecting;
        self.link = Link::Failed;
        self.pause_until = now + self.backoff.pause();
        self.then = None;
        self.queues.clear();
        self.operations.clear();
        self.requests.iter_mut().for_each(Request::start_over);
    }

    /// What to do next.
    pub(crate) fn next(&mut self, now: Instant) -> Action {
        self.give_up_late(now);
        if let Some((id, answer)) = self.answers.pop_front() {
            return Action::Answer(id, answer);
        }
        let paused = now < self.pause_until;
        self.doing = match self.link {
            Link::Failed => {
                self.link = Link::Down;
                return Action::Disconnect;
            }
            Link::Down if !paused => return Action::Connect,
            Link::Unprepared => Doing::Prepare,
            Link::Unchecked if !paused => Doing::Check,
            Link::Standby | Link::Leading if self.asked(now) => Doing::Request,
            Link::Standby if !paused => Doing::Lead,
            Link::Leading => self.due(now),
            Link::Down | Link::Unchecked | Link::Standby => Doing::Nothing,
        };
        if self.doing == Doing::Nothing { Action::Wait(self.idle(now)) } else { Action::Call }
    }

    /// The call to run now.
    pub(crate) fn call(&self) -> Option<Call<'_, Reply>> {
        Some(match &self.doing {
            Doing::Nothing => return None,
            Doing::Prepare => tick::session().map(|()| Reply::Prepared),
            Doing::Check => version::installed().map(Reply::Checked),
            Doing::Lead => tick::lead().map(Reply::Lead),
            Doing::Tick => tick::all().map(Reply::Ticked),
            Doing::ListQueues => queue::info_all().map(Reply::Queues),
            Doing::TickQueue(queue) => tick::queue(queue).map(Reply::TickedQueue),
            Doing::Retry => maintenance::retry_events(Self::RETRY_ROUNDS).map(Reply::Moved),
            Doing::RetryEnabled => maintenance::retry_events_enabled(Self::RETRY_EVENTS).map(Reply::Moved),
            Doing::ListOperations => maintenance::operations().map(Reply::Operations),
            Doing::Run(operation) => maintenance::run(operation).map(Reply::Ran),
            Doing::Request => self.requests.front()?.call(),
        })
    }

    /// Takes in the answer to the call that [`next`](Self::next) gave out.
    pub(crate) fn replied(&mut self, reply: Result<Reply>, now: Instant) {
        let doing = std::mem::replace(&mut self.doing, Doing::Nothing);
        match reply {
            Ok(reply) => self.succeeded(doing, reply, now),
            Err(error) => self.failed(doing, error, now),
        }
    }

    fn give_up_late(&mut self, now: Instant) {
        while let Some(request) = self.requests.front().filter(|request| request.is_late(now)) {
            self.answers.push_back((request.id(), Err(request.late())));
            self.requests.pop_front();
        }
    }

    fn asked(&self, now: Instant) -> bool {
        self.requests.front().is_some_and(|request| request.is_due(now))
    }

    /// Ticks come first, so that neither many queues nor a long round of maintenance hold them up.
    fn due(&mut self, now: Instant) -> Doing {
        if let Some(doing) = self.then.take() {
            return doing;
        }
        if let Some(queue) = self.queues.pop_front() {
            return Doing::TickQueue(queue);
        }
        match self.schedule.due(now) {
            Some(Job::Tick) => Doing::Tick,
            Some(Job::Retry) => Doing::Retry,
            Some(Job::Maintain) if self.operations.is_empty() => Doing::ListOperations,
            Some(Job::Maintain) | None => self.operations.pop_front().map_or(Doing::Nothing, Doing::Run),
        }
    }

    fn idle(&self, now: Instant) -> Duration {
        let work = if self.link == Link::Leading { self.schedule.next() } else { self.pause_until };
        let next = self.requests.front().map_or(work, |request| work.min(request.next(now)));
        next.saturating_duration_since(now).max(Duration::from_millis(1))
    }
}
