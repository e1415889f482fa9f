use tracing::Span;

use super::TraceParent;
use super::retry_policy::attempt;
use crate::batch::Reader;
use crate::{BatchId, Event};

/// The span of a batch in hand.
pub fn batch_span(reader: &Reader, batch: BatchId) -> Span {
    tracing::info_span!("pgq.batch", queue = reader.queue(), consumer = reader.name(), batch = batch.0)
}

/// The span of an event, in that of its batch, after `tries` in this batch before.
pub fn event_span(event: &Event, tries: u32, parent: Option<&TraceParent>) -> Span {
    tracing::info_span!(
        "pgq.event",
        event = event.id.0,
        "type" = event.event_type.as_deref(),
        attempt = attempt(event).saturating_add(tries),
        trace_id = parent.map(TraceParent::trace_id),
        parent_id = parent.map(TraceParent::parent_id),
    )
}
