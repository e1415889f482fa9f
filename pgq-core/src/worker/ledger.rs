use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::retry_policy::attempt;
use super::{Failure, Journal, Notice, Tally, Unfinished, Verdict};
use crate::batch::OpenBatch;
use crate::{Event, NextBatch};

/// What became of the events of the batch in hand. It is told when it is certain: when the batch, or a slice of it, is committed.
#[derive(Debug)]
pub struct Ledger {
    journal: Journal,
    batch: NextBatch,
    opened: Instant,
    told: Instant,
    tally: Tally,
    uncertain: Vec<Notice>,
}

impl Ledger {
    const PROGRESS: Duration = Duration::from_secs(1);

    /// Begins with a batch that was opened `now`.
    pub fn open(journal: &Journal, batch: &NextBatch, now: Instant) -> Self {
        journal.note(&Notice::Opened { batch: batch.id });
        Self {
            journal: journal.clone(),
            batch: batch.clone(),
            opened: now,
            told: now,
            tally: Tally::default(),
            uncertain: Vec::new(),
        }
    }

    /// That many events are done.
    pub fn done(&mut self, events: u64) {
        self.tally.done += events;
    }

    /// That became of the events of a batch that was handled as a whole.
    pub fn counted(&mut self, events: Tally) {
        self.tally.add(events);
    }

    /// Does to the batch what is to become of the event, after `tries` in this batch before the last one.
    ///
    /// # Errors
    /// Why the batch cannot go on.
    pub fn settle(
        &mut self,
        open: &mut OpenBatch,
        event: &Event,
        tries: u32,
        verdict: Verdict,
    ) -> Result<(), Unfinished> {
        match verdict {
            Verdict::Done => self.done(1),
            Verdict::Retry(after, failure) => {
                open.retry(event, after);
                self.retried(event, after, failure.as_ref());
            }
            Verdict::Dead(failure) => self.give_up(open, event, tries, &failure),
            Verdict::Again(failure) => return Err(Unfinished::Handler(failure)),
            Verdict::Redo => return Err(Unfinished::Redo),
            Verdict::Stop(failure) => {
                return Err(Unfinished::Stop(open.reader().event_failed(event, &failure)));
            }
        }
        Ok(())
    }

    /// Makes a dead letter of the event, after `tries` in this batch before the last one.
    pub fn give_up(&mut self, open: &mut OpenBatch, event: &Event, tries: u32, failure: &Failure) {
        open.give_up(event, tries, failure);
        self.tally.dead += 1;
        self.uncertain.push(Notice::Dead {
            event: event.id,
            attempt: attempt(event).saturating_add(tries),
            kind: failure.kind(),
            error: failure.text(),
        });
    }

    /// The event is to be delivered again, and failed, unless its handler wished for it.
    fn retried(&mut self, event: &Event, after: Duration, failure: Option<&Failure>) {
        self.tally.retried += 1;
        self.uncertain.extend(failure.map(|failure| Notice::Retried {
            event: event.id,
            attempt: attempt(event),
            after,
            kind: failure.kind(),
            error: failure.text(),
        }));
    }

    /// The event failed, and is tried again in place, after `tries` in this batch before. That is certain, and told at once.
    pub fn tried(&self, event: &Event, tries: u32, after: Duration, failure: &Failure) {
        self.journal.note(&Notice::Retried {
            event: event.id,
            attempt: attempt(event).saturating_add(tries),
            after,
            kind: failure.kind(),
            error: failure.text(),
        });
    }

    /// Tells how far the batch is, if that was not told of late.
    pub fn progress(&mut self, now: Instant) {
        if now.saturating_duration_since(self.told) < Self::PROGRESS {
            return;
        }
        self.told = now;
        let of = self.batch.tick_event_seq.saturating_sub(self.batch.prev_tick_event_seq);
        let of = u64::try_from(of).unwrap_or(0).max(self.tally.all());
        self.journal.note(&Notice::Progress { batch: self.batch.id, events: self.tally.all(), of });
    }

    /// What was taken down so far is committed.
    pub fn flushed(&mut self) {
        for notice in self.uncertain.drain(..) {
            self.journal.note(&notice);
        }
    }

    /// The batch is finished and committed.
    pub fn finished(mut self, now: Instant, clock: DateTime<Utc>) {
        self.flushed();
        self.journal.note(&Notice::Finished {
            batch: self.batch.id,
            events: self.tally,
            took: now.saturating_duration_since(self.opened),
            lag: (clock - self.batch.tick_time).to_std().unwrap_or_default(),
        });
    }
}
