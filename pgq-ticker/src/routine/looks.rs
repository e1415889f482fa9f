use std::time::{Duration, Instant};

use pgq_core::maintenance::LongTransaction;

use crate::{Periods, Stats};

/// What is looked at after ticks from time to time: clocks and transactions that hold them up.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    after: Duration,
    ahead: Instant,
    is_ahead: bool,
    open: Option<Instant>,
    known: Vec<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At ticks from the future.
    Ahead,
    LongTransactions,
}

/// A transaction that was seen.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    since: Instant,
}

impl Looks {
    const AHEAD: Duration = Duration::from_millis(500);
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new(periods: Periods, now: Instant) -> Self {
        let after = periods.long_transaction;
        let open = (after < Duration::MAX).then_some(now + Self::pause(after));
        Self { after, ahead: now + Self::AHEAD, is_ahead: false, open, known: Vec::new() }
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Look> {
        if self.open.is_some_and(|open| open <= now) {
            self.open = Some(now + Self::pause(self.after));
            return Some(Look::LongTransactions);
        }
        if self.ahead <= now {
            self.ahead = now + Self::AHEAD;
            return Some(Look::Ahead);
        }
        None
    }

    /// So many queues had ticks from the future.
    pub(super) fn found_ahead(&mut self, queues: u64) {
        if queues > 0 && !self.is_ahead {
            tracing::warn!(queues, "the clock was set back: queues have ticks from the future");
        }
        self.is_ahead = queues > 0;
    }

    /// These transactions are open. Their age where the server does not tell it is the time since they were first seen.
    pub(super) fn found_open(&mut self, open: Vec<LongTransaction>, stats: &mut Stats, now: Instant) {
        self.known =
            open.iter().map(|open| Known { id: open.id.clone(), since: self.since(open, now) }).collect();
        let since = self.known.iter().map(|known| known.since);
        let mut long: Vec<_> =
            open.into_iter().zip(since).map(|(open, since)| aged(open, now - since)).collect();
        long.retain(|open| open.age >= Some(self.after));
        long.sort_by_key(|open| std::cmp::Reverse(open.age));
        tell(&stats.long_transactions, &long);
        stats.long_transactions = long;
    }

    fn since(&self, open: &LongTransaction, now: Instant) -> Instant {
        self.known.iter().find(|known| known.id == open.id).map_or(now, |known| known.since)
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
    let is_in = |open: &LongTransaction, all: &[LongTransaction]| all.iter().any(|other| other.id == open.id);
    for open in now.iter().filter(|open| !is_in(open, before)) {
        let LongTransaction { pid, application, age, holds, .. } = open;
        tracing::warn!(?pid, %application, ?age, %holds, "a transaction is open for long and holds up PgQ");
    }
    for LongTransaction { pid, application, .. } in before.iter().filter(|open| !is_in(open, now)) {
        tracing::info!(?pid, %application, "a transaction that held up PgQ is over");
    }
}
