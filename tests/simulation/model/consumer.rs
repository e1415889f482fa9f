use super::view::{Key, View};
use super::{Refusal, Row, Value};

/// A row of `pgq.subscription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Shared by the members of a group; the owner of their retries.
    pub(super) id: i32,
    pub(super) last_tick: Option<i64>,
    pub(super) next_tick: Option<i64>,
    pub(super) batch: Option<i64>,
    pub(super) active: i64,
}

impl View<'_> {
    pub(super) fn register(&mut self, key: &Key, at: Option<i64>) -> Result<i32, Refusal> {
        let Some(queue) = self.queue(&key.0) else { return Refusal::raise("Event queue not created yet") };
        let newest = queue.newest().id;
        let is_known = at.is_none_or(|tick| queue.ticks.contains_key(&tick));
        self.lock_name(key)?;
        if let (Some(tick), false) = (at, is_known) {
            return Refusal::raise(format!("cannot reposition, tick not found: {tick}"));
        }
        if let Some(row) = self.subscription(key) {
            if at.is_some() {
                let moved =
                    Subscription { last_tick: at, next_tick: None, batch: None, active: self.now, ..row };
                self.write(key, Some(moved))?;
            }
            return Ok(0);
        }
        self.lock(key)?;
        let id = self.database.next_subscription();
        let last_tick = Some(at.unwrap_or(newest));
        self.write(
            key,
            Some(Subscription { id, last_tick, next_tick: None, batch: None, active: self.now }),
        )?;
        Ok(1)
    }

    pub(super) fn unregister(&mut self, key: &Key) -> Result<i32, Refusal> {
        self.lock_name(key)?;
        let Some(row) = self.subscription(key) else { return Ok(0) };
        self.lock(key)?;
        if self.main_of(key).is_some() {
            if let Some(batch) = row.batch {
                self.retry_all(batch, 0)?;
            }
            self.write(key, None)?;
            return Ok(1);
        }
        let is_member = |other: &Key, id: i32| {
            other.0 == key.0 && id == row.id && (other == key || other.1.starts_with(&format!("{}.", key.1)))
        };
        let group: Vec<_> =
            self.subscriptions().into_iter().filter(|(other, member)| is_member(other, member.id)).collect();
        for (member, _) in &group {
            self.write(member, None)?;
        }
        self.database.forget_retries(row.id);
        self.changes.retries.retain(|(owner, _), _| *owner != row.id);
        Ok(i32::try_from(group.len()).expect("few"))
    }

    /// The consumer whose member this one is.
    pub(super) fn main_of(&self, key: &Key) -> Option<Key> {
        let row = self.subscription(key)?;
        let is_main = |(other, main): &(&Key, &Subscription)| {
            other.0 == key.0 && main.id == row.id && key.1.starts_with(&format!("{}.", other.1))
        };
        self.rows().find(is_main).map(|(main, _)| main.clone())
    }

    pub(super) fn consumer_info(&self, queue: Option<&str>, name: Option<&str>) -> Vec<Row> {
        let is_wanted =
            |key: &Key| queue.is_none_or(|queue| queue == key.0) && name.is_none_or(|name| name == key.1);
        let rows = self.subscriptions().into_iter().filter(|(key, _)| is_wanted(key));
        rows.map(|(key, row)| self.info_of(key, &row)).collect()
    }

    fn info_of(&self, key: Key, row: &Subscription) -> Row {
        let last = row.last_tick.and_then(|tick| self.tick(&key.0, tick));
        let newest = self.queue(&key.0).map(|queue| queue.newest().event_seq);
        let pending = last.zip(newest).map(|(last, newest)| newest - last.event_seq);
        let seconds = |since: i64| Value::Float8((self.now - since) as f64 / 1e6);
        vec![
            Value::Text(key.0),
            Value::Text(key.1),
            last.map_or(Value::Null, |last| seconds(last.time)),
            seconds(row.active),
            row.last_tick.into(),
            row.batch.into(),
            row.next_tick.into(),
            pending.into(),
        ]
    }
}
