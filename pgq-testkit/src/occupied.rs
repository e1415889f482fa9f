use std::fmt;
use std::mem;
use std::thread;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, NoTls};

use crate::client;
use crate::error::Error;
use crate::server::Server;

/// Sessions that are held until this is dropped; made by [`Server::occupy_connections`].
#[must_use = "the sessions are closed when this is dropped"]
pub struct Occupied {
    clients: Vec<Client>,
}

impl fmt::Debug for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Occupied").field("count", &self.count()).finish()
    }
}

impl Occupied {
    /// How many sessions are held.
    pub fn count(&self) -> usize {
        self.clients.len()
    }
}

/// The server ends the sessions a moment later.
impl Drop for Occupied {
    fn drop(&mut self) {
        let clients = mem::take(&mut self.clients);
        client::off_runtime(|| drop(clients));
    }
}

/// How to leave others without a session.
impl Server {
    /// Holds so many sessions.
    ///
    /// The last ones, `superuser_reserved_connections` of them, are for superusers, as which these connect.
    ///
    /// # Errors
    /// [`Error::Database`], also where the server has no more of them.
    pub fn occupy_connections(&self, count: usize) -> Result<Occupied, Error> {
        let connect = || (0..count).map(|_| self.config().connect(NoTls)).collect::<Result<Vec<_>, _>>();
        match client::off_runtime(connect) {
            Ok(clients) => Ok(Occupied { clients }),
            Err(source) => Err(Error::Database { doing: format!("hold {count} sessions"), source }),
        }
    }

    /// Holds all sessions that the server has left, those of superusers as well: the next client gets SQLSTATE 53300. Takes a tenth of a second more.
    ///
    /// # Errors
    /// [`Error::Database`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::builder().setting("max_connections", "20").start()?;
    /// let occupied = server.occupy_all_connections()?;
    /// // Nobody gets in now.
    /// drop(occupied);
    /// # Ok(())
    /// # }
    /// ```
    pub fn occupy_all_connections(&self) -> Result<Occupied, Error> {
        client::off_runtime(|| {
            let mut occupied = Occupied { clients: Vec::new() };
            let mut refusals = 0;
            // A session that has just been closed has its place for a moment yet.
            while refusals < 10 {
                match self.config().connect(NoTls) {
                    Ok(client) => {
                        occupied.clients.push(client);
                        refusals = 0;
                    }
                    Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
                        refusals += 1;
                        thread::sleep(Duration::from_millis(10));
                    }
                    Err(source) => {
                        let doing = "hold all sessions".to_owned();
                        return Err(Error::Database { doing, source });
                    }
                }
            }
            Ok(occupied)
        })
    }
}
