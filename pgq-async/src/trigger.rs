use std::future::Future;

use pgq_core::{Result, Table, Trigger};
use tokio_postgres::GenericClient;

/// Attaches a [`Trigger`] to a table.
pub trait TriggerExt {
    /// Creates the trigger on the table, or replaces it by this one. One round trip; takes the owner of the table and a lock that
    /// waits for its writers. Two triggers of one queue on one table need a [`Trigger::name`] each.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](pgq_core::Error::InvalidValue) for options that exclude each other; the server's.
    fn attach(
        &self,
        client: &impl GenericClient,
        table: impl Into<Table>,
    ) -> impl Future<Output = Result<()>>;

    /// Drops the trigger from the table, if it is there. One round trip; takes the owner of the table and an exclusive lock.
    ///
    /// # Errors
    /// The server's. A table that does not exist is none.
    fn detach(
        &self,
        client: &impl GenericClient,
        table: impl Into<Table>,
    ) -> impl Future<Output = Result<()>>;
}

impl TriggerExt for Trigger {
    async fn attach(&self, client: &impl GenericClient, table: impl Into<Table>) -> Result<()> {
        let table = table.into();
        let sql = self.attach_sql(table.clone())?;
        client.batch_execute(&sql).await.map_err(|error| table.error("CREATE TRIGGER", error))
    }

    async fn detach(&self, client: &impl GenericClient, table: impl Into<Table>) -> Result<()> {
        let table = table.into();
        let sql = self.detach_sql(table.clone())?;
        client.batch_execute(&sql).await.map_err(|error| table.error("DROP TRIGGER", error))
    }
}
