use std::time::{Duration, Instant};

use pgq_core::maintenance::LongTransaction;

use super::{Doing, Routine};
use crate::{Job, Periods};

/// What is looked at after ticks from time to time: clocks and transactions that hold them up.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    after: Duration,
    /// When each is due; none for what is never looked at.
    ahead: Instant,
    open: Option<Instant>,
    /// Each look that was due then comes once.
    ticked: Instant,
    is_ahead: bool,
    known: Vec<Known>,
    told: Vec<LongTransaction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// At ticks from the future.
    Ahead,
    LongTransactions,
}

/// A transaction that was seen.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    pid: Option<i32>,
    since: Instant,
}

/// What comes of the looks.
impl Routine {
    /// After ticks.
    pub(super) fn look(&mut self, now: Instant) {
        self.looks.ticked = now;
        self.then = self.next_look(now);
    }

    /// What else was due at the last ticks, unless the next ones are due by now.
    pub(super) fn look_again(&mut self, now: Instant) {
        if !self.schedule.is_due(Job::Tick, now) {
            self.then = self.next_look(now);
        }
    }

    fn next_look(&mut self, now: Instant) -> Option<Doing> {
        self.looks.due(now).map(|look| match look {
            Look::Ahead => Doing::ForceAhead,
            Look::LongTransactions => Doing::LongTransactions,
        })
    }

    pub(super) fn found_ahead(&mut self, queues: u64, now: Instant) {
        self.looks.found_ahead(queues);
        if queues > 0 {
            self.schedule.hasten(Job::Tick, now);
        }
        self.look_again(now);
    }

    pub(super) fn found_open(&mut self, open: Vec<LongTransaction>, now: Instant) {
        self.stats.long_transactions = self.looks.found_open(open, now);
        self.look_again(now);
    }
}

impl Looks {
    const AHEAD: Duration = Duration::from_millis(500);
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new(periods: Periods, now: Instant) -> Self {
        let after = periods.long_transaction;
        let (known, told) = (Vec::new(), Vec::new());
        let mut looks = Self { after, ahead: now, open: None, ticked: now, is_ahead: false, known, told };
        looks.plan(now);
        looks
    }

    /// Begins anew. What was seen stays known, and is not told of again.
    pub(super) fn plan(&mut self, now: Instant) {
        self.ahead = now + Self::AHEAD;
        self.open = (self.after < Duration::MAX).then_some(now + Self::pause(self.after));
    }

    /// Takes the look that is due for longest.
    fn due(&mut self, now: Instant) -> Option<Look> {
        let ahead = (self.ahead <= self.ticked).then_some(self.ahead);
        let open = self.open.filter(|open| *open <= self.ticked);
        if open.is_some_and(|open| ahead.is_none_or(|ahead| open < ahead)) {
            self.open = Some(now + Self::pause(self.after));
            return Some(Look::LongTransactions);
        }
        ahead.map(|_| {
            self.ahead = now + Self::AHEAD;
            Look::Ahead
        })
    }

    /// So many queues had ticks from the future.
    fn found_ahead(&mut self, queues: u64) {
        if queues > 0 && !self.is_ahead {
            tracing::warn!(queues, "the clock was set back: queues have ticks from the future");
        }
        self.is_ahead = queues > 0;
    }

    /// These transactions are open: tells which of them are for long. The age where the server does not tell it is the time since they
    /// were first seen.
    fn found_open(&mut self, open: Vec<LongTransaction>, now: Instant) -> Vec<LongTransaction> {
        let known = |open: &LongTransaction| {
            let since = self.since(open, now);
            Known { id: open.id.clone(), pid: open.pid, since }
        };
        self.known = open.iter().map(known).collect();
        let since = self.known.iter().map(|known| known.since);
        let mut long: Vec<_> =
            open.into_iter().zip(since).map(|(open, since)| aged(open, now - since)).collect();
        long.retain(|open| open.age >= Some(self.after));
        long.sort_by_key(|open| std::cmp::Reverse(open.age));
        tell(&self.told, &long);
        self.told.clone_from(&long);
        long
    }

    /// A server that was started again may give the same name to a transaction of another process.
    fn since(&self, open: &LongTransaction, now: Instant) -> Instant {
        let known = self.known.iter().find(|known| known.id == open.id && known.pid == open.pid);
        known.map_or(now, |known| known.since)
    }

    fn pause(after: Duration) -> Duration {
        (after / 4).clamp(Self::SHORTEST, Self::LONGEST)
    }
}

fn aged(mut open: LongTransaction, seen: Duration) -> LongTransaction {
    open.age = open.age.or(Some(seen));
    open
}

/// Logs each one when it comes and when it goes.
fn tell(before: &[LongTransaction], now: &[LongTransaction]) {
    let is_in = |open: &LongTransaction, all: &[LongTransaction]| {
        all.iter().any(|other| other.id == open.id && other.pid == open.pid)
    };
    for open in now.iter().filter(|open| !is_in(open, before)) {
        let LongTransaction { pid, application, age, holds, .. } = open;
        tracing::warn!(?pid, %application, ?age, %holds, "a transaction is open for long and holds up PgQ");
    }
    for LongTransaction { pid, application, .. } in before.iter().filter(|open| !is_in(open, now)) {
        tracing::info!(?pid, %application, "a transaction that held up PgQ is over");
    }
}
