use super::changes::Changes;
use super::consumer::Subscription;
use super::queue::{Queue, Tick};
use super::{Database, Refusal, SessionId};

/// Queue and name of a consumer, which is the name of its row.
pub(crate) type Key = (String, String);

/// The database as a statement of a transaction sees it and changes it.
pub(super) struct View<'d> {
    pub(super) database: &'d mut Database,
    pub(super) changes: Changes,
    pub(super) session: SessionId,
    /// When the transaction began.
    pub(super) now: i64,
}

impl View<'_> {
    pub(super) fn queue(&self, name: &str) -> Option<&Queue> {
        self.database.queues.get(name)
    }

    pub(super) fn tick(&self, queue: &str, id: i64) -> Option<Tick> {
        self.queue(queue)?.ticks.get(&id).copied()
    }

    pub(super) fn subscription(&self, key: &Key) -> Option<Subscription> {
        match self.changes.subscriptions.get(key) {
            Some(changed) => changed.clone(),
            None => self.database.subscriptions.get(key).cloned(),
        }
    }

    /// All subscriptions that the transaction sees, in no order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Key, &Subscription)> {
        let changed = &self.changes.subscriptions;
        let own = changed.iter().filter_map(|(key, row)| Some((key, row.as_ref()?)));
        own.chain(self.database.subscriptions.iter().filter(|(key, _)| !changed.contains_key(*key)))
    }

    /// The same by queue and name.
    pub(super) fn subscriptions(&self) -> Vec<(Key, Subscription)> {
        let mut rows: Vec<_> = self.rows().map(|(key, row)| (key.clone(), row.clone())).collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows
    }

    pub(super) fn with_batch(&self, batch: i64) -> Option<(Key, Subscription)> {
        let (key, row) = self.rows().find(|(_, row)| row.batch == Some(batch))?;
        Some((key.clone(), row.clone()))
    }

    /// Locks a row until the transaction ends, also one that is not there yet.
    pub(super) fn lock(&mut self, key: &Key) -> Result<(), Refusal> {
        match self.holder(key) {
            Some(holder) => Err(Refusal::Wait(holder)),
            None => {
                self.changes.locked.insert(key.clone());
                Ok(())
            }
        }
    }

    /// Locks the row of `pgq.consumer`, which all queues share.
    pub(super) fn lock_name(&mut self, key: &Key) -> Result<(), Refusal> {
        self.lock(&(String::new(), key.1.clone()))
    }

    /// Which other session has the row locked.
    pub(super) fn holder(&self, key: &Key) -> Option<SessionId> {
        self.database.holder(self.session, key)
    }

    pub(super) fn write(&mut self, key: &Key, row: Option<Subscription>) -> Result<(), Refusal> {
        self.lock(key)?;
        if self.changes.subscriptions.contains_key(key) {
            // The server checks foreign keys of a row that this transaction wrote before, and so locks what they point to.
            self.lock_name(key)?;
        }
        self.changes.subscriptions.insert(key.clone(), row);
        Ok(())
    }
}
