use std::fmt;

use postgres::{Client, Config};

use crate::client;
use crate::conninfo;
use crate::error::Error;
use crate::sql;

/// A database for one test; dropping it disconnects everybody from it and drops it on the server.
///
/// It does not borrow the [`Server`](crate::Server), so it can move to other threads and tasks. Dropping it
/// costs one connection and one statement, about 20 ms; failures to drop are ignored, as when the server is down.
pub struct Database {
    name: String,
    config: Config,
    conninfo: String,
    maintenance: Option<Config>,
}

/// Without the connection string, which may have a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn new(name: String, maintenance: &Config) -> Self {
        let mut config = maintenance.clone();
        config.dbname(&name);
        Self { name, conninfo: conninfo::render(&config), config, maintenance: Some(maintenance.clone()) }
    }

    /// Leaves the database on the server and tells its name.
    pub(crate) fn keep(mut self) -> String {
        self.maintenance = None;
        std::mem::take(&mut self.name)
    }

    /// The name, unique on its server, such as `pgq_test_4242_9f86d081_0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection string, as libpq's key=value pairs.
    ///
    /// Both `postgres::Config` and `tokio_postgres::Config` parse it, and so do libpq's programs. On a server
    /// of our own it names the superuser.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let database = pgq_testkit::Server::shared()?.database()?;
    /// let (client, connection) = tokio_postgres::connect(database.conninfo(), tokio_postgres::NoTls).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn conninfo(&self) -> &str {
        &self.conninfo
    }

    /// The connection string of another role, which must exist and be allowed to log in.
    ///
    /// A server of our own trusts everybody. On the server of `PGQ_TEST_DATABASE` the password, where
    /// there is one, stays that of the variable's role.
    pub fn conninfo_as(&self, user: &str) -> String {
        let mut config = self.config.clone();
        config.user(user);
        conninfo::render(&config)
    }

    /// Works on a connection to another database of the server.
    pub(crate) fn with_server<T: Send>(
        &self,
        doing: &str,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send,
    ) -> Result<T, Error> {
        client::with(self.maintenance.as_ref().unwrap_or(&self.config), doing, work)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(maintenance) = &self.maintenance {
            let statement = sql::drop_database(&self.name);
            let _ = client::with(maintenance, "drop a database", |client| client.batch_execute(&statement));
        }
    }
}
