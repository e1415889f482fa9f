use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::changes::{Applied, Changes, Finished, Letter, SinkRow, Waiting};
use super::consumer::Subscription;
use super::queue::{Event, Queue};
use super::view::{Key, View};
use super::{Refusal, Request, Row};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) i32);

/// How a session stands, as `ReadyForQuery` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    InTransaction,
    Failed,
}

/// A database with PgQ and a table `sink`, and the sessions on it.
#[derive(Default)]
pub(crate) struct Database {
    /// Microseconds since 2000.
    pub(crate) now: i64,
    /// Whether a batch that is taken over has the same id as before.
    pub(crate) keeps_batch_ids: bool,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) subscriptions: BTreeMap<Key, Subscription>,
    pub(super) retries: BTreeMap<(i32, i64), Waiting>,
    /// What was committed, for the checks.
    pub(crate) sink: Vec<SinkRow>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) finished: Vec<Finished>,
    /// Who was answered with a batch, by the batch.
    pub(crate) handed: BTreeMap<i64, BTreeSet<String>>,
    pub(super) applied: BTreeSet<Applied>,
    pub(super) claims: BTreeMap<Key, (SessionId, u32)>,
    sessions: BTreeMap<SessionId, Session>,
    commits: u64,
    last_session: i32,
    last_batch: i64,
    last_subscription: i32,
    last_txid: i64,
}

struct Session {
    name: String,
    transaction: Option<Transaction>,
    listens: bool,
    /// Whether it waits for locks; else it fails at once.
    waits: bool,
    /// Payloads that are on their way to it.
    notices: Vec<String>,
    waits_for: Option<SessionId>,
}

#[derive(Default)]
struct Transaction {
    began: i64,
    changes: Changes,
    savepoints: Vec<(String, Changes)>,
    failed: bool,
    ticked: Vec<String>,
}

impl Database {
    pub(crate) fn connect(&mut self, name: &str) -> SessionId {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let session = Session {
            name: name.to_owned(),
            transaction: None,
            listens: false,
            waits: true,
            notices: Vec::new(),
            waits_for: None,
        };
        self.sessions.insert(id, session);
        id
    }

    /// Ends a session; its transaction is rolled back.
    pub(crate) fn disconnect(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.claims.retain(|_, (holder, _)| *holder != session);
    }

    pub(crate) fn status(&self, session: SessionId) -> Status {
        match self.sessions.get(&session).and_then(|session| session.transaction.as_ref()) {
            None => Status::Idle,
            Some(transaction) if transaction.failed => Status::Failed,
            Some(_) => Status::InTransaction,
        }
    }

    pub(crate) fn is_connected(&self, name: &str) -> bool {
        self.sessions.values().any(|session| session.name == name)
    }

    pub(crate) fn name_of(&self, session: SessionId) -> String {
        self.sessions.get(&session).map_or_else(String::new, |session| session.name.clone())
    }

    /// Runs a statement. One that has to wait changes nothing, and is to be run again when a transaction has ended.
    pub(crate) fn execute(&mut self, session: SessionId, request: &Request) -> Result<Vec<Row>, Refusal> {
        self.session(session).waits_for = None;
        let result = match self.control(session, request) {
            Some(result) => result,
            None => self.query(session, request),
        };
        match result {
            Err(Refusal::Wait(holder)) if self.waits_in_a_circle(session, holder) => {
                self.fail(session);
                Refusal::error("40P01", "deadlock detected")
            }
            Err(Refusal::Wait(_)) if !self.session(session).waits => {
                self.fail(session);
                Refusal::error("55P03", "canceling statement due to lock timeout")
            }
            Err(Refusal::Wait(holder)) => {
                self.session(session).waits_for = Some(holder);
                Err(Refusal::Wait(holder))
            }
            result => result,
        }
    }

    /// Has the session's transaction fail, as a statement that fails does. Locks are given up back to the last savepoint.
    pub(crate) fn fail(&mut self, session: SessionId) {
        let session = self.session(session);
        session.waits_for = None;
        if let Some(transaction) = &mut session.transaction {
            transaction.failed = true;
            transaction.changes =
                transaction.savepoints.last().map_or_else(Changes::default, |(_, changes)| changes.clone());
        }
    }

    /// Rolls back a transaction whose commit failed.
    pub(crate) fn fail_commit(&mut self, session: SessionId) {
        self.session(session).transaction = None;
    }

    /// The notices for a session that is not in a transaction.
    pub(crate) fn take_notices(&mut self, session: SessionId) -> Vec<String> {
        match self.sessions.get_mut(&session) {
            Some(session) if session.transaction.is_none() => mem::take(&mut session.notices),
            _ => Vec::new(),
        }
    }

