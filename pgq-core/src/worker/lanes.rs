use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use crate::Event;

/// Events that are handled side by side, so many at once: those of one key one after the other, in their order. One that is to be
/// tried again holds up its key, and nothing else.
#[derive(Debug)]
pub struct Lanes {
    at_once: usize,
    running: usize,
    pushed: u64,
    lanes: HashMap<Lane, VecDeque<Waiting>>,
    ready: BTreeMap<u64, Lane>,
    asleep: BTreeSet<(Instant, u64, Lane)>,
}

/// An event whose turn it is. It must end as [`Lanes::over`] or [`Lanes::again`].
#[derive(Debug)]
#[must_use = "the next event of its key waits for it"]
pub struct Turn {
    /// The event.
    pub event: Event,
    /// How many times it was tried in this batch before.
    pub tries: u32,
    number: u64,
    lane: Lane,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Lane {
    Key(u64),
    Own(u64),
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    tries: u32,
    number: u64,
}

impl Lanes {
    /// Lets so many events run at once; at least one.
    pub fn new(at_once: usize) -> Self {
        Self {
            at_once: at_once.max(1),
            running: 0,
            pushed: 0,
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            asleep: BTreeSet::new(),
        }
    }

    /// Adds an event behind the others of its key, which is given by its hash; one without a key waits for none.
    pub fn push(&mut self, key: Option<u64>, event: Event) {
        let number = self.pushed;
        self.pushed += 1;
        let lane = key.map_or(Lane::Own(number), Lane::Key);
        let waiting = self.lanes.entry(lane).or_insert_with(|| {
            self.ready.insert(number, lane);
            VecDeque::new()
        });
        waiting.push_back(Waiting { event, tries: 0, number });
    }

    /// The next event that may run, the oldest first.
    pub fn next(&mut self, now: Instant) -> Option<Turn> {
        while let Some(&(at, number, lane)) = self.asleep.first().filter(|(at, ..)| *at <= now) {
            self.asleep.remove(&(at, number, lane));
            self.ready.insert(number, lane);
        }
        if self.running >= self.at_once {
            return None;
        }
        let (_, lane) = self.ready.pop_first()?;
        let Waiting { event, tries, number } = self.lanes.get_mut(&lane)?.pop_front()?;
        self.running += 1;
        Some(Turn { event, tries, number, lane })
    }

    /// The event is done with: the next one of its key may run.
    pub fn over(&mut self, turn: Turn) {
        self.running -= 1;
        match self.lanes.get(&turn.lane).and_then(VecDeque::front) {
            Some(next) => {
                self.ready.insert(next.number, turn.lane);
            }
            None => {
                self.lanes.remove(&turn.lane);
            }
        }
    }

    /// The event failed, and is to be tried again at that time, before the others of its key.
    pub fn again(&mut self, mut turn: Turn, at: Instant) {
        turn.tries += 1;
        self.later(turn, at);
    }

    /// The event is to be handled again at that time, before the others of its key, as its handler wished: no failure.
    pub fn later(&mut self, turn: Turn, at: Instant) {
        self.running -= 1;
        let Turn { event, tries, number, lane } = turn;
        self.asleep.insert((at, number, lane));
        self.lanes.entry(lane).or_default().push_front(Waiting { event, tries, number });
    }

    /// When the first event that waits for its time may run; `None` where none does.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.asleep.first().map(|&(at, ..)| at)
    }

    /// Whether all events are over.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

/// Whether so many events of so many bytes are enough to be in memory at once, where they are handled without a transaction.
pub fn window_is_full(events: usize, bytes: usize) -> bool {
    events >= 10_000 || bytes >= 64 << 20
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{EventId, TxId};

    fn event(id: i64) -> Event {
        Event {
            id: EventId(id),
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

    fn take(lanes: &mut Lanes, now: Instant) -> Vec<Turn> {
        std::iter::from_fn(|| lanes.next(now)).collect()
    }

    fn ids(turns: &[Turn]) -> Vec<i64> {
        turns.iter().map(|turn| turn.event.id.0).collect()
    }

    #[test]
    fn one_at_once_keeps_the_order_over_all_keys() {
        let (mut lanes, now) = (Lanes::new(1), Instant::now());
        for (id, key) in [(1, Some(7)), (2, Some(7)), (3, None), (4, Some(8)), (5, Some(7))] {
            lanes.push(key, event(id));
        }
        let mut order = Vec::new();
        while let Some(turn) = lanes.next(now) {
            order.push(turn.event.id.0);
            assert!(lanes.next(now).is_none());
            lanes.over(turn);
        }
        assert_eq!(order, [1, 2, 3, 4, 5]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn a_key_waits_for_itself_alone() {
        let (mut lanes, now) = (Lanes::new(2), Instant::now());
        for (id, key) in [(1, 7), (2, 7), (3, 8), (4, 9)] {
            lanes.push(Some(key), event(id));
        }
        let mut running = take(&mut lanes, now);
        assert_eq!(ids(&running), [1, 3]);
        let later = now + Duration::from_secs(1);
        lanes.again(running.remove(0), later);
        assert_eq!(lanes.wakes_at(), Some(later));
        let others = take(&mut lanes, now);
        assert_eq!(ids(&others), [4]);
        for turn in running.into_iter().chain(others) {
            lanes.over(turn);
        }
        assert!(lanes.next(now).is_none() && !lanes.is_empty());
        let again = lanes.next(later).unwrap();
        assert_eq!((again.event.id.0, again.tries), (1, 1));
        assert!(lanes.next(later).is_none());
        lanes.over(again);
        let last = lanes.next(later).unwrap();
        assert_eq!((last.event.id.0, last.tries), (2, 0));
        lanes.over(last);
        assert!(lanes.is_empty());
    }
}
