use tokio_postgres::error::SqlState;

use super::retry_policy::attempt;
use super::unhandled::Rules;
use super::{
    Failure, FailureKind, Outcome, RetryPolicy, Undo, Unfinished, Verdict, WorkerOptions, savepoint,
};
use crate::batch::{OpenBatch, Reader};
use crate::{BatchId, Call, Error, Event, EventId, Result};

/// Judges what became of the events of a batch, and remembers what must outlive a batch that was rolled back.
#[derive(Debug)]
pub struct Judge {
    retries: RetryPolicy,
    rules: Rules,
    undo: Undo,
    random: fastrand::Rng,
    again: Option<(EventId, u32)>,
    careful: bool,
    checks: bool,
    batch: Option<FailedBatch>,
}

#[derive(Debug)]
struct FailedBatch {
    id: BatchId,
    failures: u32,
    given_up: Option<Failure>,
}

impl Judge {
    /// After so many batches in a row that the database failed at the same event, the failure counts as the event's.
    const TRIES: u32 = 5;

    /// Judges as the options say.
    pub fn new(options: &WorkerOptions, random: fastrand::Rng) -> Self {
        let WorkerOptions { retries, unknown, undecodable, undo, .. } = options.clone();
        let rules = Rules { unknown, undecodable };
        Self { retries, rules, undo, random, again: None, careful: false, checks: false, batch: None }
    }

    /// Whether there is to be a savepoint before each event of the batch that begins.
    pub fn wants_savepoints(&self) -> bool {
        self.careful || self.undo == Undo::Event
    }

    /// Judges an event that was handled in the transaction of its batch.
    pub fn in_transaction(&mut self, event: &Event, handled: Result<Outcome, Failure>) -> Verdict {
        if !self.wants_savepoints() && may_have_written(&handled) {
            self.careful = true;
            return Verdict::Redo;
        }
        match handled {
            Err(failure) if failure.is_transient() && self.may_repeat(event.id) => Verdict::Again(failure),
            handled => self.outside(event, 0, handled),
        }
    }

    /// Judges an event that was handled without a transaction, for the `tries`th time before in this batch.
    pub fn outside(&mut self, event: &Event, tries: u32, handled: Result<Outcome, Failure>) -> Verdict {
        let attempt = attempt(event).saturating_add(tries);
        self.retries.judge(attempt, self.rules, handled, self.random.f64())
    }

    /// What an error means that came between or after the handlers of a batch. It can be some handler's: the transaction is aborted, or a
    /// deferred constraint refuses to be committed. Then the batch is done again, with what it takes to find out whose.
    pub fn left_behind(&mut self, error: Error) -> Unfinished {
        let state = error.sqlstate().map_or("", SqlState::code);
        if state == SqlState::IN_FAILED_SQL_TRANSACTION.code() && !self.wants_savepoints() {
            self.careful = true;
        } else if state.starts_with("23") && !self.checks {
            (self.careful, self.checks) = (true, true);
        } else {
            return savepoint::explain(None, error).into();
        }
        Unfinished::Redo
    }

    /// What is to be done before the batch is finished, to find out whether a handler has ended its transaction. Between events, the savepoints
    /// show that.
    pub fn close<B>(&self, open: &OpenBatch, batch_handler: Option<&B>) -> Option<Call<'static, ()>> {
        match batch_handler {
            None if self.wants_savepoints() => None,
            _ => open.close(),
        }
    }

    /// What an error means that came when the batch was to be finished. After a handler for whole batches it is that one's failure,
    /// also if events were left unread.
    pub fn not_finished<B>(
        &mut self,
        reader: &Reader,
        id: BatchId,
        batch_handler: Option<&B>,
        error: Error,
    ) -> Unfinished {
        if batch_handler.is_none() {
            return self.left_behind(error);
        }
        let state = error.sqlstate().map_or("", SqlState::code);
        let aborted = state == SqlState::IN_FAILED_SQL_TRANSACTION.code() || state.starts_with("23");
        if aborted || matches!(error, Error::BatchUnread { .. }) {
            return self.batch(reader, id, Failure::error(error));
        }
        savepoint::explain(None, error).into()
    }

    /// The statement that keeps what an event wrote.
    pub fn keep(&self) -> &'static str {
        if self.checks { savepoint::NEXT_CHECKED } else { savepoint::NEXT }
    }

    /// Judges a batch whose handler, one for whole batches, failed; `closed` tells what came of [`close`](Self::close). Whatever the failure says: it is
    /// worse that the handler has ended the transaction.
    pub fn batch_failed(
        &mut self,
        reader: &Reader,
        id: BatchId,
        failure: Failure,
        closed: Result<()>,
    ) -> Unfinished {
        match closed.map_err(|error| savepoint::explain(None, error)) {
            Err(ended @ Error::TransactionEnded { .. }) => ended.into(),
            // It is another one that is aborted now.
            Err(Error::Database { source, .. }) if failure.has_lost_cursor() => {
                Error::TransactionEnded { event: None, source }.into()
            }
            _ => self.batch(reader, id, failure),
        }
    }

    /// Judges a batch whose handler, one for whole batches, failed. PgQ does not count how often that happens, so it is counted here.
    fn batch(&mut self, reader: &Reader, id: BatchId, failure: Failure) -> Unfinished {
        if failure.is_transient() {
            return Unfinished::Handler(failure);
        }
        self.window(reader, id, failure)
    }

    /// Like [`batch`](Self::batch), for events of it that were handled without its transaction: it is only them that are to be
    /// done again, or given up at once.
    pub fn window(&mut self, reader: &Reader, id: BatchId, failure: Failure) -> Unfinished {
        let before = self.batch.take().filter(|before| before.id == id).map_or(0, |before| before.failures);
        let failures = before.saturating_add(1);
        let verdict = self.retries.judge(failures, self.rules, Err(failure), self.random.f64());
        let (given_up, unfinished) = match verdict {
            Verdict::Dead(failure) => (Some(failure), Unfinished::Redo),
            Verdict::Retry(pause, Some(failure)) => (None, Unfinished::Batch(failure, pause)),
            Verdict::Stop(failure) => (None, Unfinished::Stop(reader.batch_failed(id, &failure))),
            _ => (None, Unfinished::Redo),
        };
        self.batch = Some(FailedBatch { id, failures, given_up });
        unfinished
    }

    /// Why all events of the batch that was opened are to become dead letters, if they are.
    pub fn given_up(&self, id: BatchId) -> Option<&Failure> {
        self.batch.as_ref().filter(|batch| batch.id == id)?.given_up.as_ref()
    }

    /// Takes down that a batch was finished: nothing of it is to be remembered.
    pub fn finished(&mut self) {
        (self.again, self.careful, self.checks, self.batch) = (None, false, false, None);
    }

    fn may_repeat(&mut self, event: EventId) -> bool {
        let tries = match self.again {
            Some((at, tries)) if at == event => tries + 1,
            _ => 1,
        };
        self.again = Some((event, tries));
        tries < Self::TRIES
    }
}

