use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use pgq_core::chrono::Utc;
use pgq_core::fault_point::Point;
use pgq_core::worker::{Failure, Ledger, Outcome, Routes, Slices, Unfinished, Worked, batch_span, savepoint};
use pgq_core::{BatchId, Error, Event, Result, batch};
use postgres::error::SqlState;
use postgres::{Client, Transaction};

use super::beating::Heart;
use super::desk::Desk;
use super::watch::Ended;
use crate::{Batch, ClientExt};

/// What works in the transaction of the batch.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) routes: Routes<Handler>,
    pub(super) batch: Option<BatchHandler>,
}

pub(super) type Handler = Box<dyn FnMut(Event, &mut Transaction<'_>) -> Result<Outcome, Failure> + Send>;
pub(super) type BatchHandler = Box<dyn FnMut(&mut Batch<'_>) -> Result<(), Failure> + Send>;

impl Handlers {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.batch.is_none()
    }

    fn handle(
        &mut self,
        mut batch: Batch<'_>,
        heart: &mut Heart,
        desk: &mut Desk,
        ledger: &mut Ledger,
    ) -> Result<(), Unfinished> {
        let id = batch.info().id;
        if let Some(failure) = desk.judge.given_up(id) {
            give_up(&mut batch, desk, ledger, failure)?;
        } else if let Some(handler) = &mut self.batch {
            handle_batch(handler, &mut batch, desk)?;
            desk.check(batch.info())?;
            ledger.counted(batch.open().tally());
        } else {
            self.events(&mut batch, desk, ledger)?;
        }
        desk.watch.asking();
        let close = desk.judge.close(batch.open(), self.batch.as_ref());
        let closed = close.map_or(Ok(()), |close| batch.transaction().call(close));
        closed.map_err(|error| self.not_finished(id, desk, error))?;
        heart.stop()?;
        desk.finishing(batch.open());
        batch.finish().map_err(|error| self.not_finished(id, desk, error))
    }

    fn not_finished(&self, id: BatchId, desk: &mut Desk, error: Error) -> Unfinished {
        desk.judge.not_finished(&desk.reader, id, self.batch.as_ref(), error)
    }

    fn events(
        &mut self,
        batch: &mut Batch<'_>,
        desk: &mut Desk,
        ledger: &mut Ledger,
    ) -> Result<(), Unfinished> {
        let mut slices = Slices::new(&desk.options, &desk.reader);
        if let Some(slices) = &mut slices {
            batch.transaction().call(slices.lock())?;
            skip_committed(batch, slices, desk)?;
        }
        let savepoints = desk.judge.wants_savepoints();
        if savepoints {
            execute(batch.transaction(), savepoint::SET)?;
        }
        while let Some(event) = batch.next_event().map_err(|error| desk.judge.left_behind(error))? {
            self.event(&event, batch, desk, ledger)?;
            ledger.progress(Instant::now());
            let Some(slices) = &mut slices else { continue };
            slices.handled(event.id);
            if slices.is_full() && cut(batch, slices, desk).map_err(|error| desk.judge.left_behind(error))? {
                ledger.flushed();
                if savepoints {
                    execute(batch.transaction(), savepoint::SET)?;
                }
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        event: &Event,
        batch: &mut Batch<'_>,
        desk: &mut Desk,
        ledger: &mut Ledger,
    ) -> Result<(), Unfinished> {
        desk.check(batch.info())?;
        desk.reach(Point::BeforeHandler)?;
        let handled = self.call(event, batch.transaction(), desk);
        desk.reach(Point::AfterHandler)?;
        // Also where its statement was cancelled for that.
        desk.check(batch.info())?;
        let savepoints = desk.judge.wants_savepoints();
        let handled = match handled {
            Ok(Outcome::Done) if savepoints => keep(event, batch.transaction(), desk.judge.keep())?,
            handled => handled,
        };
        let verdict = desk.judge.in_transaction(event, handled);
        if let (true, Some(sql)) = (savepoints, verdict.undo()) {
            undo(event, batch.transaction(), sql)?;
        }
        ledger.settle(batch.open(), event, 0, verdict)
    }

    fn call(
        &mut self,
        event: &Event,
        transaction: &mut Transaction<'_>,
        desk: &Desk,
    ) -> Result<Outcome, Failure> {
        let handler = self.routes.find_mut(event)?;
        let event = event.clone();
        let span = desk.span(&event, 0);
        desk.watch.handling(Some(event.id));
        let handled = span.in_scope(|| caught(|| handler(event, transaction)));
        in_time(handled, desk)
    }
}

impl Handlers {
    pub(super) fn work(&mut self, client: &mut Client, desk: &mut Desk) -> Worked {
        let mut batch = match Batch::next(client, &desk.reader) {
            Ok(Some(batch)) => batch,
            Ok(None) => return Worked::Nothing,
            Err(error) => return Worked::Not { batch: None, because: error.into() },
        };
        let info = batch.info().clone();
        desk.routine.opened(&info);
        if batch.open().is_empty() {
            let finished = batch.finish().map_err(Unfinished::from);
            return desk.worked(info, finished);
        }
        let span = batch_span(&desk.reader, info.id);
        let (mut ledger, mut heart) = (desk.ledger(&info), desk.beat(&info));
        let handled = span.in_scope(|| self.handle(batch, &mut heart, desk, &mut ledger));
        if handled.is_ok() {
            desk.judge.finished();
            ledger.finished(Instant::now(), Utc::now());
        }
        desk.worked(info, handled)
    }
}

fn handle_batch(
    handler: &mut BatchHandler,
    batch: &mut Batch<'_>,
    desk: &mut Desk,
) -> Result<(), Unfinished> {
    desk.check(batch.info())?;
    desk.reach(Point::BeforeHandler)?;
    desk.watch.handling(None);
    let handled = in_time(caught(|| handler(batch)), desk);
    desk.reach(Point::AfterHandler)?;
    desk.check(batch.info())?;
    handled.map_err(|failure| {
        let closed = batch.open().close().map_or(Ok(()), |close| batch.transaction().call(close));
        desk.judge.batch_failed(&desk.reader, batch.info().id, failure, closed)
    })
}

/// Makes dead letters of all events.
fn give_up(batch: &mut Batch<'_>, desk: &Desk, ledger: &mut Ledger, failure: &Failure) -> Result<()> {
    while let Some(event) = batch.next_event()? {
        ledger.give_up(batch.open(), &event, 0, failure);
        desk.watch.asking();
    }
    Ok(())
}

/// A handler may have any state: what it makes of a panic in the middle of its work is its own business.
pub(super) fn caught<T>(handler: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let caught = panic::catch_unwind(AssertUnwindSafe(handler));
    caught.unwrap_or_else(|payload| Err(Failure::panic(&*payload)))
}

/// The failure of a handler whose statement was cancelled for it is that it took too long.
fn in_time<T>(handled: Result<T, Failure>, desk: &Desk) -> Result<T, Failure> {
    let limit = desk.options.handler_limit;
    match (desk.watch.handled(limit), handled, limit) {
        (Ended::Late, Err(_), Some(limit)) => Err(Failure::timeout(limit)),
        (_, handled, _) => handled,
    }
}

/// Keeps what the event wrote, unless its transaction turns out to be aborted.
fn keep(event: &Event, transaction: &mut Transaction<'_>, sql: &str) -> Result<Result<Outcome, Failure>> {
    match execute(transaction, sql) {
        Err(error) => savepoint::not_kept(event.id, error).map(Err),
        Ok(()) => Ok(Ok(Outcome::Done)),
    }
}

fn undo(event: &Event, transaction: &mut Transaction<'_>, sql: &str) -> Result<()> {
    let undone = match execute(transaction, sql) {
        // A cancel request that was meant for the statement before came late.
        Err(error) if error.sqlstate() == Some(&SqlState::QUERY_CANCELED) => {
            execute(transaction, savepoint::UNDO)
        }
        undone => undone,
    };
    undone.map_err(|error| savepoint::explain(Some(event.id), error))
}

fn skip_committed(batch: &mut Batch<'_>, slices: &mut Slices, desk: &Desk) -> Result<()> {
    loop {
        desk.watch.asking();
        batch.fill()?;
        let Some(ask) = slices.committed(batch.open()) else { return Ok(()) };
        let committed = batch.transaction().call(ask)?;
        slices.skip(batch.open(), &committed);
    }
}

/// Commits what was handled, and goes on in a new transaction; not between two events of one id, and not at the end.
fn cut(batch: &mut Batch<'_>, slices: &mut Slices, desk: &Desk) -> Result<bool> {
    batch.fill()?;
    if batch.open().buffered().is_empty() || !batch.open().at_boundary() {
        return Ok(false);
    }
    let id = batch.info().id;
    desk.finishing(batch.open());
    batch.write_wishes()?;
    let recorded = batch.transaction().call(slices.record(id))?;
    let info = batch.transaction().call(batch::info(id))?;
    slices.recorded(&desk.reader, id, recorded, info.as_ref())?;
    batch.commit_slice()?;
    batch.transaction().call(slices.lock())?;
    Ok(true)
}

fn execute(transaction: &mut Transaction<'_>, sql: &str) -> Result<()> {
    Ok(transaction.batch_execute(sql)?)
}
