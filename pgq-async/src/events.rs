use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::Stream;
use futures::{FutureExt, TryStreamExt};
use pgq_core::batch::Reader;
use pgq_core::{Error, Event, Result};
use tokio_postgres::Client;

use crate::Batch;

/// Streams the events of one batch. Comes from [`Batch::events`].
///
/// Ends after an error. Dropping it early loses nothing: the batch goes on where it stopped, or comes again.
#[must_use]
pub struct Events<'b, 'c>(Reading<'b, 'c>);

enum Reading<'b, 'c> {
    Idle(&'b mut Batch<'c>),
    Busy(BoxFuture<'b, Result<Option<(Event, &'b mut Batch<'c>)>>>),
    End,
}

impl<'b, 'c> Events<'b, 'c> {
    pub(crate) fn new(batch: &'b mut Batch<'c>) -> Self {
        Self(Reading::Idle(batch))
    }
}

impl Stream for Events<'_, '_> {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Reading::Idle(batch) = &mut self.0 {
            if let Some(event) = batch.pop() {
                return Poll::Ready(Some(Ok(event)));
            }
        }
        let mut next = match mem::replace(&mut self.0, Reading::End) {
            Reading::Idle(batch) => read_on(batch).boxed(),
            Reading::Busy(next) => next,
            Reading::End => return Poll::Ready(None),
        };
        let Poll::Ready(next) = next.poll_unpin(cx) else {
            self.0 = Reading::Busy(next);
            return Poll::Pending;
        };
        Poll::Ready(next.transpose().map(|next| {
            let (event, batch) = next?;
            self.0 = Reading::Idle(batch);
            Ok(event)
        }))
    }
}

async fn read_on<'b, 'c>(batch: &'b mut Batch<'c>) -> Result<Option<(Event, &'b mut Batch<'c>)>> {
    Ok(batch.next_ahead().await?.map(|event| (event, batch)))
}

/// Streams the events of all batches that are there. Comes from
/// [`Consumer::next_events`](crate::Consumer::next_events) and [`SubConsumer::next_events`](crate::SubConsumer::next_events).
///
/// Finishes a batch when it moves past its last event. Dropping it early rolls back and leaves the batch open: it comes again,
/// whole. Dropping a future of `next` or `try_next` loses nothing: the stream goes on where it was.
#[must_use]
pub struct NextEvents<'c> {
    reader: Reader,
    state: State<'c>,
}

enum State<'c> {
    Start(&'c mut Client),
    Open(Box<Batch<'c>>),
    Busy(BoxFuture<'c, Result<Next<'c>>>),
    End,
}

/// The next event and the batch that it is of, if there is one.
type Next<'c> = Option<(Event, Box<Batch<'c>>)>;

impl<'c> NextEvents<'c> {
    pub(crate) fn new(reader: Reader, client: &'c mut Client) -> Self {
        Self { reader, state: State::Start(client) }
    }

    /// The next event; `None` where no new tick is there. What the stream does, without an import.
    ///
    /// # Errors
    /// Those of [`Consumer::next_batch`](crate::Consumer::next_batch), [`Batch::next_event`] and [`Batch::finish`].
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        self.try_next().await
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

    fn pop(&mut self) -> Option<Event> {
        match &mut self.state {
            State::Open(batch) => batch.pop(),
            _ => None,
        }
    }

    fn ask(&mut self) -> Option<BoxFuture<'c, Result<Next<'c>>>> {
        match mem::replace(&mut self.state, State::End) {
            State::Start(client) => Some(begin(self.reader.clone(), client).boxed()),
            State::Open(batch) => Some(go_on(self.reader.clone(), batch).boxed()),
            State::Busy(next) => Some(next),
            State::End => None,
        }
    }
}

impl Stream for NextEvents<'_> {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.pop() {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(mut next) = self.ask() else { return Poll::Ready(None) };
        let Poll::Ready(next) = next.poll_unpin(cx) else {
            self.state = State::Busy(next);
            return Poll::Pending;
        };
        Poll::Ready(next.transpose().map(|next| {
            let (event, batch) = next?;
            self.state = State::Open(batch);
            Ok(event)
        }))
    }
}

async fn begin<'c>(reader: Reader, client: &'c mut Client) -> Result<Next<'c>> {
    match Batch::next(client, &reader).await? {
        Some(batch) => go_on(reader, Box::new(batch)).await,
        None => Ok(None),
    }
}

async fn go_on<'c>(reader: Reader, mut batch: Box<Batch<'c>>) -> Result<Next<'c>> {
    loop {
        if let Some(event) = batch.next_ahead().await? {
            return Ok(Some((event, batch)));
        }
        if !batch.advance(&reader).await? {
            return Ok(None);
        }
    }
}
