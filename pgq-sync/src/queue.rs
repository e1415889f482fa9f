use pgq_core::{
    ConsumerInfo, Created, EventId, NewEvent, QueueConfig, QueueInfo, Result, consumer, event, queue,
};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::{GenericClient, Transaction};

use crate::ClientExt;

/// A queue, by its name. Produces into it and administers it.
///
/// Names are case-sensitive and not trimmed; any text is one. What a producer knows when its commit goes unanswered is said
/// at [`event`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    name: String,
}

impl Queue {
    /// Names a queue; does not look whether it exists.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The name of the queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates the queue if it does not exist. One round trip; see [`queue::create`].
    pub fn create(&self, client: &mut impl GenericClient) -> Result<Created> {
        client.call(queue::create(&self.name))
    }

    /// Drops the queue and its events; fails while it has consumers. One round trip; see [`queue::drop`].
    pub fn drop(&self, client: &mut impl GenericClient) -> Result<()> {
        client.call(queue::drop(&self.name))
    }

    /// Drops the queue, its events and its consumers. One round trip; see [`queue::drop_with_consumers`].
    pub fn drop_with_consumers(&self, client: &mut impl GenericClient) -> Result<()> {
        client.call(queue::drop_with_consumers(&self.name))
    }

    /// Changes the parameters that are set in `config`: all of them or none. One round trip; see [`queue::configure`].
    pub fn set_config(&self, client: &mut impl GenericClient, config: &QueueConfig) -> Result<()> {
        client.call(queue::configure(&self.name, config))
    }

    /// Looks at the queue; `None` where it does not exist. One round trip; see [`queue::info`].
    pub fn info(&self, client: &mut impl GenericClient) -> Result<Option<QueueInfo>> {
        client.call(queue::info(&self.name))
    }

    /// Looks at the queue's consumers. One round trip; see [`consumer::info_queue`].
    pub fn consumers(&self, client: &mut impl GenericClient) -> Result<Vec<ConsumerInfo>> {
        client.call(consumer::info_queue(&self.name))
    }

    /// Inserts an event of type and data. One round trip; see [`event::insert`].
    pub fn insert_event(
        &self,
        client: &mut impl GenericClient,
        event_type: &str,
        data: &str,
    ) -> Result<EventId> {
        client.call(event::insert(&self.name, event_type, data))
    }

    /// Inserts an event with extras or NULLs. One round trip; see [`event::insert_extras`].
    pub fn insert(&self, client: &mut impl GenericClient, event: &NewEvent<'_>) -> Result<EventId> {
        client.call(event::insert_extras(&self.name, event))
    }

    /// Inserts many events, with the rights of a plain `pgq_writer`, and tells how many. A statement and a round trip for each
    /// 1,000 events or 1 MiB; no more than that is in memory. One more before the second asks whether the engine has
    /// [`event::insert_all`], which is used then. All of them in one transaction (a savepoint inside one of yours):
    /// either all are inserted or none.
    ///
    /// # Errors
    /// Those of [`event::insert_many`].
    pub fn insert_events<'a>(
        &self,
        client: &mut impl GenericClient,
        events: impl IntoIterator<Item = NewEvent<'a>>,
    ) -> Result<u64> {
        let (mut inserted, mut all_at_once) = (0, false);
        let mut transaction = client.transaction()?;
        for (number, chunk) in event::chunks(events).enumerate() {
            // One chunk is not worth the question.
            if number == 1 {
                all_at_once = transaction.call(event::can_insert_all())?;
            }
            let insert = match all_at_once {
                true => event::insert_all(&self.name, &chunk),
                false => event::insert_many(&self.name, &chunk),
            };
            inserted += transaction.call(insert)?.len() as u64;
        }
        transaction.commit()?;
        Ok(inserted)
    }

    /// Inserts many events by one binary `COPY` into the queue's current event table, and tells how many: several times as fast as
    /// [`insert_events`](Self::insert_events), with one event in memory at a time. Three round trips.
    ///
    /// Takes the rights of `pgq_admin`. Passes by the queue's limit of events per transaction.
    ///
    /// # Errors
    /// Those of [`event::copy`] and [`event::insert`]. When the `COPY` itself fails, the connection may be broken: throw it away.
    pub fn copy_events<'a>(
        &self,
        transaction: &mut Transaction<'_>,
        events: impl IntoIterator<Item = NewEvent<'a>>,
    ) -> Result<u64> {
        let copy = transaction.call(event::copy(&self.name))?;
        let sink = transaction.copy_in(copy.sql()).map_err(|error| copy.error(error))?;
        let mut writer = BinaryCopyInWriter::new(sink, copy.types());
        for event in events {
            writer.write(&copy.row(&event)?).map_err(|error| copy.error(error))?;
        }
        writer.finish().map_err(|error| copy.error(error))
    }
}
