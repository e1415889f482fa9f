use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use pgq_core::batch::OpenBatch;
use pgq_core::chrono::Utc;
use pgq_core::fault_point::Point;
use pgq_core::worker::{
    Failure, Lanes, Ledger, Notice, Outcome, Routes, Turn, Unfinished, Verdict, Worked, batch_span,
    window_is_full,
};
use pgq_core::{Error, Event, Result};
use postgres::Client;

use super::beating::Heart;
use super::crew::{Crew, Handled, Job, Ticket};
use super::desk::Desk;
use super::in_transaction::caught;
use crate::{Batch, LoadedBatch};

/// What works without a transaction.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) routes: Routes<Handler>,
    pub(super) window: Option<WindowHandler>,
    pub(super) at_once: Option<usize>,
    pub(super) key: Option<Key>,
    crew: Crew,
}

pub(super) type Handler = Arc<dyn Fn(Event, u32) -> Handled + Send + Sync>;
pub(super) type WindowHandler = Arc<dyn Fn(Vec<Event>) -> Result<(), Failure> + Send + Sync>;
pub(super) type Key = Box<dyn Fn(&Event) -> u64 + Send + Sync>;

/// The batch in hand.
struct Hand<'h> {
    open: OpenBatch,
    ledger: Ledger,
    desk: &'h mut Desk,
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
        let (ledger, mut heart) = (desk.ledger(&info), desk.beat(&info));
        let handled = match load(batch, desk) {
            Ok((open, window)) => {
                let hand = Hand { open, ledger, desk };
                span.in_scope(|| self.windows(client, hand, &mut heart, window))
            }
            Err(error) => Err(error.into()),
        };
        desk.worked(info, handled)
    }

    /// Handles the batch window by window, without a transaction, and finishes it in a short one.
    fn windows(
        &mut self,
        client: &mut Client,
        mut hand: Hand<'_>,
        heart: &mut Heart,
        mut window: Vec<Event>,
    ) -> Result<(), Unfinished> {
        loop {
            hand.desk.watch.idle();
            match self.window.clone() {
                Some(handler) => self.whole(&mut hand, &handler, &window)?,
                None => self.each(&mut hand, window)?,
            }
            hand.desk.watch.asking();
            if hand.open.check_read().is_ok() {
                break;
            }
            (hand.open, window) = load(Batch::resume(client, hand.open)?, hand.desk)?;
        }
        heart.stop()?;
        let Hand { open, ledger, desk } = hand;
        finish(client, open, desk)?;
        desk.judge.finished();
        ledger.finished(Instant::now(), Utc::now());
        Ok(())
    }

    fn each(&mut self, hand: &mut Hand<'_>, window: Vec<Event>) -> Result<(), Unfinished> {
        let mut lanes = Lanes::new(self.at_once.unwrap_or(1));
        for event in window {
            match self.key.as_ref().map(|key| caught(|| Ok(key(&event)))).transpose() {
                Ok(key) => lanes.push(key, event),
                Err(failure) => hand.keyless(&event, failure)?,
            }
        }
        let mut turns = HashMap::new();
        let mut going = Ok(());
        // Those that run already are waited for, unless it is to stop at once: what comes next could meet them.
        while !(going.is_err() || lanes.is_empty()) || !self.crew.is_idle() {
            if let Err(because) = hand.check() {
                if matches!(because, Unfinished::GaveUp) {
                    self.crew.abandon();
                }
                going = going.and(Err(because));
            }
            if going.is_ok() {
                going = self.start(hand, &mut lanes, &mut turns);
            }
            let wakes_at = lanes.wakes_at().filter(|_| going.is_ok());
            let ended = self.crew.next(wakes_at, &hand.desk.options, &hand.desk.journal);
            if let Some((turn, handled)) =
                ended.and_then(|(ticket, handled)| Some((turns.remove(&ticket)?, handled)))
            {
                let settled = hand.handled(&mut lanes, turn, handled, self.key.is_some());
                going = going.and(settled);
            }
        }
        going
    }

    /// Starts what may run.
    fn start(
        &mut self,
        hand: &mut Hand<'_>,
        lanes: &mut Lanes,
        turns: &mut HashMap<Ticket, Turn>,
    ) -> Result<(), Unfinished> {
        while let Some(turn) = lanes.next(Instant::now()) {
            hand.desk.reach(Point::BeforeHandler)?;
            match self.routes.find(&turn.event) {
                Ok(handler) => {
                    let (handler, event, tries) = (Arc::clone(handler), turn.event.clone(), turn.tries);
                    let span = hand.desk.span(&event, tries);
                    let job: Job = Box::new(move || span.in_scope(|| caught(|| handler(event, tries))));
                    turns.insert(self.crew.start(Some(turn.event.id), job), turn);
                }
                Err(unknown) => hand.handled(lanes, turn, Err(unknown), self.key.is_some())?,
            }
        }
        Ok(())
    }

    /// Gives the events to the handler again and again, after growing pauses, until it takes them or they are given up.
    fn whole(
        &mut self,
        hand: &mut Hand<'_>,
        handler: &WindowHandler,
        window: &[Event],
    ) -> Result<(), Unfinished> {
        let id = hand.open.info().id;
        loop {
            hand.check()?;
            hand.desk.reach(Point::BeforeHandler)?;
            let handled = self.run(hand, handler, window.to_vec())?;
            hand.desk.reach(Point::AfterHandler)?;
            let Err(failure) = handled else { break hand.ledger.done(window.len() as u64) };
            match hand.desk.judge.window(&hand.desk.reader, id, failure) {
                Unfinished::Batch(failure, pause) => {
                    let error = failure.text();
                    hand.desk.journal.note(&Notice::RolledBack { batch: Some(id), error, pause });
                    hand.desk.watch.wait_softly(pause);
                }
                Unfinished::Redo => break hand.give_up(window),
                because => return Err(because),
            }
        }
        hand.desk.judge.finished();
        hand.ledger.progress(Instant::now());
        Ok(())
    }

    fn run(
        &mut self,
        hand: &mut Hand<'_>,
        handler: &WindowHandler,
        window: Vec<Event>,
    ) -> Result<Handled, Unfinished> {
        let handler = Arc::clone(handler);
        let span = tracing::Span::current();
        let job = move || caught(|| handler(window)).map(|()| Outcome::Done);
        self.crew.start(None, Box::new(move || span.in_scope(job)));
        loop {
            if let Some((_, handled)) = self.crew.next(None, &hand.desk.options, &hand.desk.journal) {
                return Ok(handled);
            }
            if let Err(Unfinished::GaveUp) = hand.check() {
                self.crew.abandon();
                return Err(Unfinished::GaveUp);
            }
        }
    }
}

