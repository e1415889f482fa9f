use std::borrow::BorrowMut;

use pgq_core::{ConsumerInfo, Created, Result, TickId};
use postgres::Client;

use crate::{Batch, Consumer, LoadedBatch, NextEvents};

/// A [`Consumer`] with the connection that it works on: the same methods, without the argument.
///
/// ```no_run
/// use pgq_sync::Consumer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = postgres::Client::connect("dbname=shop", postgres::NoTls)?;
/// let mut consumer = Consumer::new("orders", "billing").attach(db);
/// consumer.register()?;
/// for event in consumer.next_events() {
///     println!("{:?}", event?.data);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Attached<C> {
    consumer: Consumer,
    client: C,
}

impl<C: BorrowMut<Client>> Attached<C> {
    pub(crate) fn new(consumer: Consumer, client: C) -> Self {
        Self { consumer, client }
    }

    /// Like [`Consumer::register`].
    pub fn register(&mut self) -> Result<Created> {
        self.consumer.register(self.client.borrow_mut())
    }

    /// Like [`Consumer::register_at`].
    pub fn register_at(&mut self, tick: TickId) -> Result<Created> {
        self.consumer.register_at(self.client.borrow_mut(), tick)
    }

    /// Like [`Consumer::unregister`].
    pub fn unregister(&mut self) -> Result<u32> {
        self.consumer.unregister(self.client.borrow_mut())
    }

    /// Like [`Consumer::info`].
    pub fn info(&mut self) -> Result<Option<ConsumerInfo>> {
        self.consumer.info(self.client.borrow_mut())
    }

    /// Like [`Consumer::next_batch`].
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        self.consumer.next_batch(self.client.borrow_mut())
    }

    /// Like [`Consumer::next_loaded`].
    pub fn next_loaded(&mut self) -> Result<Option<LoadedBatch>> {
        self.consumer.next_loaded(self.client.borrow_mut())
    }

    /// Like [`Consumer::next_events`].
    pub fn next_events(&mut self) -> NextEvents<'_> {
        self.consumer.next_events(self.client.borrow_mut())
    }

    /// The connection, for other work between batches.
    pub fn client(&mut self) -> &mut Client {
        self.client.borrow_mut()
    }

    /// Gives back the connection.
    pub fn detach(self) -> C {
        self.client
    }
}
