use std::collections::BTreeMap;

/// A queue with everything that was committed to it.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(super) ticks: BTreeMap<i64, Tick>,
    pub(super) events: Vec<Event>,
    pub(super) last_event: i64,
}

/// A tick sees the commits up to a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(super) id: i64,
    pub(super) time: i64,
    pub(super) commits: u64,
    pub(super) event_seq: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) time: i64,
    pub(crate) txid: i64,
    /// The subscription that alone gets it.
    pub(crate) owner: Option<i32>,
    pub(crate) retry: Option<i32>,
    pub(crate) event_type: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) extras: [Option<String>; 4],
    /// The number of the commit that made it visible.
    pub(super) commit: u64,
}

impl Queue {
    const MAX_COUNT: i64 = 500;
    const MAX_LAG: i64 = 3_000_000;
    const IDLE_PERIOD: i64 = 60_000_000;
    /// So many ids does `pgq.force_tick` pass over.
    pub(super) const FORCED: i64 = 2 * Self::MAX_COUNT + 1000;

    pub(super) fn new(now: i64, commits: u64) -> Self {
        let mut queue = Self { ticks: BTreeMap::new(), events: Vec::new(), last_event: 0 };
        queue.tick(now, commits);
        queue
    }

    pub(super) fn newest(&self) -> Tick {
        *self.ticks.values().next_back().expect("a queue has a tick from the start")
    }

    pub(super) fn tick(&mut self, now: i64, commits: u64) -> i64 {
        let id = self.ticks.keys().next_back().map_or(1, |newest| newest + 1);
        self.ticks.insert(id, Tick { id, time: now, commits, event_seq: self.last_event });
        id
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        let newest = self.newest();
        let (new, lag) = (self.last_event - newest.event_seq, (now - newest.time).abs());
        new >= Self::MAX_COUNT || new > 0 && lag >= Self::MAX_LAG || lag >= Self::IDLE_PERIOD
    }

    /// The tick that ends a batch after `last`.
    pub(super) fn next_tick(&self, last: Tick, count: Option<i64>, interval: Option<i64>) -> Option<Tick> {
        let mut later = self.ticks.range(last.id + 1..).map(|(_, tick)| *tick);
        if count.is_none() && interval.is_none() {
            return later.next();
        }
        let reaches = |tick: &Tick, times: i64| {
            count.is_some_and(|count| tick.event_seq - last.event_seq >= count * times)
                || interval.is_some_and(|interval| tick.time - last.time >= interval * times)
        };
        let exceeds_twice = |tick: &Tick| {
            count.is_some_and(|count| tick.event_seq - last.event_seq > count * 2)
                || interval.is_some_and(|interval| tick.time - last.time > interval * 2)
        };
        let newest = later.clone().next_back()?;
        match exceeds_twice(&newest) {
            true => later.find(|tick| reaches(tick, 1)),
            false => Some(newest).filter(|tick| reaches(tick, 1)),
        }
    }

    /// What lies between two ticks for a subscription, in the order of ids.
    pub(super) fn between(&self, last: Tick, next: Tick, owner: i32) -> Vec<Event> {
        let is_in = |event: &&Event| {
            last.commits < event.commit
                && event.commit <= next.commits
                && event.owner.is_none_or(|own| own == owner)
        };
        let mut events: Vec<_> = self.events.iter().filter(is_in).cloned().collect();
        events.sort_by_key(|event| event.id);
        events
    }
}