    pub(crate) fn create_queue(&mut self, name: &str) -> i32 {
        if self.queues.contains_key(name) {
            return 0;
        }
        self.queues.insert(name.to_owned(), Queue::new(self.now, self.commits));
        1
    }

    /// Makes a tick, due or not, and tells who listens.
    pub(crate) fn tick(&mut self, name: &str) -> i64 {
        let (now, commits) = (self.now, self.commits);
        let tick = self.queues.get_mut(name).expect("the queue").tick(now, commits);
        for session in self.sessions.values_mut().filter(|session| session.listens) {
            session.notices.push(name.to_owned());
        }
        tick
    }

    /// Puts what is due back into its queue, as one transaction, and tells how many events that were.
    pub(crate) fn move_retries(&mut self) -> i32 {
        let due: Vec<_> = self.retries.iter().filter(|(_, waiting)| waiting.due <= self.now).collect();
        let mut places: Vec<_> = due.into_iter().map(|(place, waiting)| (waiting.due, *place)).collect();
        places.sort();
        places.truncate(10);
        self.commits += 1;
        let (commit, txid) = (self.commits, self.next_txid());
        for (_, place) in &places {
            let waiting = self.retries.remove(place).expect("it was there");
            let event = Event { commit, txid, ..waiting.event };
            let queue = self.queues.get_mut(&waiting.queue).expect("the queue");
            // The event keeps its id, and uses one up.
            queue.last_event += 1;
            queue.events.push(event);
        }
        i32::try_from(places.len()).expect("ten")
    }

    /// Whether something was committed that no tick sees.
    pub(crate) fn wants_tick(&self, queue: &str) -> bool {
        let queue = &self.queues[queue];
        queue.events.iter().any(|event| event.commit > queue.newest().commits)
    }

    /// Whether every consumer is past everything that was committed, and nothing waits.
    pub(crate) fn is_settled(&self) -> bool {
        let is_past = |(key, row): (&Key, &Subscription)| {
            let queue = &self.queues[&key.0];
            let newest = queue.newest();
            let is_idle_member = row.last_tick.is_none();
            row.batch.is_none() && (is_idle_member || row.last_tick == Some(newest.id))
        };
        let is_ticked =
            |queue: &Queue| queue.events.iter().all(|event| event.commit <= queue.newest().commits);
        self.retries.is_empty()
            && self.queues.values().all(is_ticked)
            && self.subscriptions.iter().all(is_past)
            && self.sessions.values().all(|session| session.transaction.is_none())
    }

    /// The ids of what was committed to a queue by its producers.
    pub(crate) fn committed(&self, queue: &str) -> BTreeMap<i64, Event> {
        let first = |event: &&Event| event.owner.is_none();
        self.queues[queue].events.iter().filter(first).map(|event| (event.id, event.clone())).collect()
    }

    /// The batch that somebody was handed last.
    pub(crate) fn batch_of(&self, name: &str) -> i64 {
        let mut handed = self.handed.iter().rev();
        handed.find(|(_, names)| names.contains(name)).map_or(0, |(batch, _)| *batch)
    }

    /// Has a consumer been silent for so many microseconds more, unless its row is locked.
    pub(crate) fn age(&mut self, queue: &str, consumer: &str, by: i64) {
        let key = (queue.to_owned(), consumer.to_owned());
        let is_locked = self.holder(SessionId(0), &key).is_some();
        if let Some(row) = self.subscriptions.get_mut(&key).filter(|_| !is_locked) {
            row.active -= by;
        }
    }

    pub(super) fn next_batch(&mut self) -> i64 {
        self.last_batch += 1;
        self.last_batch
    }

    pub(super) fn next_subscription(&mut self) -> i32 {
        self.last_subscription += 1;
        self.last_subscription
    }

    pub(super) fn forget_retries(&mut self, owner: i32) {
        self.retries.retain(|(other, _), _| *other != owner);
    }

    pub(super) fn holder(&self, asker: SessionId, key: &Key) -> Option<SessionId> {
        let holds = |session: &Session| {
            session.transaction.as_ref().is_some_and(|transaction| transaction.holds(key))
        };
        let mut others = self.sessions.iter().filter(|(id, _)| **id != asker);
        others.find(|(_, session)| holds(session)).map(|(id, _)| *id)
    }

    pub(super) fn next_txid(&mut self) -> i64 {
        self.last_txid += 1;
        self.last_txid
    }

    fn session(&mut self, session: SessionId) -> &mut Session {
        self.sessions.get_mut(&session).expect("a session that is there")
    }

