use super::{DeadLetter, LetterId, list};
use crate::{Call, ChunkSize};

/// All dead letters of a queue or consumer, or of all, a page after the other: what is to be asked of the server next. The drivers'
/// `Letters` is built on it; it does no I/O itself.
#[derive(Clone, Debug)]
pub struct Pages {
    queue: Option<String>,
    consumer: Option<String>,
    after: Option<LetterId>,
    size: ChunkSize,
    limit: u32,
    at_end: bool,
}

impl Pages {
    /// From the first letter on; of all queues or consumers where they are `None`.
    pub fn new(queue: Option<String>, consumer: Option<String>) -> Self {
        let size = ChunkSize::default();
        Self { queue, consumer, after: None, size, limit: size.first(), at_end: false }
    }

    /// Asks for the next page; `None` at the end. What the server answers goes to [`received`](Self::received).
    pub fn next(&self) -> Option<Call<'_, Vec<DeadLetter>>> {
        let (queue, consumer) = (self.queue.as_deref(), self.consumer.as_deref());
        (!self.at_end).then(|| list(queue, consumer, self.after, self.limit))
    }

    /// Takes note of the page that [`next`](Self::next) asked for. Pages grow up to 1,000 letters or about 8 MiB.
    pub fn received(&mut self, page: &[DeadLetter]) {
        self.at_end = page.len() < self.limit as usize;
        self.after = page.last().map(|letter| letter.id).or(self.after);
        let bytes = page.iter().map(DeadLetter::size).sum();
        self.limit = self.size.after(self.limit, page.len(), bytes);
    }

    /// Asks for no more pages.
    pub fn end(&mut self) {
        self.at_end = true;
    }
}
