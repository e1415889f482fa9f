use std::pin::pin;

use pgq_core::{
    ConsumerInfo, Created, EventId, NewEvent, QueueConfig, QueueInfo, Result, consumer, event, queue,
};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{GenericClient, Transaction};

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
    pub async fn create(&self, client: &impl GenericClient) -> Result<Created> {
        client.call(queue::create(&self.name)).await
    }

    /// Drops the queue and its events; fails while it has consumers. One round trip; see [`queue::drop`].
    pub async fn drop(&self, client: &impl GenericClient) -> Result<()> {
        client.call(queue::drop(&self.name)).await
    }

    /// Drops the queue, its events and its consumers. One round trip; see [`queue::drop_with_consumers`].
    pub async fn drop_with_consumers(&self, client: &impl GenericClient) -> Result<()> {
        client.call(queue::drop_with_consumers(&self.name)).await
    }

    /// Changes the parameters that are set in `config`: all of them or none. One round trip; see [`queue::configure`].
    pub async fn set_config(&self, client: &impl GenericClient, config: &QueueConfig) -> Result<()> {
        client.call(queue::configure(&self.name, config)).await
    }

    /// Looks at the queue; `None` where it does not exist. One round trip; see [`queue::info`].
    pub async fn info(&self, client: &impl GenericClient) -> Result<Option<QueueInfo>> {
        client.call(queue::info(&self.name)).await
    }

    /// Looks at the queue's consumers. One round trip; see [`consumer::info_queue`].
    pub async fn consumers(&self, client: &impl GenericClient) -> Result<Vec<ConsumerInfo>> {
        client.call(consumer::info_queue(&self.name)).await
    }

    /// Inserts an event of type and data. One round trip; see [`event::insert`].
    pub async fn insert_event(
        &self,
        client: &impl GenericClient,
        event_type: &str,
        data: &str,
    ) -> Result<EventId> {
        client.call(event::insert(&self.name, event_type, data)).await
    }

    /// Inserts an event with extras or NULLs. One round trip; see [`event::insert_extras`].
    pub async fn insert(&self, client: &impl GenericClient, event: &NewEvent<'_>) -> Result<EventId> {
        client.call(event::insert_extras(&self.name, event)).await
    }

    /// Inserts many events, with the rights of a plain `pgq_writer`, and tells how many. A statement and a round trip for each
    /// 1,000 events or 1 MiB; no more than that is in memory. One more before the second asks whether the engine has
    /// [`event::insert_all`], which is used then. All of them in one transaction (a savepoint inside one of yours):
    /// either all are inserted or none.
    ///
    /// # Errors
    /// Those of [`event::insert_many`].
    pub async fn insert_events<'a>(
        &self,
        client: &mut impl GenericClient,
        events: impl IntoIterator<Item = NewEvent<'a>>,
    ) -> Result<u64> {
        let (mut inserted, mut all_at_once) = (0, false);
        let transaction = client.transaction().await?;
        for (number, chunk) in event::chunks(events).enumerate() {
            // One chunk is not worth the question.
            if number == 1 {
                all_at_once = transaction.call(event::can_insert_all()).await?;
            }
            let insert = match all_at_once {
                true => event::insert_all(&self.name, &chunk),
                false => event::insert_many(&self.name, &chunk),
            };
            inserted += transaction.call(insert).await?.len() as u64;
        }
        transaction.commit().await?;
        Ok(inserted)
    }

    /// Inserts many events by one binary `COPY` into the queue's current event table, and tells how many: several times as fast as
    /// [`insert_events`](Self::insert_events), with one event in memory at a time. Three round trips.
    ///
    /// Takes the rights of `pgq_admin`. Passes by the queue's limit of events per transaction.
    ///
    /// # Errors
    /// Those of [`event::copy`] and [`event::insert`]. When the `COPY` itself fails, the connection may be broken: throw it away.
    pub async fn copy_events<'a>(
        &self,
        transaction: &Transaction<'_>,
        events: impl IntoIterator<Item = NewEvent<'a>>,
    ) -> Result<u64> {
        let copy = transaction.call(event::copy(&self.name)).await?;
        let sink = transaction.copy_in(copy.sql()).await.map_err(|error| copy.error(error))?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, copy.types()));
        for event in events {
            writer.as_mut().write(&copy.row(&event)?).await.map_err(|error| copy.error(error))?;
        }
        writer.finish().await.map_err(|error| copy.error(error))
    }
}