    fn waits_in_a_circle(&self, session: SessionId, holder: SessionId) -> bool {
        let mut next = Some(holder);
        while let Some(waiter) = next {
            if waiter == session {
                return true;
            }
            next = self.sessions.get(&waiter).and_then(|waiter| waiter.waits_for);
        }
        false
    }

    /// Begins, ends and the like; `None` for what is none of them.
    fn control(&mut self, id: SessionId, request: &Request) -> Option<Result<Vec<Row>, Refusal>> {
        let now = self.now;
        let session = self.session(id);
        let failed = session.transaction.as_ref().is_some_and(|transaction| transaction.failed);
        if failed && !request.ends_transaction() {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Some(Refusal::error("25P02", message));
        }
        match request {
            Request::Begin => {
                let begin = || Transaction { began: now, ..Transaction::default() };
                session.transaction.get_or_insert_with(begin);
            }
            Request::Rollback => session.transaction = None,
            Request::Commit => {
                if let Some(transaction) = session.transaction.take().filter(|_| !failed) {
                    self.apply(transaction);
                }
            }
            Request::Savepoint(name) => match &mut session.transaction {
                Some(transaction) => {
                    transaction.savepoints.push((name.clone(), transaction.changes.clone()));
                }
                None => return Some(Self::no_transaction("SAVEPOINT")),
            },
            Request::Release(name) => match session.transaction.as_mut() {
                Some(transaction) => {
                    let Some(place) = transaction.place(name) else {
                        return Some(transaction.no_savepoint(name));
                    };
                    transaction.savepoints.truncate(place);
                }
                None => return Some(Self::no_transaction("RELEASE SAVEPOINT")),
            },
            Request::RollbackTo(name) => match session.transaction.as_mut() {
                Some(transaction) => {
                    let Some(place) = transaction.place(name) else {
                        return Some(transaction.no_savepoint(name));
                    };
                    transaction.savepoints.truncate(place + 1);
                    transaction.changes = transaction.savepoints[place].1.clone();
                    transaction.failed = false;
                }
                None => return Some(Self::no_transaction("ROLLBACK TO SAVEPOINT")),
            },
            Request::Listen => session.listens = true,
            Request::Unlisten => session.listens = false,
            Request::LimitWaits => session.waits = false,
            Request::Nothing | Request::Setting => {}
            _ => return None,
        }
        Some(Ok(Vec::new()))
    }

    fn no_transaction(what: &str) -> Result<Vec<Row>, Refusal> {
        Refusal::error("25P01", format!("{what} can only be used in transaction blocks"))
    }

    fn query(&mut self, id: SessionId, request: &Request) -> Result<Vec<Row>, Refusal> {
        let now = self.now;
        let explicit = self.session(id).transaction.take();
        let is_explicit = explicit.is_some();
        let mut transaction =
            explicit.unwrap_or_else(|| Transaction { began: now, ..Transaction::default() });
        let before = transaction.changes.clone();
        let changes = mem::take(&mut transaction.changes);
        let mut view = View { database: self, changes, session: id, now: transaction.began };
        let result = view.answer(request, &mut transaction.ticked);
        let changes = view.changes;
        transaction.changes = if result.is_ok() { changes } else { before };
        match (&result, is_explicit) {
            (Ok(_), false) => self.apply(transaction),
            (Err(Refusal::Error(_)), true) => {
                self.session(id).transaction = Some(transaction);
                self.fail(id);
            }
            (_, true) => self.session(id).transaction = Some(transaction),
            (Err(_), false) => {}
        }
        result
    }

    fn apply(&mut self, transaction: Transaction) {
        let changes = transaction.changes;
        for (key, row) in changes.subscriptions {
            match row {
                Some(row) => self.subscriptions.insert(key, row),
                None => self.subscriptions.remove(&key),
            };
        }
        if !changes.events.is_empty() {
            self.commits += 1;
        }
        let commit = self.commits;
        for (queue, event) in changes.events {
            self.queues.get_mut(&queue).expect("the queue").events.push(Event { commit, ..event });
        }
        self.retries.extend(changes.retries);
        self.sink.extend(changes.sink);
        self.letters.extend(changes.letters);
        self.finished.extend(changes.finished);
        self.applied.extend(changes.applied);
        for queue in transaction.ticked {
            self.tick(&queue);
        }
    }
}

impl Transaction {
    fn holds(&self, key: &Key) -> bool {
        self.changes.locked.contains(key)
    }

    /// A savepoint that is not there fails the transaction.
    fn no_savepoint(&mut self, name: &str) -> Result<Vec<Row>, Refusal> {
        self.failed = true;
        Refusal::error("3B001", format!("savepoint \"{name}\" does not exist"))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name)
    }
}
