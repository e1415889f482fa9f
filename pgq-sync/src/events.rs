use std::mem;
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::{Error, Event, Result};
use postgres::Client;

use crate::Batch;

/// Iterates over the events of one batch. Comes from [`Batch::events`].
///
/// Ends after an error. Dropping it early loses nothing: the batch goes on where it stopped.
#[must_use]
pub struct Events<'b, 'c> {
    batch: &'b mut Batch<'c>,
    failed: bool,
}

impl<'b, 'c> Events<'b, 'c> {
    pub(crate) fn new(batch: &'b mut Batch<'c>) -> Self {
        Self { batch, failed: false }
    }
}

impl Iterator for Events<'_, '_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let event = self.batch.next_event().transpose();
        self.failed = matches!(event, Some(Err(_)));
        event
    }
}

/// Iterates over the events of all batches that are there. Comes from
/// [`Consumer::next_events`](crate::Consumer::next_events) and [`SubConsumer::next_events`](crate::SubConsumer::next_events).
///
/// Finishes a batch when it moves past its last event. Dropping it early rolls back and leaves the batch open: it comes again,
/// whole.
#[must_use]
pub struct NextEvents<'c> {
    reader: Reader,
    state: State<'c>,
}

enum State<'c> {
    Start(&'c mut Client),
    Open(Box<Batch<'c>>),
    End,
}

impl<'c> NextEvents<'c> {
    pub(crate) fn new(reader: Reader, client: &'c mut Client) -> Self {
        Self { reader, state: State::Start(client) }
    }

    /// The next event; `None` where no new tick is there. What the iterator does, for a loop that calls [`retry`](Self::retry).
    ///
    /// # Errors
    /// Those of [`Consumer::next_batch`](crate::Consumer::next_batch), [`Batch::next_event`] and [`Batch::finish`].
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let mut batch = match mem::replace(&mut self.state, State::End) {
            State::Start(client) => Batch::next(client, &self.reader)?.map(Box::new),
            State::Open(batch) => Some(batch),
            State::End => None,
        };
        while let Some(mut open) = batch {
            if let Some(event) = open.next_event()? {
                self.state = State::Open(open);
                return Ok(Some(event));
            }
            batch = open.advance(&self.reader)?.then_some(open);
        }
        Ok(None)
    }

    /// Like [`Batch::retry`], for an event of the batch that is open: one that came since the last batch was finished.
    ///
    /// # Errors
    /// [`Error::RetryTooLate`] for an event of another batch, and when the event after it was asked for and is not there yet.
    pub fn retry(&mut self, event: &Event, after: Duration) -> Result<()> {
        match &mut self.state {
            State::Open(batch) => batch.retry_own(event, after),
            _ => Err(Error::RetryTooLate { event: event.id }),
        }
    }
}

impl Iterator for NextEvents<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}
