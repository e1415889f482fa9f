use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use chrono::Utc;
use futures::future::select;
use pgq_core::fault_point::Point;
use pgq_core::worker::{Failure, Judge, Ledger, Outcome, Routes, Slices, Unfinished, batch_span, savepoint};
use pgq_core::{Error, Event, NextBatch, Result, batch};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client};
use tracing::Instrument;

use super::clock::now;
use super::desk::Desk;
use super::handlers::{BatchHandler, EventHandler, Handled, caught};
use crate::Batch;
use crate::fault_point::reach;

/// Handlers that write in the transaction of the batch.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) routes: Routes<EventHandler>,
    pub(super) batch: Option<BatchHandler>,
}

/// The batch in hand.
struct Hand<'h, 'c> {
    batch: Batch<'c>,
    ledger: Ledger,
    slices: Option<Slices>,
    desk: &'h Desk,
    judge: &'h mut Judge,
}

impl Handlers {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.batch.is_none()
    }

    pub(super) async fn work(
        &mut self,
        client: &mut Client,
        found: NextBatch,
        desk: &Desk,
        judge: &mut Judge,
    ) -> Result<(), Unfinished> {
        let (span, cancel) = (batch_span(&desk.reader, found.id), client.cancel_token());
        let worked = self.batch(client, found, desk, judge).instrument(span).await;
        if let Err(Unfinished::Server(Error::BatchLost { .. })) = worked {
            // What the handler has running there would hold up the rollback.
            desk.dial.cancel(cancel).await;
        }
        worked
    }

    async fn batch(
        &mut self,
        client: &mut Client,
        found: NextBatch,
        desk: &Desk,
        judge: &mut Judge,
    ) -> Result<(), Unfinished> {
        let mut batch = desk.answer(Batch::begin(client, desk.reader.open(found))).await?;
        let slices = Slices::new(&desk.options, &desk.reader);
        if let Some(slices) = &slices {
            desk.answer(batch.call(slices.lock())).await?;
        }
        desk.answer(batch.fill()).await?;
        if batch.open().is_empty() {
            return Ok(desk.answer(batch.finish()).await?);
        }
        let ledger = Ledger::open(&desk.journal, batch.info(), now());
        let id = batch.info().id;
        let mut hand = Hand { batch, ledger, slices, desk, judge };
        desk.beside_heartbeat(id, self.handle(&mut hand)).await?;
        let Hand { mut batch, ledger, judge, .. } = hand;
        let events = batch.open().tally();
        let close = judge.close(batch.open(), self.batch.as_ref());
        let finish = async {
            if let Some(close) = close {
                desk.answer(batch.call(close)).await?;
            }
            desk.long_answer(events, batch.finish()).await
        };
        let finished = finish.await;
        finished.map_err(|error| judge.not_finished(&desk.reader, id, self.batch.as_ref(), error))?;
        ledger.finished(now(), Utc::now());
        Ok(())
    }

    async fn handle(&mut self, hand: &mut Hand<'_, '_>) -> Result<(), Unfinished> {
        match &mut self.batch {
            _ if hand.judge.given_up(hand.batch.info().id).is_some() => hand.give_up().await,
            Some(handler) => hand.whole(handler).await,
            None => self.each(hand).await,
        }
    }

    async fn each(&mut self, hand: &mut Hand<'_, '_>) -> Result<(), Unfinished> {
        hand.set_savepoint().await?;
        while let Some(event) = hand.next_event().await? {
            reach(&hand.desk.reader, Point::BeforeHandler).await?;
            let handled = self.event(hand, &event).await;
            reach(&hand.desk.reader, Point::AfterHandler).await?;
            hand.handled(&event, handled).await?;
            hand.cut_slice(&event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, hand: &mut Hand<'_, '_>, event: &Event) -> Handled {
        let handler = self.routes.find_mut(event)?;
        let transaction = hand.batch.transaction();
        let cancel = transaction.cancel_token();
        let call = async { handler(event.clone(), transaction).await };
        let handled = hand.desk.watch(Some(event), caught(call)).instrument(hand.desk.span(event, 0)).await;
        hand.cancel_if_late(&handled, cancel).await;
        handled
    }
}

impl Hand<'_, '_> {
    /// After so long a statement that a handler has left running is cancelled.
    const LEFT_OVER: Duration = Duration::from_secs(1);

    async fn next_event(&mut self) -> Result<Option<Event>, Unfinished> {
        let Self { batch, slices, desk, judge, .. } = self;
        desk.answer(batch.fill()).await.map_err(|error| judge.left_behind(error))?;
        if let Some(slices) = slices {
            loop {
                let Some(committed) = slices.committed(batch.open()) else { break };
                let committed = desk.answer(batch.call(committed)).await?;
                slices.skip(batch.open(), &committed);
                desk.answer(batch.fill()).await?;
            }
        }
        Ok(batch.pop())
    }

    async fn handled(&mut self, event: &Event, handled: Handled) -> Result<(), Unfinished> {
        let handled = self.settle(event, handled).await?;
        let verdict = self.judge.in_transaction(event, handled);
        if let (true, Some(sql)) = (self.judge.wants_savepoints(), verdict.undo()) {
            self.undo(event, sql).await?;
        }
        self.ledger.settle(self.batch.open(), event, 0, verdict)?;
        self.ledger.progress(now());
        Ok(())
    }

    /// Keeps what the event wrote, if its handler says that it is done. A transaction that is aborted all the same is the event's
    /// failure.
    async fn settle(&mut self, event: &Event, handled: Handled) -> Result<Handled> {
        if !self.judge.wants_savepoints() || !matches!(handled, Ok(Outcome::Done)) {
            return Ok(handled);
        }
        match self.run(self.judge.keep()).await {
            Ok(()) => Ok(handled),
            Err(error) => savepoint::not_kept(event.id, error).map(Err),
        }
    }

    async fn set_savepoint(&mut self) -> Result<()> {
        match self.judge.wants_savepoints() {
            true => self.run(savepoint::SET).await,
            false => Ok(()),
        }
    }

    async fn undo(&mut self, event: &Event, sql: &str) -> Result<()> {
        let cancel = self.batch.transaction().cancel_token();
        let dial = self.desk.dial.clone();
        // A handler may have dropped the future of a statement that goes on.
        let left_over = async move {
            sleep(Self::LEFT_OVER).await;
            dial.cancel(cancel).await;
            pending::<Result<()>>().await
        };
        let undone = select(pin!(self.run(sql)), pin!(left_over)).await.factor_first().0;
        let undone = match undone {
            // A cancel request that was meant for the statement before came late.
            Err(error) if error.sqlstate() == Some(&SqlState::QUERY_CANCELED) => {
                self.run(savepoint::UNDO).await
            }
            undone => undone,
        };
        undone.map_err(|error| savepoint::explain(Some(event.id), error))
    }

    async fn run(&mut self, sql: &str) -> Result<()> {
        let ran = self.batch.transaction().batch_execute(sql);
        self.desk.answer(async { ran.await.map_err(Error::from) }).await
    }

    /// Commits what was handled, if that is enough for a slice; not between two events of one id, and not at the end.
    async fn cut_slice(&mut self, event: &Event) -> Result<(), Unfinished> {
        let Self { batch, slices: Some(slices), desk, ledger, judge } = self else { return Ok(()) };
        slices.handled(event.id);
        if !slices.is_full() {
            return Ok(());
        }
        desk.answer(batch.fill()).await.map_err(|error| judge.left_behind(error))?;
        if batch.open().buffered().is_empty() || !batch.open().at_boundary() {
            return Ok(());
        }
        let id = batch.info().id;
        let events = batch.open().tally();
        desk.long_answer(events, batch.write_wishes()).await.map_err(|error| judge.left_behind(error))?;
        let recorded =
            desk.answer(batch.call(slices.record(id))).await.map_err(|error| judge.left_behind(error))?;
        let info = desk.answer(batch.call(batch::info(id))).await?;
        slices.recorded(&desk.reader, id, recorded, info.as_ref())?;
        desk.answer(batch.commit_slice()).await.map_err(|error| judge.left_behind(error))?;
        ledger.flushed();
        desk.answer(batch.call(slices.lock())).await?;
        Ok(self.set_savepoint().await?)
    }

    async fn whole(&mut self, handler: &mut BatchHandler) -> Result<(), Unfinished> {
        let (reader, id) = (&self.desk.reader, self.batch.info().id);
        let cancel = self.batch.transaction().cancel_token();
        reach(reader, Point::BeforeHandler).await?;
        let call = async { handler(&mut self.batch).await };
        let handled = self.desk.watch(None, caught(call)).await;
        reach(reader, Point::AfterHandler).await?;
        self.cancel_if_late(&handled, cancel).await;
        match handled {
            Ok(()) => {
                self.ledger.counted(self.batch.open().tally());
                Ok(())
            }
            Err(failure) => {
                let closed = match self.batch.open().close() {
                    Some(close) => self.desk.answer(self.batch.call(close)).await,
                    None => Ok(()),
                };
                Err(self.judge.batch_failed(reader, id, failure, closed))
            }
        }
    }

    /// Makes dead letters of all events, for the handler of the batch failed for the last time.
    async fn give_up(&mut self) -> Result<(), Unfinished> {
        let Some(failure) = self.judge.given_up(self.batch.info().id) else { return Ok(()) };
        while let Some(event) = self.desk.answer(self.batch.next_event()).await? {
            self.ledger.give_up(self.batch.open(), &event, 0, failure);
        }
        Ok(())
    }

    async fn cancel_if_late<T>(&self, handled: &Result<T, Failure>, cancel: CancelToken) {
        if handled.as_ref().is_err_and(Failure::is_timeout) {
            self.desk.dial.cancel(cancel).await;
        }
    }
}
