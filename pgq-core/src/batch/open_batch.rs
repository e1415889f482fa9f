use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{iter, mem, vec};

use super::{EmptyBatches, Finish, NextBatch, Reader, RetryMeans};
use crate::fault_point::Point;
use crate::worker::{Failure, Tally};
use crate::{Call, Error, Event, EventId, NewLetter, Result, batch, dead_letter, event};

/// A batch that a consumer is reading: what is to be asked of the server next, and what came. The drivers are built on it; it does
/// no I/O itself.
#[derive(Debug)]
pub struct OpenBatch {
    reader: Reader,
    batch: NextBatch,
    cursor: String,
    limit: u32,
    buffer: vec::IntoIter<Event>,
    received: usize,
    fingerprint: u64,
    last_id: Option<EventId>,
    popped: Option<(EventId, EventId)>,
    after: Option<EventId>,
    twice: BTreeSet<EventId>,
    retries: BTreeMap<EventId, Duration>,
    letters: BTreeMap<EventId, NewLetter<'static>>,
    state: State,
    in_flight: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unopened,
    More,
    End,
}

impl OpenBatch {
    pub(super) fn new(reader: Reader, batch: NextBatch) -> Self {
        let cursor = format!("pgq_batch_{}", batch.id);
        Self {
            batch,
            limit: reader.reading.chunk.first(),
            reader,
            cursor,
            buffer: Vec::new().into_iter(),
            received: 0,
            fingerprint: 0,
            last_id: None,
            popped: None,
            after: None,
            twice: BTreeSet::new(),
            retries: BTreeMap::new(),
            letters: BTreeMap::new(),
            state: State::Unopened,
            in_flight: false,
        }
    }

    /// The batch and the ticks that it lies between.
    pub fn info(&self) -> &NextBatch {
        &self.batch
    }

    /// Who reads it, and how.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The fault point that the next chunk leads to.
    #[doc(hidden)]
    pub fn next_point(&self) -> Point {
        match self.state {
            State::Unopened => Point::AfterDeclare,
            State::More | State::End => Point::MidFetch,
        }
    }

