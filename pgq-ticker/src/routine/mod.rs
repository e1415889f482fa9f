mod looks;
mod news;
mod replies;
#[cfg(all(test, feature = "async"))]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pgq_core::maintenance::Operation;
use pgq_core::{Backoff, Call, Error, Result, SessionId, maintenance, tick};

use self::looks::Looks;
use self::news::{News, Ticked};
use crate::reply::Reply;
use crate::request::{Request, RequestId};
use crate::{Job, Periods, Schedule, State, Stats, limits};

/// Everything that a ticker decides, without I/O and without a clock: which call comes next, and what its answer means. The thread
/// and the task of `sync` and `aio` carry it out.
///
/// Ask [`next`](Self::next) what to do; say how it went with [`connected`](Self::connected), [`replied`](Self::replied) or
/// [`lost`](Self::lost); ask again.
pub(crate) struct Routine {
    stats: Stats,
    periods: Periods,
    answer_limit: Duration,
    schedule: Schedule,
    backoff: Backoff,
    link: Link,
    doing: Doing,
    pause_until: Instant,
    queues: VecDeque<String>,
    operations: VecDeque<Operation>,
    repeats: u32,
    then: Option<Doing>,
    looks: Looks,
    news: News,
    requests: VecDeque<Request>,
    asked: u64,
    served: bool,
    answers: VecDeque<(RequestId, Result<()>)>,
}

/// What to do next.
#[derive(Debug)]
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
    /// On the session that has the lock.
    Leading(SessionId),
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
    Notify(Ticked),
    Retry,
    RetryEnabled,
    ForceAhead,
    LongTransactions,
    ListOperations,
    Run(Operation),
    Request(RequestId),
}

impl Routine {
    /// Short, so that ticks come soon after any outage.
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    const MAX_REPEATS: u32 = 1000;
    const RETRY_ROUNDS: u32 = 100;
    const RETRY_EVENTS: u32 = 1000;

    pub(crate) fn new(periods: Periods, answer_limit: Duration, random: fastrand::Rng, now: Instant) -> Self {
        Self {
            stats: Stats::default(),
            periods,
            answer_limit,
            schedule: Schedule::new(periods, now),
            backoff: Backoff::new(random).up_to(Self::LONGEST_PAUSE),
            link: Link::Down,
            doing: Doing::Nothing,
            pause_until: now,
            queues: VecDeque::new(),
            operations: VecDeque::new(),
            repeats: 0,
            then: None,
            looks: Looks::new(periods, now),
            news: News::default(),
            requests: VecDeque::new(),
            asked: 0,
            served: false,
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Asks for a tick that covers all that is committed by now; the answer will have this id.
    pub(crate) fn tick_now(&mut self, queue: String, now: Instant) -> RequestId {
        self.asked += 1;
        let id = RequestId(self.asked);
        self.requests.push_back(Request::new(id, queue, now));
        id
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.link = Link::Unprepared;
        self.news = News::default();
        self.pause_until = now;
    }

    /// A connection could not be made, or broke, or a call took too long.
    pub(crate) fn lost(&mut self, error: &Error, now: Instant) {
        self.stats.trouble(error);
        self.stats.failures += 1;
        self.stats.state = State::Connecting;
        self.stats.long_transactions.clear();
        self.link = Link::Failed;
        self.pause_until = now + self.backoff.pause();
        self.then = None;
        self.queues.clear();
        self.operations.clear();
        self.repeats = 0;
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
            Link::Down if paused => Doing::Nothing,
            Link::Down => return Action::Connect,
            Link::Unprepared => Doing::Prepare,
            Link::Unchecked => Doing::Check,
            Link::Standby if paused => self.asked(now).unwrap_or(Doing::Nothing),
            Link::Standby => Doing::Lead,
            Link::Leading(_) => self.in_turn(now),
        };
        if self.doing == Doing::Nothing { Action::Wait(self.idle(now)) } else { Action::Call }
    }

    /// The call to run now.
    pub(crate) fn call(&self) -> Option<Call<'_, Reply>> {
        Some(match &self.doing {
            Doing::Nothing => return None,
            Doing::Prepare => {
                tick::session(self.answer_limit, self.longest_silence()).map(|()| Reply::Prepared)
            }
            // Whether PgQ is there and the user has the role: the cheapest call that takes it.
            Doing::Check => maintenance::tables_to_vacuum().map(|_| Reply::Checked),
            Doing::Lead => tick::lead().map(Reply::Lead),
            Doing::Tick => tick::all_on(self.leads()?).map(Reply::Ticked),
            Doing::ListQueues => tick::queues().map(Reply::Queues),
            Doing::TickQueue(queue) => tick::queue_on(queue, self.leads()?).map(Reply::TickedQueue),
            Doing::Notify(ticked) => tick::notify(ticked.queue()).map(Reply::Notified),
            Doing::Retry => maintenance::retry_events(Self::RETRY_ROUNDS).map(Reply::Moved),
            Doing::RetryEnabled => maintenance::retry_events_enabled(Self::RETRY_EVENTS).map(Reply::Moved),
            Doing::ForceAhead => tick::force_ahead().map(Reply::ForcedAhead),
            Doing::LongTransactions => {
                maintenance::long_transactions(self.periods.long_transaction).map(Reply::LongTransactions)
            }
            Doing::ListOperations => maintenance::operations().map(Reply::Operations),
            Doing::Run(operation) => maintenance::run(operation).map(Reply::Ran),
            Doing::Request(id) => {
                self.requests.iter().find(|request| request.id() == *id)?.call(self.leads())
            }
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
        for request in self.requests.iter().filter(|request| request.is_late(now)) {
            self.answers.push_back((request.id(), Err(request.late(self.stats.trouble.clone()))));
        }
        self.requests.retain(|request| !request.is_late(now));
    }

    fn leads(&self) -> Option<SessionId> {
        match self.link {
            Link::Leading(session) => Some(session),
            _ => None,
        }
    }

    fn asked(&self, now: Instant) -> Option<Doing> {
        let request = self.requests.iter().find(|request| request.is_due(now))?;
        Some(Doing::Request(request.id()))
    }

    /// A request comes first, but not two in a row where something else is due: many askers must not stop the queues' own beat.
    fn in_turn(&mut self, now: Instant) -> Doing {
        if let Some(ticked) = self.news.take() {
            return Doing::Notify(ticked);
        }
        let asked = self.asked(now);
        let first = if std::mem::take(&mut self.served) { None } else { asked.clone() };
        match first.unwrap_or_else(|| self.due(now)) {
            Doing::Nothing => asked.unwrap_or(Doing::Nothing),
            doing => doing,
        }
    }

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
            Some(Job::Maintain) => self.operations.pop_front().map_or(Doing::ListOperations, Doing::Run),
            None => Doing::Nothing,
        }
    }

    fn idle(&self, now: Instant) -> Duration {
        let work = if self.leads().is_some() { self.schedule.next() } else { self.pause_until };
        let next = self.requests.iter().fold(work, |next, request| next.min(request.next(now)));
        next.saturating_duration_since(now).max(Duration::from_millis(1))
    }

    /// For how long the server hears nothing of a ticker that is well, and a good deal more.
    fn longest_silence(&self) -> Duration {
        let Periods { tick, retry, maintenance, standby, .. } = self.periods;
        let pause = tick.min(retry).min(maintenance).max(standby * 2);
        limits::silence(self.answer_limit).saturating_add(pause)
    }
}
