use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use pgq_core::batch::Reader;
use pgq_core::worker::{Failure, Journal, Notice, Tally, TraceParent, Unfinished, WorkerOptions, event_span};
use pgq_core::{BatchId, Error, Event, Result};
use tokio::time::timeout;
use tracing::Span;

use super::clock::now;
use crate::Heartbeat;
use crate::connection::{Dial, limited};

pub(super) type LinkSpan = Arc<dyn Fn(&Span, &TraceParent) + Send + Sync>;

/// What a worker has at hand whatever it works on.
pub(super) struct Desk {
    pub(super) reader: Reader,
    pub(super) options: WorkerOptions,
    pub(super) journal: Journal,
    pub(super) dial: Dial,
    pub(super) link_span: Option<LinkSpan>,
}

impl Desk {
    /// Waits for an answer of the server, not for ever.
    pub(super) async fn answer<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        limited(self.options.answer_limit, asked).await?
    }

    /// Like [`answer`](Self::answer), for what takes a while where many events are retried or dead.
    pub(super) async fn long_answer<T>(
        &self,
        events: Tally,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let parts = u32::try_from((events.retried + events.dead) / 1000).unwrap_or(u32::MAX);
        limited(self.options.answer_limit.saturating_mul(parts.saturating_add(1)), asked).await?
    }

    /// The span of an event, after so many tries in this batch before.
    pub(super) fn span(&self, event: &Event, tries: u32) -> Span {
        let parent = self.options.trace_parent.and_then(|extra| TraceParent::of(event, extra));
        let span = event_span(event, tries, parent.as_ref());
        if let (Some(link), Some(parent)) = (&self.link_span, &parent) {
            link(&span, parent);
        }
        span
    }

    /// Waits for a handler, no longer than it may take, and tells when it takes long.
    pub(super) async fn watch<T>(
        &self,
        event: Option<&Event>,
        handler: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let watched = self.tell_if_stuck(event, handler);
        match self.options.handler_limit {
            Some(limit) => timeout(limit, watched).await.unwrap_or_else(|_| Err(Failure::timeout(limit))),
            None => watched.await,
        }
    }

    async fn tell_if_stuck<F: Future>(&self, event: Option<&Event>, handler: F) -> F::Output {
        let Some(event) = event else { return handler.await };
        let pause = self.options.stuck_after.max(Duration::from_millis(1));
        let began = now();
        let mut handler = pin!(handler);
        loop {
            match timeout(pause, handler.as_mut()).await {
                Ok(handled) => return handled,
                Err(_) => self.journal.note(&Notice::Stuck { event: event.id, since: now() - began }),
            }
        }
    }

    /// Does the work with the heart beating beside it, if the batch could be taken over otherwise. Ends at once when it was.
    pub(super) async fn beside_heartbeat<T>(
        &self,
        batch: BatchId,
        work: impl Future<Output = Result<T, Unfinished>>,
    ) -> Result<T, Unfinished> {
        let Some(interval) = self.reader.reading.dead_interval.filter(|_| self.reader.sub().is_some()) else {
            return work.await;
        };
        let heartbeat = Heartbeat::new(self.reader.clone(), batch, self.dial.clone(), interval / 3);
        match select(pin!(work), heartbeat).await {
            Either::Left((done, _)) => done,
            Either::Right((error @ Error::BatchLost { .. }, _)) => Err(Unfinished::Server(error)),
            // Without one the batch can be taken over, and then it is not finished: nothing worse.
            Either::Right((error, work)) => {
                tracing::warn!("the heartbeat ended: {error:?}");
                work.await
            }
        }
    }
}
