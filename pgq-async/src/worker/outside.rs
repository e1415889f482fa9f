use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use pgq_core::batch::OpenBatch;
use pgq_core::fault_point::Point;
use pgq_core::worker::{
    Failure, Judge, Lanes, Ledger, Notice, Routes, Turn, Unfinished, Verdict, batch_span, window_is_full,
};
use pgq_core::{Error, Event, NextBatch, Result};
use tokio::time::{sleep, sleep_until};
use tokio_postgres::Client;
use tracing::Instrument;

use super::clock::now;
use super::desk::Desk;
use super::handlers::{Handled, OutsideHandler, WindowHandler, caught};
use crate::connection::Link;
use crate::fault_point::reach;
use crate::{Batch, LoadedBatch};

/// Handlers that work without a transaction.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) routes: Routes<OutsideHandler>,
    pub(super) window: Option<WindowHandler>,
    pub(super) at_once: Option<usize>,
    pub(super) key: Option<Key>,
}

pub(super) type Key = Arc<dyn Fn(&Event) -> u64 + Send + Sync>;

/// The batch in hand.
struct Hand<'h> {
    open: OpenBatch,
    /// Since the first window.
    ledger: Option<Ledger>,
    desk: &'h Desk,
    judge: &'h mut Judge,
}

impl Handlers {
    pub(super) async fn work(
        &self,
        client: &mut Client,
        found: NextBatch,
        desk: &Desk,
        judge: &mut Judge,
    ) -> Result<(), Unfinished> {
        let (id, span) = (found.id, batch_span(&desk.reader, found.id));
        let hand = Hand { open: desk.reader.open(found), ledger: None, desk, judge };
        let worked = async {
            let handled = desk.beside_heartbeat(id, self.windows(client, hand)).await?;
            let Some(Hand { open, ledger: Some(ledger), .. }) = handled else { return Ok(()) };
            finish(client, open, desk).await?;
            ledger.finished(now(), Utc::now());
            Ok(())
        };
        worked.instrument(span).await
    }

    /// Reads the batch window by window, and ends the transaction while a window is handled. An empty batch is finished with it.
    async fn windows<'h>(
        &self,
        client: &mut Client,
        mut hand: Hand<'h>,
    ) -> Result<Option<Hand<'h>>, Unfinished> {
        loop {
            let desk = hand.desk;
            let mut batch = desk.answer(Batch::begin(client, hand.open)).await?;
            desk.answer(batch.fill()).await?;
            if batch.open().is_empty() {
                desk.answer(batch.finish()).await?;
                return Ok(None);
            }
            let window = read_window(&mut batch, desk).await?;
            hand.open = desk.answer(batch.suspend()).await?;
            let opened = || Ledger::open(&desk.journal, hand.open.info(), now());
            hand.ledger.get_or_insert_with(opened);
            self.window(&mut hand, window).await?;
            if hand.open.check_read().is_ok() {
                return Ok(Some(hand));
            }
        }
    }

    async fn window(&self, hand: &mut Hand<'_>, window: Vec<Event>) -> Result<(), Unfinished> {
        match &self.window {
            Some(handler) => hand.whole(handler, window).await,
            None => self.each(hand, window).await,
        }
    }

    async fn each(&self, hand: &mut Hand<'_>, window: Vec<Event>) -> Result<(), Unfinished> {
        let mut lanes = Lanes::new(self.at_once.unwrap_or(1));
        for event in window {
            let key = match &self.key {
                Some(key) => caught(async { Ok(Some(key(&event))) }).await,
                None => Ok(None),
            };
            match key {
                Ok(key) => lanes.push(key, event),
                Err(failure) => hand.keyless(&event, failure)?,
            }
        }
        let mut running = FuturesUnordered::new();
        while !lanes.is_empty() {
            while let Some(turn) = lanes.next(now()) {
                running.push(self.event(turn, hand.desk));
            }
            let Some(ended) = next_ended(&mut running, lanes.wakes_at()).await else { continue };
            let (turn, handled) = ended?;
            if let Err(because) = hand.handled(&mut lanes, turn, handled, self.key.is_some()) {
                // Those that run already are waited for: what comes next could meet them.
                while running.next().await.is_some() {}
                return Err(because);
            }
        }
        Ok(())
    }

    async fn event(&self, turn: Turn, desk: &Desk) -> Result<(Turn, Handled)> {
        reach(&desk.reader, Point::BeforeHandler).await?;
        let handled = match self.routes.find(&turn.event) {
            Ok(handler) => {
                let span = desk.span(&turn.event, turn.tries);
                let call = async { handler(turn.event.clone(), turn.tries).await };
                desk.watch(Some(&turn.event), caught(call)).instrument(span).await
            }
            Err(unknown) => Err(unknown),
        };
        reach(&desk.reader, Point::AfterHandler).await?;
        Ok((turn, handled))
    }
}

