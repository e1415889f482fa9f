use super::batch::{Opened, Pace};
use super::consumer::Subscription;
use super::view::{Key, View};
use super::{Refusal, Row, Value};

/// A member of a group, by the three names.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) queue: String,
    pub(crate) main: String,
    pub(crate) sub: String,
}

impl Member {
    fn key(&self) -> Key {
        (self.queue.clone(), format!("{}.{}", self.main, self.sub))
    }

    fn main_key(&self) -> Key {
        (self.queue.clone(), self.main.clone())
    }
}

impl View<'_> {
    /// The columns of `pgq_coop.next_batch_custom` as `pgq_core::coop` selects them.
    pub(super) fn next_of_member(
        &mut self,
        member: &Member,
        pace: Pace,
        dead: Option<i64>,
    ) -> Result<Row, Refusal> {
        let clash = self.clash(member);
        let opened = if clash { None } else { self.next_in_group(member, pace, dead)? };
        let mut row = Opened::answer(opened);
        row.push(Value::Bool(clash));
        Ok(row)
    }

    pub(super) fn register_member(&mut self, member: &Member) -> Result<Row, Refusal> {
        let clash = self.clash(member);
        let registered = if clash { Value::Null } else { Value::Int4(self.join(member)?) };
        Ok(vec![registered, Value::Bool(clash)])
    }

    pub(super) fn unregister_member(&mut self, member: &Member) -> Result<i32, Refusal> {
        if self.subscription(&member.main_key()).is_none() {
            return Ok(0);
        }
        self.lock(&member.main_key())?;
        let Some(row) = self.subscription(&member.key()) else { return Ok(0) };
        self.lock(&member.key())?;
        if row.batch.is_some() {
            return Refusal::raise("subconsumer has active batch");
        }
        self.write(&member.key(), None)?;
        Ok(1)
    }

    pub(super) fn finish_fenced(&mut self, member: &Member, batch: i64) -> Result<i32, Refusal> {
        match self.next_in_group(member, Pace::default(), None)? {
            Some(opened) if opened.id == batch => self.finish(batch),
            _ => Ok(0),
        }
    }

    pub(super) fn beat(&mut self, member: &Member, batch: i64) -> Result<bool, Refusal> {
        let opened = self.next_in_group(member, Pace::default(), None)?;
        Ok(opened.is_some_and(|opened| opened.id == batch))
    }

    fn next_in_group(
        &mut self,
        member: &Member,
        pace: Pace,
        dead: Option<i64>,
    ) -> Result<Option<Opened>, Refusal> {
        let (main_key, key) = (member.main_key(), member.key());
        if self.subscription(&main_key).is_none() {
            self.join(member)?;
        }
        self.lock(&main_key)?;
        let main = self.subscription(&main_key).expect("it is locked");
        if main.batch.is_some() {
            return Refusal::raise("main consumer has batch open?");
        }
        if self.subscription(&key).is_none_or(|row| row.id != main.id) {
            self.join(member)?;
        }
        self.lock(&key)?;
        let own = self.subscription(&key).expect("it is locked");
        if let Some(opened) = self.opened(&key, &own) {
            self.write(&key, Some(Subscription { active: self.now, ..own }))?;
            return Ok(Some(opened));
        }
        if let Some(taken) = self.take_over(member, &own, dead)? {
            return Ok(Some(taken));
        }
        let Some(opened) = self.next_batch(&main_key, pace)? else { return Ok(None) };
        let (last, next) = (Some(opened.last.id), Some(opened.next.id));
        let passed = Subscription { active: self.now, last_tick: next, next_tick: None, batch: None, ..main };
        self.write(&main_key, Some(passed))?;
        let opened_row = Subscription {
            active: self.now,
            last_tick: last,
            next_tick: next,
            batch: Some(opened.id),
            ..own
        };
        self.write(&key, Some(opened_row))?;
        Ok(Some(opened))
    }

    /// Removes one member that was silent for too long, and gives its batch to `own`.
    fn take_over(
        &mut self,
        member: &Member,
        own: &Subscription,
        dead: Option<i64>,
    ) -> Result<Option<Opened>, Refusal> {
        let Some(dead) = dead else { return Ok(None) };
        let (key, prefix) = (member.key(), format!("{}.", member.main));
        let keeps_ids = self.database.keeps_batch_ids;
        let is_dead = |(other, row): &(Key, Subscription)| {
            other.0 == key.0
                && row.id == own.id
                && *other != key
                && other.1.starts_with(&prefix)
                && row.active < self.now - dead
                && (keeps_ids || self.holder(other).is_none())
        };
        let found = self.subscriptions().into_iter().filter(is_dead);
        let Some((other, silent)) = found.min_by_key(|(_, row)| (row.batch.is_none(), row.active)) else {
            return Ok(None);
        };
        match keeps_ids {
            // It copies what it has read, also from a row that is being finished.
            true => drop(self.changes.subscriptions.insert(other, None)),
            false => self.write(&other, None)?,
        }
        if silent.batch.is_none() {
            return Ok(None);
        }
        let batch = if keeps_ids { silent.batch } else { Some(self.database.next_batch()) };
        let heir = Subscription { active: self.now, batch, id: own.id, ..silent };
        let opened = self.opened(&key, &heir);
        self.write(&key, Some(heir))?;
        Ok(opened)
    }

    /// Registers main consumer and member.
    fn join(&mut self, member: &Member) -> Result<i32, Refusal> {
        self.register(&member.main_key(), None)?;
        let main = self.subscription(&member.main_key()).expect("it is registered");
        if let Some(row) = self.subscription(&member.key()) {
            return match row.id == main.id {
                true => Ok(0),
                false => Refusal::error(
                    "55000",
                    format!(
                        "consumer \"{}\" of queue \"{}\" is not a subconsumer of \"{}\"",
                        member.key().1,
                        member.queue,
                        member.main
                    ),
                ),
            };
        }
        self.register(&member.key(), None)?;
        let row = self.subscription(&member.key()).expect("it is registered");
        self.write(&member.key(), Some(Subscription { id: main.id, last_tick: None, ..row }))?;
        Ok(1)
    }

    /// Whether a consumer of its own has the member's name.
    fn clash(&self, member: &Member) -> bool {
        let main = self.subscription(&member.main_key()).map(|main| main.id);
        self.subscription(&member.key()).is_some_and(|row| Some(row.id) != main)
    }
}
