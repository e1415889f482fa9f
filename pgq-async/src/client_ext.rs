use std::future::Future;

use pgq_core::{Call, Result};
use tokio_postgres::GenericClient;

/// Runs calls of [`pgq_core`] on a client or a transaction.
pub trait ClientExt: GenericClient {
    /// Runs a call: one round trip (two to insert in a repeatable read or serializable transaction), with an unnamed statement, so it
    /// works behind a transaction pooler too.
    ///
    /// ```no_run
    /// use pgq_async::{ClientExt, pgq_core::version};
    ///
    /// # async fn example(db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("PgQ {:?}", db.call(version::installed()).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping the future does not take back a statement that was sent.
    ///
    /// # Errors
    /// Those of the call; [`Error::Database`](pgq_core::Error::Database) for what is none of PgQ's conditions.
    fn call<T>(&self, call: Call<'_, T>) -> impl Future<Output = Result<T>>;
}

impl<C: GenericClient> ClientExt for C {
    async fn call<T>(&self, mut call: Call<'_, T>) -> Result<T> {
        let (sql, params) = call.request()?;
        let mut rows = self.query_typed(sql, &params).await;
        if call.runs_again(&rows) {
            let (sql, params) = call.request()?;
            rows = self.query_typed(sql, &params).await;
        }
        call.answer(rows)
    }
}
