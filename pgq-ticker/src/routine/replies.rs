use std::time::Instant;

use pgq_core::maintenance::Operation;
use pgq_core::{Error, Result, SessionId};

use super::news::Ticked;
use super::{Doing, Link, Routine};
use crate::reply::Reply;
use crate::request::RequestId;
use crate::{Job, Schedule, State};

/// What the answers mean.
impl Routine {
    pub(super) fn succeeded(&mut self, doing: Doing, reply: Reply, now: Instant) {
        if let Doing::Request(id) = doing {
            return self.served(id, &reply, now);
        }
        match reply {
            Reply::Prepared => self.link = Link::Unchecked,
            Reply::Checked => {
                self.link = Link::Standby;
                self.pause_until = now;
            }
            Reply::Lead(Some(session)) => self.lead(session, now),
            Reply::Lead(None) => self.stand_by(now),
            Reply::Ticked(queues) => {
                self.works();
                self.stats.ticks += queues;
                self.stats.forget(is_tick, |_| false);
                if queues > 0 {
                    self.news.tell(Ticked::SomeQueues);
                }
                self.look(now);
            }
            Reply::Queues(queues) => self.listed(queues, now),
            Reply::TickedQueue(tick) => {
                self.stats.works(&label(&doing));
                if let (Some(_), Doing::TickQueue(queue)) = (tick, doing) {
                    self.ticked(queue);
                }
            }
            Reply::Notified(by_us) => {
                self.stats.works(&label(&doing));
                if !by_us {
                    self.news.are_told_by_the_engine();
                }
            }
            Reply::Moved(events) => self.moved(&doing, events, now),
            Reply::ForcedAhead(queues) => {
                self.stats.works(&label(&doing));
                self.found_ahead(queues, now);
            }
            Reply::LongTransactions(open) => {
                self.stats.works(&label(&doing));
                self.found_open(open, now);
            }
            Reply::Operations(operations) => self.planned(operations, now),
            Reply::Ran(result) => self.ran(doing, result, now),
            Reply::Marked(_) | Reply::Forced(_) | Reply::NotRefused | Reply::Covered(_) => {}
        }
    }

    pub(super) fn failed(&mut self, doing: Doing, error: Error, now: Instant) {
        if error.is_connection() || matches!(error, Error::OtherSession) || is_hopeless(&doing, &error) {
            return self.lost(&error, now);
        }
        self.stats.failures += 1;
        if let Doing::Request(id) = doing {
            return self.answer(id, Err(error));
        }
        self.stats.fails(label(&doing), &error);
        match doing {
            Doing::Tick => self.then = Some(Doing::ListQueues),
            Doing::Retry if matches!(error, Error::InsertDisabled { .. }) => {
                self.then = Some(Doing::RetryEnabled);
            }
            Doing::Run(_) => self.next_operation(now),
            Doing::ForceAhead | Doing::LongTransactions => self.look_again(now),
            _ => {}
        }
    }

    fn lead(&mut self, session: SessionId, now: Instant) {
        tracing::info!("the ticker leads");
        self.stats.state = State::Leading;
        self.link = Link::Leading(session);
        self.schedule = Schedule::new(self.periods, now);
        self.looks.plan(now);
    }

    fn stand_by(&mut self, now: Instant) {
        if self.stats.state != State::Standby {
            tracing::info!("the ticker stands by: another one leads");
        }
        self.works();
        self.stats.state = State::Standby;
        self.pause_until = now + self.backoff.spread(self.periods.standby.max(Schedule::SHORTEST));
    }

    /// What was wrong with the connection is over.
    fn works(&mut self) {
        self.stats.no_trouble();
        self.backoff.reset();
    }

    fn listed(&mut self, queues: Vec<String>, now: Instant) {
        self.works();
        let remain: Vec<_> = queues.iter().map(|queue| label(&Doing::TickQueue(queue.clone()))).collect();
        self.stats.forget(is_tick, |job| job == TICK || remain.iter().any(|remains| remains == job));
        self.queues = queues.into();
        self.look(now);
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

    fn planned(&mut self, operations: Vec<Operation>, now: Instant) {
        let planned: Vec<_> =
            operations.iter().map(|operation| label(&Doing::Run(operation.clone()))).collect();
        let other =
            [Doing::Retry, Doing::ForceAhead, Doing::LongTransactions, Doing::Notify(Ticked::SomeQueues)];
        let other = other.map(|doing| label(&doing));
        self.stats.forget(
            |job| !is_tick(job) && !other.iter().any(|other| other == job),
            |job| planned.iter().any(|planned| planned == job),
        );
        self.operations = operations.into();
        self.next_operation(now);
    }

    fn ran(&mut self, doing: Doing, result: i64, now: Instant) {
        self.stats.maintained += 1;
        self.stats.works(&label(&doing));
        match doing {
            Doing::Run(operation) if result != 0 && self.repeats < Self::MAX_REPEATS => {
                self.repeats += 1;
                self.operations.push_front(operation);
                self.schedule.hasten(Job::Maintain, now);
            }
            _ => self.next_operation(now),
        }
    }

    /// Each operation waits its turn among the other jobs: a long round of maintenance holds up no tick.
    fn next_operation(&mut self, now: Instant) {
        self.repeats = 0;
        if !self.operations.is_empty() {
            self.schedule.hasten(Job::Maintain, now);
        }
    }

    fn served(&mut self, id: RequestId, reply: &Reply, now: Instant) {
        let leading = self.leads().is_some();
        let Some(request) = self.requests.iter_mut().find(|request| request.id() == id) else { return };
        let is_done = request.replied(reply, leading, now);
        if let Reply::TickedQueue(Some(_)) = reply {
            let queue = request.queue().to_owned();
            self.ticked(queue);
        }
        if is_done {
            self.answer(id, Ok(()));
        }
    }

    fn ticked(&mut self, queue: String) {
        self.stats.ticks += 1;
        self.news.tell(Ticked::Queue(queue));
    }

    fn answer(&mut self, id: RequestId, answer: Result<()>) {
        self.requests.retain(|request| request.id() != id);
        self.answers.push_back((id, answer));
        self.served = true;
    }
}

/// Whether only another connection, or another one's leadership, can help: nothing is set up, or nothing can be ticked at all.
fn is_hopeless(doing: &Doing, error: &Error) -> bool {
    match doing {
        Doing::Prepare | Doing::Check | Doing::Lead => true,
        Doing::Tick => matches!(
            error,
            Error::NotInstalled { .. } | Error::MissingPrivilege { .. } | Error::ReadOnly { .. }
        ),
        _ => false,
    }
}

const TICK: &str = "tick";
const LIST: &str = "list of queues";

/// How a job is called in [`Stats::failing`](crate::Stats::failing).
fn label(doing: &Doing) -> String {
    match doing {
        Doing::TickQueue(queue) => format!("{TICK} of {queue:?}"),
        Doing::Retry | Doing::RetryEnabled => "retry".to_owned(),
        Doing::Run(Operation { function, argument: Some(argument) }) => format!("{function} of {argument:?}"),
        Doing::Run(Operation { function, argument: None }) => function.clone(),
        Doing::Notify(_) => "notification".to_owned(),
        Doing::ForceAhead => "look for ticks from the future".to_owned(),
        Doing::LongTransactions => "look for long transactions".to_owned(),
        Doing::ListOperations => "maintenance".to_owned(),
        Doing::ListQueues => LIST.to_owned(),
        _ => TICK.to_owned(),
    }
}

fn is_tick(job: &str) -> bool {
    [TICK, LIST].contains(&job) || job.starts_with("tick of \"")
}
