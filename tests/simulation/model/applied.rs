//! What pgq_ext records, so that nothing is applied twice.

use super::view::View;
use super::{Row, Value};

impl View<'_> {
    pub(super) fn events_done(&self, of: &str, batch: i64, events: &[i64]) -> Vec<Row> {
        let done = events.iter().filter(|event| self.is_applied(of, batch, **event));
        done.map(|event| vec![Value::Int8(*event)]).collect()
    }

    /// `false` where one of them was recorded before.
    pub(super) fn set_events_done(&mut self, of: &str, batch: i64, events: &[i64]) -> bool {
        let are_new = events.iter().all(|event| !self.is_applied(of, batch, *event));
        self.changes.applied.extend(events.iter().map(|event| (of.to_owned(), batch, *event)));
        are_new
    }

    fn is_applied(&self, of: &str, batch: i64, event: i64) -> bool {
        let place = (of.to_owned(), batch, event);
        self.changes.applied.contains(&place) || self.database.applied.contains(&place)
    }
}