/// Whether there may be something to undo: not where no handler was called.
fn may_have_written(handled: &Result<Outcome, Failure>) -> bool {
    match handled {
        Ok(Outcome::Done) => false,
        Ok(_) => true,
        Err(failure) => !matches!(failure.kind(), FailureKind::UnknownType | FailureKind::Decode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TxId;

    fn event() -> Event {
        Event {
            id: EventId(7),
            time: chrono::DateTime::UNIX_EPOCH,
            txid: TxId(1),
            retry: 0,
            event_type: None,
            data: None,
            extra1: None,
            extra2: None,
            extra3: None,
            extra4: None,
        }
    }

    fn transient() -> Result<Outcome, Failure> {
        Err(Failure::error(Error::NoAnswerInTime { waited: std::time::Duration::from_secs(1) }))
    }

    #[test]
    fn what_the_database_fails_is_tried_again_but_not_for_ever() {
        let mut judge = Judge::new(&WorkerOptions::new(), fastrand::Rng::with_seed(1));
        for _ in 1..Judge::TRIES {
            assert!(matches!(judge.in_transaction(&event(), transient()), Verdict::Again(_)));
        }
        assert!(matches!(judge.in_transaction(&event(), transient()), Verdict::Retry(_, Some(_))));
        judge.finished();
        assert!(matches!(judge.in_transaction(&event(), transient()), Verdict::Again(_)));
    }

    #[test]
    fn a_batch_without_savepoints_is_done_again_with_them() {
        let options = WorkerOptions::new().undo(Undo::Batch);
        let mut judge = Judge::new(&options, fastrand::Rng::with_seed(1));
        assert!(!judge.wants_savepoints());
        assert!(matches!(judge.in_transaction(&event(), Ok(Outcome::Done)), Verdict::Done));
        assert!(matches!(judge.in_transaction(&event(), Err(Failure::error("no"))), Verdict::Redo));
        assert!(judge.wants_savepoints());
        assert!(matches!(
            judge.in_transaction(&event(), Err(Failure::error("no"))),
            Verdict::Retry(_, Some(_))
        ));
        judge.finished();
        assert!(!judge.wants_savepoints());
    }

    #[test]
    fn tries_in_place_count_as_attempts() {
        let mut judge = Judge::new(&WorkerOptions::new(), fastrand::Rng::with_seed(1));
        assert!(matches!(judge.outside(&event(), 3, Err(Failure::error("no"))), Verdict::Retry(..)));
        assert!(matches!(judge.outside(&event(), 4, Err(Failure::error("no"))), Verdict::Dead(_)));
    }

    #[test]
    fn a_batch_that_fails_as_often_as_it_may_is_given_up() {
        let options = WorkerOptions::new().retries(RetryPolicy::new().attempts(2));
        let mut judge = Judge::new(&options, fastrand::Rng::with_seed(1));
        let reader = Reader::consumer("q", "c");
        let fail = |judge: &mut Judge, id| judge.batch(&reader, BatchId(id), Failure::error("no"));
        assert!(matches!(fail(&mut judge, 1), Unfinished::Batch(..)));
        assert!(matches!(fail(&mut judge, 2), Unfinished::Batch(..)));
        assert!(judge.given_up(BatchId(2)).is_none());
        assert!(matches!(fail(&mut judge, 2), Unfinished::Redo));
        assert!(judge.given_up(BatchId(2)).is_some() && judge.given_up(BatchId(3)).is_none());
        judge.finished();
        assert!(judge.given_up(BatchId(2)).is_none());
    }
}
