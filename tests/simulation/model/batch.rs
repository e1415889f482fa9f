use super::changes::Finished;
use super::consumer::Subscription;
use super::queue::{Event, Tick};
use super::view::{Key, View};
use super::{Refusal, Row, Value};

/// How large and how old a batch is to be; in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) min_lag: Option<i64>,
    pub(crate) min_count: Option<i32>,
    pub(crate) min_interval: Option<i64>,
}

/// A batch as it was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) id: i64,
    pub(super) last: Tick,
    pub(super) next: Tick,
}

impl Opened {
    fn row(opened: Option<Self>) -> Row {
        let Some(Self { id, last, next }) = opened else { return vec![Value::Null; 7] };
        vec![
            Value::Int8(id),
            Value::Int8(next.id),
            Value::Int8(last.id),
            Value::Time(next.time),
            Value::Time(last.time),
            Value::Int8(next.event_seq),
            Value::Int8(last.event_seq),
        ]
    }

    /// The columns of both `next_batch_custom`, in the order that the statements select them.
    pub(super) fn answer(opened: Option<Self>) -> Row {
        let mut row = Self::row(opened);
        row.push(Value::Bool(false));
        row
    }
}

impl View<'_> {
    pub(super) fn next_batch(&mut self, key: &Key, pace: Pace) -> Result<Option<Opened>, Refusal> {
        let Some(row) = self.subscription(key) else {
            return Refusal::raise(format!("Not subscriber to queue: {}/{}", key.0, key.1));
        };
        let Some(last) = row.last_tick.and_then(|tick| self.tick(&key.0, tick)) else {
            return Refusal::raise(format!(
                "PgQ corruption: Consumer {} on queue {} does not see tick <NULL>",
                key.1, key.0
            ));
        };
        if let Some(opened) = self.opened(key, &row) {
            return Ok(Some(opened));
        }
        let queue = self.queue(&key.0).expect("a subscription has a queue");
        let Some(next) = queue.next_tick(last, pace.min_count.map(i64::from), pace.min_interval) else {
            return Ok(None);
        };
        if pace.min_lag.is_some_and(|lag| self.now - next.time < lag) {
            return Ok(None);
        }
        self.lock(key)?;
        let id = self.database.next_batch();
        let opened = Subscription { batch: Some(id), next_tick: Some(next.id), active: self.now, ..row };
        self.write(key, Some(opened))?;
        Ok(Some(Opened { id, last, next }))
    }

    /// The batch that a row has open.
    pub(super) fn opened(&self, key: &Key, row: &Subscription) -> Option<Opened> {
        let tick = |id: Option<i64>| self.tick(&key.0, id?);
        Some(Opened { id: row.batch?, last: tick(row.last_tick)?, next: tick(row.next_tick)? })
    }

    pub(super) fn events_of(&self, batch: i64) -> Result<Vec<Event>, Refusal> {
        let found = self.with_batch(batch);
        let opened = found.as_ref().and_then(|(key, row)| Some((key, row, self.opened(key, row)?)));
        let Some((key, row, opened)) = opened else { return Refusal::raise("batch not found") };
        let queue = self.queue(&key.0).expect("a subscription has a queue");
        Ok(queue.between(opened.last, opened.next, row.id))
    }

    pub(super) fn open_cursor(
        &mut self,
        batch: i64,
        name: &str,
        limit: i32,
        after: Option<i64>,
    ) -> Result<Vec<Row>, Refusal> {
        let mut events = self.events_of(batch)?;
        events.retain(|event| after.is_none_or(|after| event.id > after));
        if self.changes.cursors.contains_key(name) {
            return Refusal::error("42P03", format!("cursor \"{name}\" already exists"));
        }
        self.changes.cursors.insert(name.to_owned(), events);
        self.fetch(name, limit)
    }

    pub(super) fn close_cursor(&mut self, name: &str) -> Result<(), Refusal> {
        match self.changes.cursors.remove(name) {
            Some(_) => Ok(()),
            None => Refusal::error("34000", format!("cursor \"{name}\" does not exist")),
        }
    }

    pub(super) fn fetch(&mut self, name: &str, limit: i32) -> Result<Vec<Row>, Refusal> {
        let Some(rest) = self.changes.cursors.get_mut(name) else {
            return Refusal::error("34000", format!("cursor \"{name}\" does not exist"));
        };
        let count = usize::try_from(limit).expect("a limit").min(rest.len());
        Ok(rest.drain(..count).map(row_of).collect())
    }

    pub(super) fn batch_info(&self, batch: i64) -> Vec<Row> {
        let found = self.with_batch(batch);
        let opened = found.as_ref().and_then(|(key, row)| Some((key, self.opened(key, row)?)));
        let Some((key, Opened { last, next, .. })) = opened else { return Vec::new() };
        vec![vec![
            key.0.as_str().into(),
            key.1.as_str().into(),
            Value::Time(last.time),
            Value::Time(next.time),
            Value::Int8(last.id),
            Value::Int8(next.id),
            Value::Float8((self.now - next.time) as f64 / 1e6),
            Value::Int8(last.event_seq),
            Value::Int8(next.event_seq),
        ]]
    }

    pub(super) fn finish(&mut self, batch: i64) -> Result<i32, Refusal> {
        let Some((key, row)) = self.with_batch(batch) else { return Ok(0) };
        self.lock(&key)?;
        let Some(opened) = self.opened(&key, &row) else { return Ok(0) };
        let events = self.events_of(batch)?;
        let last_tick = if self.main_of(&key).is_some() { None } else { row.next_tick };
        let done = Subscription { last_tick, next_tick: None, batch: None, active: self.now, ..row };
        self.write(&key, Some(done))?;
        self.changes.finished.push(Finished {
            batch,
            key,
            by: self.database.name_of(self.session),
            ticks: (opened.last.id, opened.next.id),
            events: events.iter().map(|event| (event.id, event.retry.unwrap_or(0))).collect(),
        });
        Ok(1)
    }
}

fn row_of(event: Event) -> Row {
    let [extra1, extra2, extra3, extra4] = event.extras;
    vec![
        Value::Int8(event.id),
        Value::Time(event.time),
        Value::Int8(event.txid),
        event.retry.map_or(Value::Null, Value::Int4),
        event.event_type.into(),
        event.data.into(),
        extra1.into(),
        extra2.into(),
        extra3.into(),
        extra4.into(),
    ]
}
