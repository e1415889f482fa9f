use pgq_core::ext::{self, Recorded};
use pgq_core::{Call, Event, NextBatch, Result};
use postgres::{Client, Transaction};

use crate::ClientExt;

/// Applies batches to another database exactly once: the transaction there also records what it applies, in the schema `pgq_ext` of
/// that database.
///
/// ```no_run
/// use pgq_sync::pgq_core::EmptyBatches;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut db = postgres::Client::connect("dbname=shop", postgres::NoTls)?;
/// # let mut warehouse = postgres::Client::connect("dbname=warehouse", postgres::NoTls)?;
/// let consumer = pgq_sync::Consumer::new("orders", "warehouse").empty_batches(EmptyBatches::HandOver);
/// let once = pgq_sync::ExactlyOnce::new("shop: orders");
/// while let Some(mut batch) = consumer.next_batch(&mut db)? {
///     match once.by_tick(&mut warehouse, batch.info())? {
///         Some(mut target) => {
///             while let Some(event) = batch.next_event()? {
///                 target.execute("INSERT INTO orders (id) VALUES ($1)", &[&event.id.0])?;
///             }
///             target.commit()?;
///             batch.finish()?;
///         }
///         None => batch.finish_unread()?, // applied before: only the finish was missing
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Commit the target first, then finish the batch. When the process dies in between, the batch comes again and is skipped.
///
/// - [`by_tick`](Self::by_tick) knows gaps and repetitions, also after a restore of one of the databases: the choice for a
///   [`Consumer`](crate::Consumer). It needs every batch, also those without events: set
///   [`Consumer::empty_batches`](crate::Consumer::empty_batches) to [`EmptyBatches::HandOver`](pgq_core::EmptyBatches::HandOver).
/// - [`by_batch`](Self::by_batch) remembers the last batch. It does not see that batches are missing, or that the queue's database was
///   restored and gives a batch the id that it gave another one before.
/// - [`by_event`](Self::by_event) commits each event, so that a large batch goes on where it was. Otherwise like `by_batch`.
///
/// The members of a group get batches in any order and change their ids or owners in a takeover, which none of the three can
/// follow: for a [`SubConsumer`](crate::SubConsumer), a batch that is taken over after its commit in the target is applied again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExactlyOnce {
    consumer: String,
    subconsumer: String,
}

impl ExactlyOnce {
    /// Names the record: one for each pair of consumer and target. Queues and the databases they are in are not told apart, so name
    /// them too.
    pub fn new(consumer: impl Into<String>) -> Self {
        Self { consumer: consumer.into(), subconsumer: String::new() }
    }

    /// Sets the second part of the record's name; empty unless set.
    #[must_use]
    pub fn subconsumer(mut self, subconsumer: impl Into<String>) -> Self {
        self.subconsumer = subconsumer.into();
        self
    }

    /// Begins the transaction that applies the batch, with its last tick recorded in it; `None` where the batch was applied before.
    /// The first batch ever is taken as the beginning. Three round trips.
    ///
    /// The batches must come without a gap, so from a consumer that is handed the empty ones too
    /// ([`EmptyBatches::HandOver`](pgq_core::EmptyBatches::HandOver)). One that passes them gets the error below after the first such
    /// batch, and from then on.
    ///
    /// Those that apply under the same name wait for each other, from here to the end of the transaction. Dropping the transaction
    /// rolls back.
    ///
    /// # Errors
    /// [`Error::PositionGap`](pgq_core::Error::PositionGap) if the target was applied up to any other tick than the one the batch
    /// begins at; [`Error::NotInstalled`](pgq_core::Error::NotInstalled) without `pgq_ext`.
    pub fn by_tick<'t>(&self, target: &'t mut Client, batch: &NextBatch) -> Result<Option<Transaction<'t>>> {
        self.begin(target, ext::advance(&self.consumer, &self.subconsumer, batch))
    }

    /// Like [`by_tick`](Self::by_tick), but records the id of the batch, and compares it with the last one for equality.
    ///
    /// # Errors
    /// [`Error::NotInstalled`](pgq_core::Error::NotInstalled) without `pgq_ext`.
    pub fn by_batch<'t>(&self, target: &'t mut Client, batch: &NextBatch) -> Result<Option<Transaction<'t>>> {
        self.begin(target, ext::set_batch_done(&self.consumer, &self.subconsumer, batch.id))
    }

    /// Begins the transaction that applies one event of the batch, with the event recorded in it; `None` where it was applied
    /// before. Three round trips for each event.
    ///
    /// # Errors
    /// [`Error::NotInstalled`](pgq_core::Error::NotInstalled) without `pgq_ext`.
    pub fn by_event<'t>(
        &self,
        target: &'t mut Client,
        batch: &NextBatch,
        event: &Event,
    ) -> Result<Option<Transaction<'t>>> {
        self.begin(target, ext::set_event_done(&self.consumer, &self.subconsumer, batch.id, event.id))
    }

    fn begin<'t>(
        &self,
        target: &'t mut Client,
        record: Call<'_, Recorded>,
    ) -> Result<Option<Transaction<'t>>> {
        let mut transaction = target.transaction()?;
        transaction.call(ext::lock(&self.consumer, &self.subconsumer))?;
        match transaction.call(record)? {
            Recorded::Now => Ok(Some(transaction)),
            Recorded::Before => {
                transaction.rollback()?;
                Ok(None)
            }
        }
    }
}