    /// The next chunk to ask for; `None` at the end of the batch. What the server answers goes to [`received`](Self::received).
    ///
    /// # Errors
    /// [`Error::ReadInterrupted`] if the last chunk that was asked for was never received.
    pub fn fetch(&mut self) -> Result<Option<Call<'_, Vec<Event>>>> {
        if self.in_flight {
            return Err(Error::ReadInterrupted { batch: self.batch.id });
        }
        self.in_flight = self.state != State::End;
        match self.state {
            State::Unopened => {
                let filter = &self.reader.reading.filter;
                let rest = self.after.map(|last| filter.clone().after(last));
                let filter = rest.as_ref().unwrap_or(filter);
                Ok(Some(batch::cursor(self.batch.id, &self.cursor, self.limit, filter)))
            }
            State::More => Ok(Some(batch::fetch(self.batch.id, &self.cursor, self.limit))),
            State::End => Ok(None),
        }
    }

    /// Takes in the chunk that [`fetch`](Self::fetch) asked for, when the one before it is popped.
    pub fn received(&mut self, chunk: Vec<Event>) {
        let at_end = chunk.len() < self.limit as usize;
        let bytes = chunk.iter().map(Event::size).sum();
        self.in_flight = false;
        self.state = if at_end { State::End } else { State::More };
        self.limit = self.reader.reading.chunk.after(self.limit, chunk.len(), bytes);
        self.received += chunk.len();
        for event in &chunk {
            self.fingerprint = self.fingerprint.wrapping_add(fingerprint(event.id));
            if self.last_id.replace(event.id) == Some(event.id) {
                self.twice.insert(event.id);
            }
        }
        self.buffer = chunk.into_iter();
    }

    /// The next event of those that were received.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.buffer.next()?;
        self.popped = Some((self.popped.map_or(event.id, |(first, _)| first), event.id));
        Some(event)
    }

    /// Whether the reading can be [suspended](Self::suspend) here: not between two events of one id.
    pub fn at_boundary(&self) -> bool {
        let last = self.popped.map(|(_, last)| last);
        match self.buffer.as_slice().first() {
            Some(next) => Some(next.id) != last,
            None => self.state == State::End,
        }
    }

    /// Ends the reading for now: its cursor goes with its transaction. [`fetch`](Self::fetch) begins a new one after the last event that
    /// was popped; what was received and not popped comes again.
    pub fn suspend(&mut self) {
        let unpopped = mem::take(&mut self.buffer);
        if self.state == State::End && unpopped.as_slice().is_empty() {
            return;
        }
        for event in unpopped {
            self.received -= 1;
            self.fingerprint = self.fingerprint.wrapping_sub(fingerprint(event.id));
        }
        self.after = self.popped.map(|(_, last)| last);
        self.last_id = self.after;
        (self.state, self.in_flight) = (State::Unopened, false);
    }

    /// Closes the cursor, after which nothing more can be read. It is gone already where the transaction is not the one that it was opened
    /// in. `None` where there is none.
    pub fn close(&self) -> Option<Call<'static, ()>> {
        (self.state != State::Unopened).then(|| batch::close(&self.cursor))
    }

    /// Forgets the retries and dead letters that were noted: they are written and committed.
    pub fn flushed(&mut self) {
        self.retries.clear();
        self.letters.clear();
    }

    /// Whether the event can be one of those that were popped, which come in the order of their ids.
    pub fn has_popped(&self, event: &Event) -> bool {
        self.popped.is_some_and(|(first, last)| first <= event.id && event.id <= last)
    }

    /// The events that were received and not popped.
    pub fn buffered(&self) -> &[Event] {
        self.buffer.as_slice()
    }

    /// Whether all that was received is popped, and there may be more.
    pub fn wants_chunk(&self) -> bool {
        self.buffer.as_slice().is_empty() && self.state != State::End
    }

    /// Whether the batch turned out to have no event that passes the filter, and the reader wants such batches passed: finish it and
    /// open the next one.
    pub fn is_passed(&self) -> bool {
        self.reader.reading.empty_batches == EmptyBatches::Pass
            && self.state == State::End
            && self.received == 0
    }

    /// Whether the batch was read to its end, and had no event that passes the filter.
    pub fn is_empty(&self) -> bool {
        self.state == State::End && self.received == 0 && self.after.is_none()
    }

    /// Notes that the event is to be delivered again, `after` that time, rounded up to whole seconds. The last wish counts, also one
    /// for a [`dead_letter`](Self::dead_letter).
    pub fn retry(&mut self, event: &Event, after: Duration) {
        self.letters.remove(&event.id);
        self.retries.insert(event.id, after);
    }

    /// Notes that the event is given up and becomes a dead letter: the kind of trouble in a word or two, and what went wrong. Kept up to
    /// [`NewLetter::MAX_REASON`] and [`NewLetter::MAX_ERROR`] characters. The last wish counts, also one for a [`retry`](Self::retry).
    pub fn dead_letter(&mut self, event: &Event, reason: impl Into<String>, error: impl Into<String>) {
        self.retries.remove(&event.id);
        self.letters.insert(event.id, NewLetter::new(event.id, reason.into()).error(error.into()));
    }

    /// Notes that the event is given up for what failed, after `tries` of it in this batch before the last one. Else like
    /// [`dead_letter`](Self::dead_letter).
    pub fn give_up(&mut self, event: &Event, tries: u32, failure: &Failure) {
        self.retries.remove(&event.id);
        let letter = NewLetter::new(event.id, failure.kind().to_string()).error(failure.text());
        let attempts = event.retry.saturating_add(1).saturating_add(tries);
        self.letters.insert(event.id, letter.attempts(attempts));
    }

    /// Checks that the batch was read to its end.
    ///
    /// # Errors
    /// [`Error::BatchUnread`]
    pub fn check_read(&self) -> Result<()> {
        match self.state {
            State::End if self.buffer.as_slice().is_empty() => Ok(()),
            _ => Err(Error::BatchUnread { batch: self.batch.id }),
        }
    }

    /// The statements that write the noted dead letters, one for each 5,000 of them or 1 MiB of their texts.
    pub fn letters(&self) -> impl Iterator<Item = Call<'static, u32>> + Send + '_ {
        let mut rest = self.letters.values();
        iter::from_fn(move || {
            let chunk = dead_letter::chunk(&mut rest);
            (!chunk.is_empty()).then(|| dead_letter::add(self.batch.id, &chunk))
        })
    }

    /// What is to become of the events that were received.
    pub fn tally(&self) -> Tally {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (retried, dead) = (count(self.retries.len()), count(self.letters.len()));
        Tally { done: count(self.received).saturating_sub(retried + dead), retried, dead }
    }

    /// Whether [`retry`](Self::retry) noted anything.
    pub fn has_retries(&self) -> bool {
        !self.retries.is_empty()
    }

    /// Asks what can queue the retries; its answer goes to [`retries`](Self::retries). `None` where that is all one.
    pub fn retry_means(&self) -> Option<Call<'static, Option<RetryMeans>>> {
        (!self.retries_all()).then(|| batch::retry_means(self.batch.id))
    }

    /// The statement that queues the noted retries: set-wise where all are to be retried alike, or the engine or the role allows it.
    ///
    /// # Errors
    /// [`Error::BatchLost`] if the batch is not open any more. [`Error::InvalidValue`] for an event that is in the batch twice (after
    /// a rewind), which PgQ's own engine lets only `pgq_admin` have retried.
    pub fn retries(&self, means: Option<RetryMeans>) -> Result<Call<'_, u64>> {
        if let (true, Some(&after)) = (self.retries_all(), self.retries.values().next()) {
            return Ok(batch::retry(self.batch.id, after));
        }
        let Some(means) = means else { return Err(self.lost()) };
        let retries: Vec<_> = self.retries.iter().map(|(&event, &after)| (event, after)).collect();
        let batch = self.batch.id;
        match (means, retries.iter().find(|(event, _)| self.twice.contains(event))) {
            (RetryMeans::Set, _) => Ok(event::retry_set(batch, &retries)),
            (RetryMeans::Raw, _) => {
                Ok(event::retry_many_raw(self.reader.queue(), self.reader.name(), batch, &retries))
            }
            (RetryMeans::Each, Some((event, _))) => Err(Error::InvalidValue {
                name: "retry of event",
                value: event.to_string(),
                reason: "it is in the batch twice, and only pgq_admin can have such an event retried",
            }),
            (RetryMeans::Each, None) => Ok(event::retry_many(batch, &retries)),
        }
    }

    /// The statement that finishes the batch, in the way that befits its reader; its answer goes to [`finished`](Self::finished).
    pub fn finish(&self) -> Call<'_, Finish> {
        self.reader.finish(self.batch.id)
    }

    /// Checks that the batch was still ours when it was finished.
    ///
    /// # Errors
    /// [`Error::BatchLost`]: the transaction must be rolled back.
    pub fn finished(&self, finish: Finish) -> Result<()> {
        match finish {
            Finish::Done => Ok(()),
            Finish::NotOpen => Err(self.lost()),
        }
    }

    /// What an error of the driver stands for that came while a chunk was received.
    pub fn error(&self, error: tokio_postgres::Error) -> Error {
        self.explain(batch::fetch(self.batch.id, &self.cursor, self.limit).error(error))
    }

    /// What an error means for this batch: when it is not open any more, it was taken away.
    pub fn explain(&self, error: Error) -> Error {
        self.reader.explain(self.batch.id, error)
    }

    fn lost(&self) -> Error {
        self.reader.lost(self.batch.id)
    }

    /// Compares counts and fingerprints, for the ids of a large batch are not kept.
    fn retries_all(&self) -> bool {
        let retried = self.retries.keys().map(|&id| fingerprint(id)).fold(0, u64::wrapping_add);
        let mut times = self.retries.values();
        let first = times.next();
        self.state == State::End
            && self.reader.reading.filter.is_empty()
            && self.retries.len() == self.received
            && self.fingerprint == retried
            && times.all(|after| Some(after) == first)
    }
}

/// Scatters ids over all 64 bits, so that sums of different ids differ.
fn fingerprint(id: EventId) -> u64 {
    let mixed = (id.0 as u64 ^ 0x5851_F42D_4C95_7F2D).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}
