use std::time::Instant;

use pgq_core::Error;
use pgq_core::maintenance::Operation;

use super::{Doing, Link, Routine};
use crate::reply::Reply;
use crate::{Job, Schedule, State};

/// What the answers mean.
impl Routine {
    pub(super) fn succeeded(&mut self, doing: Doing, reply: Reply, now: Instant) {
        if doing == Doing::Request {
            return self.answer(&reply, now);
        }
        match reply {
            Reply::Prepared => self.link = Link::Unchecked,
            Reply::Checked(version) => self.checked(version, now),
            Reply::Lead(true) => self.lead(now),
            Reply::Lead(false) => self.stand_by(now),
            Reply::Ticked(queues) => {
                self.stats.ticks += queues;
                let ticks: Vec<_> =
                    self.stats.failing.keys().filter(|job| job.starts_with(TICK)).cloned().collect();
                ticks.iter().for_each(|job| self.stats.works(job));
            }
            Reply::Queues(queues) => {
                let ticked =
                    queues.into_iter().filter(|queue| !queue.ticker_paused && !queue.external_ticker);
                self.queues = ticked.map(|queue| queue.name).collect();
            }
            Reply::TickedQueue(tick) => {
                self.stats.ticks += u64::from(tick.is_some());
                self.stats.works(&label(&doing));
            }
            Reply::Moved(events) => self.moved(&doing, events, now),
            Reply::Operations(operations) => {
                self.stats.works(&label(&doing));
                self.operations = operations.into();
            }
            Reply::Ran(result) => self.ran(doing, result),
            Reply::Marked(_) | Reply::Forced(_) | Reply::Covered(_) => {}
        }
    }

    pub(super) fn failed(&mut self, doing: Doing, error: Error, now: Instant) {
        if error.is_connection() || matches!(error, Error::ReadOnly { .. }) {
            return self.lost(&error, now);
        }
        self.stats.failures += 1;
        match doing {
            Doing::Request => {
                let asker = self.requests.pop_front().map(|request| request.id());
                self.answers.extend(asker.map(|id| (id, Err(error))));
            }
            Doing::Prepare | Doing::Check | Doing::Lead => {
                self.stats.trouble(&error);
                self.stats.state = State::Connecting;
                self.link = Link::Unchecked;
                self.pause_until = now + self.backoff.pause();
            }
            // Another schema would come with another lock: lead anew.
            _ if matches!(error, Error::NotInstalled { .. }) => self.lost(&error, now),
            Doing::Tick => {
                self.stats.fails(label(&doing), &error);
                self.then = Some(Doing::ListQueues);
            }
            Doing::Retry if matches!(error, Error::InsertDisabled { .. }) => {
                self.stats.fails(label(&doing), &error);
                self.then = Some(Doing::RetryEnabled);
            }
            _ => self.stats.fails(label(&doing), &error),
        }
    }

    fn checked(&mut self, version: Option<String>, now: Instant) {
        tracing::debug!(version, "the ticker found PgQ");
        self.link = Link::Standby;
        self.pause_until = now;
        self.backoff.reset();
    }

    fn lead(&mut self, now: Instant) {
        tracing::info!("the ticker leads");
        self.stats.no_trouble();
        self.stats.state = State::Leading;
        self.link = Link::Leading;
        self.schedule = Schedule::new(self.periods, now);
    }

    fn stand_by(&mut self, now: Instant) {
        if self.stats.state != State::Standby {
            tracing::info!("the ticker stands by: another one leads");
        }
        self.stats.no_trouble();
        self.stats.state = State::Standby;
        self.pause_until = now + self.backoff.spread(self.periods.standby);
    }

    fn moved(&mut self, doing: &Doing, events: u64, now: Instant) {
        self.stats.retried += events;
        if *doing == Doing::Retry {
            self.stats.works(&label(doing));
        }
        if events >= u64::from(Self::RETRY_EVENTS) {
            self.schedule.hasten(Job::Retry, now);
        }
    }

    fn ran(&mut self, doing: Doing, result: i64) {
        self.stats.maintained += 1;
        self.stats.works(&label(&doing));
        self.repeats = if result == 0 { 0 } else { self.repeats + 1 };
        let again = result != 0 && self.repeats < Self::MAX_REPEATS;
        if let (Doing::Run(operation), true) = (doing, again) {
            self.operations.push_front(operation);
        }
    }

    fn answer(&mut self, reply: &Reply, now: Instant) {
        let leading = self.link == Link::Leading;
        self.stats.ticks += u64::from(matches!(reply, Reply::TickedQueue(Some(_))));
        let Some(request) = self.requests.front_mut() else { return };
        if request.replied(reply, leading, now) {
            self.answers.push_back((request.id(), Ok(())));
            self.requests.pop_front();
        }
    }
}

const TICK: &str = "tick";

/// How a job is called in [`Stats::failing`].
fn label(doing: &Doing) -> String {
    match doing {
        Doing::TickQueue(queue) => format!("{TICK} of {queue:?}"),
        Doing::Retry | Doing::RetryEnabled => "retry".to_owned(),
        Doing::Run(Operation { function, argument: Some(argument) }) => format!("{function} of {argument:?}"),
        Doing::Run(Operation { function, argument: None }) => function.clone(),
        Doing::ListOperations => "maintenance".to_owned(),
        _ => TICK.to_owned(),
    }
}
