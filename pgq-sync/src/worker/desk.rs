use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use pgq_core::batch::{OpenBatch, Reader};
use pgq_core::fault_point::Point;
use pgq_core::worker::{
    Journal, Judge, Ledger, Routine, Tally, TraceParent, Unfinished, Worked, WorkerOptions, event_span,
};
use pgq_core::{Error, Event, NextBatch, Result};
use postgres::Client;
use tracing::Span;

use super::connection::Dial;
use super::runner::ended;
use super::watch::Watch;
use crate::fault_point;

/// What a worker has at hand when it works on a batch.
pub(crate) struct Desk {
    pub(super) reader: Reader,
    pub(super) options: WorkerOptions,
    pub(super) routine: Routine,
    pub(super) judge: Judge,
    pub(super) journal: Journal,
    pub(super) watch: Arc<Watch>,
    pub(super) dial: Dial,
    pub(super) link_span: Option<LinkSpan>,
}

pub(super) type LinkSpan = Arc<dyn Fn(&Span, &TraceParent) + Send + Sync>;

impl Desk {
    /// Whether the work on the batch in hand is to go on.
    pub(super) fn check(&mut self, batch: &NextBatch) -> Result<(), Unfinished> {
        if self.watch.is_hard() {
            return Err(Unfinished::GaveUp);
        }
        if self.watch.is_lost() {
            return Err(self.reader.lost(batch.id).into());
        }
        if self.watch.is_stopping() {
            self.routine.stop();
        }
        Ok(())
    }

    /// Has the batch in hand written and finished next: many retries and dead letters take their time.
    pub(super) fn finishing(&self, open: &OpenBatch) {
        let Tally { retried, dead, .. } = open.tally();
        self.watch.asking_much(u32::try_from(1 + (retried + dead) / 1_000).unwrap_or(u32::MAX));
    }

    /// A new connection. The driver panics where the system gives it no more files; that may pass.
    pub(super) fn connect(&self) -> Result<Client> {
        let connect = || self.dial.connect().map_err(Error::from);
        let connected = panic::catch_unwind(AssertUnwindSafe(connect));
        let client = connected.unwrap_or_else(|payload| Err(ended(&*payload)))?;
        self.watch.connected(Some(client.cancel_token()));
        Ok(client)
    }

    /// What came of the batch. One that was taken away may have failed in many ways, as statements for it were cancelled.
    pub(super) fn worked(&self, batch: NextBatch, ended: Result<(), Unfinished>) -> Worked {
        let id = batch.id;
        match ended {
            Ok(()) => Worked::Finished(batch),
            Err(_) if self.watch.is_lost() => {
                Worked::Not { batch: Some(id), because: self.reader.lost(id).into() }
            }
            Err(_) if self.watch.is_hard() => Worked::Not { batch: Some(id), because: Unfinished::GaveUp },
            Err(because) => Worked::Not { batch: Some(id), because },
        }
    }

    pub(super) fn ledger(&self, batch: &NextBatch) -> Ledger {
        Ledger::open(&self.journal, batch, Instant::now())
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

    pub(super) fn reach(&self, point: Point) -> Result<()> {
        fault_point::reach(&self.reader, point)
    }
}
