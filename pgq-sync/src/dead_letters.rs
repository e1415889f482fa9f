use std::time::Duration;
use std::vec;

use pgq_core::Result;
use pgq_core::dead_letter::{self, DeadLetter, LetterId, Pages};
use postgres::GenericClient;

use crate::ClientExt;

/// The dead letters of a queue, or of one of its consumers: the events that were given up with
/// [`Batch::dead_letter`](crate::Batch::dead_letter).
///
/// They are in the schema `pgq_dead`, which is not installed unless asked for: `Installer::new().only(Schema::ALL)`. Looking takes
/// `pgq_reader`, everything that removes a letter `pgq_admin`.
///
/// ```no_run
/// # use std::time::Duration;
/// use pgq_sync::DeadLetters;
/// use pgq_sync::pgq_core::worker::FailureKind;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut db = pgq_sync::postgres::Client::connect("dbname=shop", pgq_sync::postgres::NoTls)?;
/// let letters = DeadLetters::of("orders").consumer("billing");
/// let (mut again, mut never) = (Vec::new(), Vec::new());
/// for letter in letters.all(&mut db) {
///     let letter = letter?;
///     println!("{} {:?}: {}", letter.event.id, letter.event.data, letter.reason);
///     match letter.kind() {
///         Some(FailureKind::Timeout | FailureKind::UnknownType) => again.push(letter.id),
///         Some(FailureKind::Asked) => never.push(letter.id),
///         _ => {} // Somebody has to look.
///     }
/// }
/// letters.replay(&mut db, &again)?;
/// letters.discard(&mut db, &never)?;
/// letters.purge(&mut db, Duration::from_secs(90 * 86_400))?;
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
    pub fn list(
        &self,
        client: &mut impl GenericClient,
        after: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>> {
        client.call(dead_letter::list(Some(&self.queue), self.consumer.as_deref(), after, limit))
    }

    /// Iterates over all of them, by their ids: a round trip for each page, which has up to 1,000 letters or about 8 MiB and is all that
    /// is in memory. Ends after an error.
    ///
    /// Outside of a transaction, what others remove meanwhile does not come, and what they add may.
    pub fn all<'c, C: GenericClient>(&self, client: &'c mut C) -> Letters<'c, C> {
        let pages = Pages::new(Some(self.queue.clone()), self.consumer.clone());
        Letters { client, pages, page: Vec::new().into_iter() }
    }

    /// How many there are. One round trip; see [`dead_letter::count`].
    pub fn count(&self, client: &mut impl GenericClient) -> Result<u64> {
        client.call(dead_letter::count(Some(&self.queue), self.consumer.as_deref()))
    }

    /// Has the events of these letters delivered again to the consumers that gave them up, to nobody else, and removes the letters. Tells
    /// how many they were. Goes by the ids alone, of whichever queue they are. One round trip; see [`dead_letter::replay_to_consumer`].
    ///
    /// They come when the ticker takes the retry queue up, every 30 seconds unless it is told otherwise, and their attempts begin anew.
    pub fn replay(&self, client: &mut impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::replay_to_consumer(letters))
    }

    /// Inserts the events of these letters into their queues anew, for all consumers, and removes the letters. Tells how many they were.
    /// Goes by the ids alone, too. One round trip; see [`dead_letter::replay_as_new`].
    pub fn replay_as_new(&self, client: &mut impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::replay_as_new(letters))
    }

    /// Removes these letters, with their events, and tells how many they were. Goes by the ids alone, too. One round trip; see
    /// [`dead_letter::discard`].
    pub fn discard(&self, client: &mut impl GenericClient, letters: &[LetterId]) -> Result<u64> {
        client.call(dead_letter::discard(letters))
    }

    /// Removes those that are as old as that or older, and tells how many. One round trip; see [`dead_letter::purge`].
    pub fn purge(&self, client: &mut impl GenericClient, older_than: Duration) -> Result<u64> {
        client.call(dead_letter::purge(Some(&self.queue), self.consumer.as_deref(), older_than))
    }
}

/// Iterates over dead letters. Comes from [`DeadLetters::all`].
#[must_use]
pub struct Letters<'c, C> {
    client: &'c mut C,
    pages: Pages,
    page: vec::IntoIter<DeadLetter>,
}

impl<C: GenericClient> Letters<'_, C> {
    /// The next letter; `None` at the end. What the iterator does.
    ///
    /// # Errors
    /// Those of [`dead_letter::list`]; there are no more letters then.
    pub fn next_letter(&mut self) -> Result<Option<DeadLetter>> {
        while self.page.as_slice().is_empty() {
            let Some(next) = self.pages.next() else { break };
            match self.client.call(next) {
                Ok(page) => {
                    self.pages.received(&page);
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.pages.end();
                    return Err(error);
                }
            }
        }
        Ok(self.page.next())
    }
}

impl<C: GenericClient> Iterator for Letters<'_, C> {
    type Item = Result<DeadLetter>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_letter().transpose()
    }
}