impl Hand<'_> {
    /// Does what is to be done about the event. With a key, one that is to come again does so in its place, before the next of its key.
    fn handled(
        &mut self,
        lanes: &mut Lanes,
        turn: Turn,
        handled: Handled,
        keyed: bool,
    ) -> Result<(), Unfinished> {
        let Self { open, ledger: Some(ledger), judge, .. } = self else { return Ok(()) };
        match judge.outside(&turn.event, turn.tries, handled) {
            Verdict::Retry(after, failure) if keyed => {
                let at = now() + after;
                match failure {
                    Some(failure) => {
                        ledger.tried(&turn.event, turn.tries, after, &failure);
                        lanes.again(turn, at);
                    }
                    None => lanes.later(turn, at),
                }
                return Ok(());
            }
            verdict => ledger.settle(open, &turn.event, turn.tries, verdict)?,
        }
        lanes.over(turn);
        ledger.progress(now());
        Ok(())
    }

    /// The key of the event could not be told: it comes again, or is given up, without an order.
    fn keyless(&mut self, event: &Event, failure: Failure) -> Result<(), Unfinished> {
        let Self { open, ledger: Some(ledger), judge, .. } = self else { return Ok(()) };
        ledger.settle(open, event, 0, judge.outside(event, 0, Err(failure)))
    }

    /// Gives the window to the handler until it is done, or given up.
    async fn whole(&mut self, handler: &WindowHandler, window: Vec<Event>) -> Result<(), Unfinished> {
        let Self { open, ledger: Some(ledger), desk, judge } = self else { return Ok(()) };
        let (reader, id) = (&desk.reader, open.info().id);
        loop {
            if let Some(failure) = judge.given_up(id) {
                for event in &window {
                    ledger.give_up(open, event, 0, failure);
                }
                break;
            }
            reach(reader, Point::BeforeHandler).await?;
            let call = async { handler(window.clone()).await };
            let handled = desk.watch(None, caught(call)).await;
            reach(reader, Point::AfterHandler).await?;
            let Err(failure) = handled else {
                ledger.done(window.len() as u64);
                break;
            };
            match judge.window(reader, id, failure) {
                Unfinished::Batch(failure, pause) => {
                    desk.journal.note(&Notice::RolledBack { batch: Some(id), error: failure.text(), pause });
                    sleep(pause).await;
                }
                Unfinished::Redo => {}
                unfinished => return Err(unfinished),
            }
        }
        judge.finished();
        ledger.progress(now());
        Ok(())
    }
}

/// What ends next of that which runs; `None` when it is time to start something else.
async fn next_ended<S: Stream + Unpin>(running: &mut S, wakes_at: Option<Instant>) -> Option<S::Item> {
    match (wakes_at, running.next()) {
        (None, next) => next.await,
        (Some(at), next) => {
            let next = pin!(async {
                match next.await {
                    Some(ended) => ended,
                    None => pending().await,
                }
            });
            match select(next, pin!(sleep_until(at.into()))).await {
                Either::Left((ended, _)) => Some(ended),
                Either::Right(_) => None,
            }
        }
    }
}

/// Finishes the batch over this connection, or a new one if it is gone: the handlers' work is done, and the batch still ours or lost
/// whatever became of it.
async fn finish(client: &mut Client, open: OpenBatch, desk: &Desk) -> Result<()> {
    let begun = desk.answer(async move { client.transaction().await.map_err(Error::from) }).await;
    let (events, batch) = (open.tally(), LoadedBatch::new(open, Vec::new()));
    match begun {
        Ok(transaction) => desk.long_answer(events, batch.finish_in(transaction)).await,
        Err(error) if error.is_connection() => {
            let Link { mut client, mut line } = desk.dial.connect().await?;
            let finished = line.drive(desk.long_answer(events, batch.finish(&mut client))).await;
            Link { client, line }.close().await;
            finished
        }
        Err(error) => Err(error),
    }
}

/// Reads on, up to a point where the reading can be suspended.
async fn read_window(batch: &mut Batch<'_>, desk: &Desk) -> Result<Vec<Event>> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    loop {
        desk.answer(batch.fill()).await?;
        if window_is_full(window.len(), bytes) && batch.open().at_boundary() {
            return Ok(window);
        }
        let Some(event) = batch.pop() else { return Ok(window) };
        bytes += event.size();
        window.push(event);
    }
}
