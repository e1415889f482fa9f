use postgres::{Client, Row};

use crate::client;
use crate::database::Database;
use crate::error::Error;
use crate::server::Server;

/// A session of a server, as it was when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Its process on the server.
    pub pid: i32,
    /// The database that it is connected to.
    pub database: String,
    /// What the client calls itself, empty where it does not.
    pub application_name: String,
    /// What it does: `active`, `idle`, `idle in transaction` and so on; empty where the role may not know.
    pub state: String,
    /// Its current or last statement.
    pub query: String,
}

impl Backend {
    fn new(row: &Row) -> Result<Self, postgres::Error> {
        Ok(Self {
            pid: row.try_get(0)?,
            database: row.try_get(1)?,
            application_name: row.try_get(2)?,
            state: row.try_get(3)?,
            query: row.try_get(4)?,
        })
    }
}

/// The sessions of a server, and how they end. Each call connects for a moment; sessions of the testkit's own are left out.
impl Server {
    /// The sessions of all clients.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn backends(&self) -> Result<Vec<Backend>, Error> {
        client::with(self.config(), "list the sessions", |client| list(client, None))
    }

    /// The sessions of the clients that call themselves so, which they do by `application_name` in their connection string.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn backends_of(&self, application_name: &str) -> Result<Vec<Backend>, Error> {
        let mut backends = self.backends()?;
        backends.retain(|backend| backend.application_name == application_name);
        Ok(backends)
    }

    /// Ends a session by `pg_terminate_backend`, and tells whether there was one.
    ///
    /// Returns when the signal is sent. Its client finds out when it next reads: SQLSTATE 57P01.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn kill_backend(&self, pid: i32) -> Result<bool, Error> {
        client::with(self.config(), "end a session", |client| {
            client.query_one("SELECT pg_terminate_backend($1)", &[&pid])?.try_get(0)
        })
    }

    /// Ends the sessions of all clients that call themselves so, and tells how many there were.
    ///
    /// # Errors
    /// [`Error::Database`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// # let server = pgq_testkit::Server::start()?;
    /// let killed = server.kill_backends_of("my consumer")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill_backends_of(&self, application_name: &str) -> Result<usize, Error> {
        client::with(self.config(), "end sessions", |client| {
            let mut backends = list(client, None)?;
            backends.retain(|backend| backend.application_name == application_name);
            kill(client, &backends)
        })
    }

    /// Ends the session of any one client, and tells whose it was; `None` where there is nobody.
    ///
    /// On a server that tests share, [`Database::kill_random_backend`] leaves the others alone.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn kill_random_backend(&self, random: &mut fastrand::Rng) -> Result<Option<Backend>, Error> {
        client::with(self.config(), "end a session", |client| kill_any(client, None, random))
    }

    /// Kills the process of a session by SIGKILL, and tells whether there was one.
    ///
    /// The server takes that for a crash: it ends all sessions and recovers, which [`Server::wait_until_accepting`] waits for.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, and [`Error::Io`].
    pub fn crash_backend(&self, pid: i32) -> Result<bool, Error> {
        self.cluster()?.kill_child(pid.unsigned_abs())
    }
}

/// The sessions on the database, and how they end. Each call connects for a moment, to another one.
impl Database {
    /// The sessions of all clients on this database.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn backends(&self) -> Result<Vec<Backend>, Error> {
        self.with_server("list the sessions", |client| list(client, Some(self.name())))
    }

    /// Ends all sessions on this database, and tells how many there were.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn kill_backends(&self) -> Result<usize, Error> {
        self.with_server("end the sessions", |client| {
            let backends = list(client, Some(self.name()))?;
            kill(client, &backends)
        })
    }

    /// Ends any one session on this database, and tells which; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Database`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// # let database = pgq_testkit::Server::shared()?.database()?;
    /// let mut random = pgq_testkit::fastrand::Rng::with_seed(7);
    /// let killed = database.kill_random_backend(&mut random)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill_random_backend(&self, random: &mut fastrand::Rng) -> Result<Option<Backend>, Error> {
        self.with_server("end a session", |client| kill_any(client, Some(self.name()), random))
    }
}

fn list(client: &mut Client, database: Option<&str>) -> Result<Vec<Backend>, postgres::Error> {
    let rows = client.query(
        "SELECT pid, datname::text, application_name, coalesce(state, ''), query FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND datname = coalesce($1::text, datname)
           AND application_name <> $2 AND application_name !~ '^pgq_test_[0-9]+_[0-9a-f]{8}$'
         ORDER BY pid",
        &[&database, &client::NAME],
    )?;
    rows.iter().map(Backend::new).collect()
}

fn kill(client: &mut Client, backends: &[Backend]) -> Result<usize, postgres::Error> {
    let pids: Vec<i32> = backends.iter().map(|backend| backend.pid).collect();
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM unnest($1::int4[]) AS pid",
        &[&pids],
    )?;
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
}

fn kill_any(
    client: &mut Client,
    database: Option<&str>,
    random: &mut fastrand::Rng,
) -> Result<Option<Backend>, postgres::Error> {
    let mut backends = list(client, database)?;
    if backends.is_empty() {
        return Ok(None);
    }
    let backend = backends.swap_remove(random.usize(..backends.len()));
    let killed = kill(client, std::slice::from_ref(&backend))?;
    Ok((killed > 0).then_some(backend))
}
