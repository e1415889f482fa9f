use pgq_core::{Call, Result};
use postgres::GenericClient;

/// Runs calls of [`pgq_core`] on a client or a transaction.
pub trait ClientExt: GenericClient {
    /// Runs a call: one round trip (two to insert in a repeatable read or serializable transaction), with an unnamed statement, so it
    /// works behind a transaction pooler too.
    ///
    /// ```no_run
    /// use pgq_sync::{ClientExt, pgq_core::version};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut db = postgres::Client::connect("dbname=shop", postgres::NoTls)?;
    /// println!("PgQ {:?}", db.call(version::installed())?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the call; [`Error::Database`](pgq_core::Error::Database) for what is none of PgQ's conditions.
    fn call<T>(&mut self, call: Call<'_, T>) -> Result<T>;
}

impl<C: GenericClient> ClientExt for C {
    fn call<T>(&mut self, mut call: Call<'_, T>) -> Result<T> {
        let (sql, params) = call.request()?;
        let mut rows = self.query_typed(sql, &params);
        if call.runs_again(&rows) {
            let (sql, params) = call.request()?;
            rows = self.query_typed(sql, &params);
        }
        call.answer(rows)
    }
}
