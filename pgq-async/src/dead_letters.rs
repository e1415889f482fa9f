use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use futures::future::BoxFuture;
use futures::stream::Stream;
use futures::{FutureExt, TryStreamExt};
use pgq_core::Result;
use pgq_core::dead_letter::{self, DeadLetter, LetterId, Pages};
use tokio_postgres::GenericClient;

use crate::ClientExt;

/// The dead letters of a queue, or of one of its consumers: the events that were given up with
/// [`Batch::dead_letter`](crate::Batch::dead_letter).
///
/// They are in the schema `pgq_dead`, which is not installed unless asked for: `Installer::new().only(Schema::ALL)`. Looking takes
/// `pgq_reader`, everything that removes a letter `pgq_admin`.
///
/// ```no_run
/// # use std::time::Duration;
/// use pgq_async::DeadLetters;
/// use pgq_async::pgq_core::worker::FailureKind;
///
/// # async fn example(db: pgq_async::tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let letters = DeadLetters::of("orders").consumer("billing");
/// let (mut again, mut never) = (Vec::new(), Vec::new());
/// let mut all = letters.all(&db);
/// while let Some(letter) = all.next_letter().await? {
///     println!("{} {:?}: {}", letter.event.id, letter.event.data, letter.reason);
///     match letter.kind() {
///         Some(FailureKind::Timeout | FailureKind::UnknownType) => again.push(letter.id),
///         Some(FailureKind::Asked) => never.push(letter.id),
///         _ => {} // Somebody has to look.
///     }
/// }
/// letters.replay(&db, &again).await?;
/// letters.discard(&db, &never).await?;
/// letters.purge(&db, Duration::from_secs(90 * 86_400)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct DeadLetters {
    queue: String,
    consumer: Option<String>,
}

impl DeadLetters {
    /// Those of a queue, whether it still exists or not.
    pub fn of(queue: impl Into<String>) -> Self {
        Self { queue: queue.into(), consumer: None }
    }

    /// Leaves out those of other consumers than this one. The letters of a group are those of its main consumer.
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = Some(consumer.into());
        self
    }

    /// A page of at most `limit` letters, by their ids, that begins after the letter `after`. One round trip; see
    /// [`dead_letter::list`].
    pub async fn list(
        &self,
        client: &impl GenericClient,
        after: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>> {
        client.call(dead_letter::list(Some(&self.queue), self.consumer.as_deref(), after, limit)).await
    }

    /// Streams all of them, by their ids: a round trip for each page, which has up to 1,000 letters or about 8 MiB and is all that
    /// is in memory. Ends after an error.
    ///
    /// Outside of a transaction, what others remove meanwhile does not come, and what they add may.
    pub fn all<'c, C: GenericClient + Sync>(&self, client: &'c C) -> Letters<'c, C> {
        let pages = Pages::new(Some(self.queue.clone()), self.consumer.clone());
        Letters { client, pages, page: Vec::new().into_iter(), asked: None }
    }

    /// How many there are. One round trip; see [`dead_letter::count`].
    pub async fn count(&self, client: &impl GenericClient) -> Result<u64> {
        client.call(dead_letter::count(Some(&self.queue), self.consumer.as_deref())).await
    }

    /// Has the events of these letters delivered again to the consumers that gave them up, to nobody else, and removes the letters. Tells
    /// how many they were. Goes by the ids alone, of whichever queue they are. One round trip; see [`dead_letter::replay_to_consumer`].
    ///
    /// They come when the ticker takes the retry queue up, every 30 seconds unless it is told otherwise, and their attempts begin anew.
    pub async fn replay(&self, client: &impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::replay_to_consumer(letters)).await
    }

    /// Inserts the events of these letters into their queues anew, for all consumers, and removes the letters. Tells how many they were.
    /// Goes by the ids alone, too. One round trip; see [`dead_letter::replay_as_new`].
    pub async fn replay_as_new(&self, client: &impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::replay_as_new(letters)).await
    }

    /// Removes these letters, with their events, and tells how many they were. Goes by the ids alone, too. One round trip; see
    /// [`dead_letter::discard`].
    pub async fn discard(&self, client: &impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::discard(letters)).await
    }

    /// Removes those that are as old as that or older, and tells how many. One round trip; see [`dead_letter::purge`].
    pub async fn purge(&self, client: &impl GenericClient, older_than: Duration) -> Result<u64> {
        client.call(dead_letter::purge(Some(&self.queue), self.consumer.as_deref(), older_than)).await
    }
}

/// Streams dead letters. Comes from [`DeadLetters::all`].
///
/// Dropping a future of `next` or `try_next` loses nothing: the stream goes on where it was.
#[must_use]
pub struct Letters<'c, C> {
    client: &'c C,
    pages: Pages,
    page: vec::IntoIter<DeadLetter>,
    asked: Option<BoxFuture<'c, Result<Vec<DeadLetter>>>>,
}

impl<C: GenericClient + Sync> Letters<'_, C> {
    /// The next letter; `None` at the end. What the stream does, without an import.
    ///
    /// # Errors
    /// Those of [`dead_letter::list`]; there are no more letters then.
    pub async fn next_letter(&mut self) -> Result<Option<DeadLetter>> {
        self.try_next().await
    }
}

impl<C: GenericClient + Sync> Stream for Letters<'_, C> {
    type Item = Result<DeadLetter>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let letters = &mut *self;
        while letters.page.as_slice().is_empty() {
            let client = letters.client;
            let mut asked = match (letters.asked.take(), letters.pages.next()) {
                (Some(asked), _) => asked,
                (None, Some(_)) => ask(client, letters.pages.clone()).boxed(),
                (None, None) => return Poll::Ready(None),
            };
            let Poll::Ready(page) = asked.poll_unpin(cx) else {
                letters.asked = Some(asked);
                return Poll::Pending;
            };
            match page {
                Ok(page) => {
                    letters.pages.received(&page);
                    letters.page = page.into_iter();
                }
                Err(error) => {
                    letters.pages.end();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(letters.page.next().map(Ok))
    }
}

/// By hand, for the future of `ClientExt::call` is not known to be `Send`.
async fn ask<C: GenericClient + Sync>(client: &C, pages: Pages) -> Result<Vec<DeadLetter>> {
    let Some(mut next) = pages.next() else { return Ok(Vec::new()) };
    let (sql, params) = next.request()?;
    let rows = client.query_typed(sql, &params).await;
    next.answer(rows)
}