impl Hand<'_> {
    fn check(&mut self) -> Result<(), Unfinished> {
        self.desk.check(self.open.info())
    }

    /// Does what is to be done about the event. With a key, one that is to come again does so in its place, before the next of its key.
    fn handled(
        &mut self,
        lanes: &mut Lanes,
        turn: Turn,
        handled: Handled,
        keyed: bool,
    ) -> Result<(), Unfinished> {
        self.desk.reach(Point::AfterHandler)?;
        let (event, tries) = (&turn.event, turn.tries);
        match self.desk.judge.outside(event, tries, handled) {
            Verdict::Retry(after, failure) if keyed => {
                let at = Instant::now() + after;
                let Some(failure) = failure else {
                    lanes.later(turn, at);
                    return Ok(());
                };
                self.ledger.tried(event, tries, after, &failure);
                lanes.again(turn, at);
                return Ok(());
            }
            verdict => self.ledger.settle(&mut self.open, event, tries, verdict)?,
        }
        lanes.over(turn);
        self.ledger.progress(Instant::now());
        Ok(())
    }

    /// The key of the event could not be told: it comes again, or is given up, without an order.
    fn keyless(&mut self, event: &Event, failure: Failure) -> Result<(), Unfinished> {
        let verdict = self.desk.judge.outside(event, 0, Err(failure));
        self.ledger.settle(&mut self.open, event, 0, verdict)
    }

    fn give_up(&mut self, window: &[Event]) {
        let Some(failure) = self.desk.judge.given_up(self.open.info().id) else { return };
        for event in window {
            self.ledger.give_up(&mut self.open, event, 0, failure);
        }
    }
}

/// Finishes the batch over this connection, or a new one if it is gone: the handlers' work is done, and the batch still ours or lost
/// whatever became of it.
fn finish(client: &mut Client, open: OpenBatch, desk: &Desk) -> Result<()> {
    let begun = client.transaction().map_err(Error::from);
    desk.finishing(&open);
    let batch = LoadedBatch::new(open, Vec::new());
    match begun {
        Ok(transaction) => batch.finish_in(transaction),
        Err(error) if error.is_connection() => batch.finish(&mut desk.connect()?),
        Err(error) => Err(error),
    }
}

/// Reads as many events as are to be in memory at once, and ends the transaction.
fn load(mut batch: Batch<'_>, desk: &Desk) -> Result<(OpenBatch, Vec<Event>)> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        if batch.open().wants_chunk() {
            desk.watch.asking();
            batch.fill()?;
        }
        if window_is_full(events.len(), bytes) && batch.open().at_boundary() {
            break;
        }
        let Some(event) = batch.next_event()? else { break };
        bytes += event.size();
        events.push(event);
    }
    Ok((batch.suspend()?, events))
}
