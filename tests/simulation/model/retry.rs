use std::collections::BTreeMap;

use super::changes::Waiting;
use super::queue::Event;
use super::view::View;
use super::{Refusal, Row, Value};

impl View<'_> {
    /// What `pgq_core::batch::retry_means` asks: no row where the batch is not open.
    pub(super) fn retry_means(&self, batch: i64) -> Vec<Row> {
        let means = || vec![Value::Bool(true), Value::Bool(false)];
        self.with_batch(batch).map(|_| means()).into_iter().collect()
    }

    pub(super) fn retry_all(&mut self, batch: i64, seconds: i32) -> Result<i32, Refusal> {
        if self.with_batch(batch).is_none() {
            return Refusal::raise(format!("batch_retry: batch {batch} not found"));
        }
        let events = self.events_of(batch)?;
        Ok(events.into_iter().map(|event| self.queue_retry(batch, event, seconds)).sum())
    }

    pub(super) fn retry_set(&mut self, batch: i64, ids: &[i64], seconds: &[i32]) -> Result<i32, Refusal> {
        if ids.is_empty() {
            return Ok(0);
        }
        let events: BTreeMap<i64, Event> =
            self.events_of(batch)?.into_iter().map(|event| (event.id, event)).collect();
        let wishes: BTreeMap<i64, i32> = ids.iter().copied().zip(seconds.iter().copied()).collect();
        let mut queued = 0;
        for (id, seconds) in wishes {
            match events.get(&id) {
                Some(event) => queued += self.queue_retry(batch, event.clone(), seconds),
                None => return Refusal::raise("event not found"),
            }
        }
        Ok(queued)
    }

    fn queue_retry(&mut self, batch: i64, event: Event, seconds: i32) -> i32 {
        let (key, row) = self.with_batch(batch).expect("it was found before");
        let place = (row.id, event.id);
        if self.changes.retries.contains_key(&place) || self.database.retries.contains_key(&place) {
            return 0;
        }
        let due = self.now + i64::from(seconds) * 1_000_000;
        let event = Event { owner: Some(row.id), retry: Some(event.retry.unwrap_or(0) + 1), ..event };
        self.changes.retries.insert(place, Waiting { queue: key.0, due, event });
        1
    }
}
