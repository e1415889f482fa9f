use std::fmt;
use std::thread;
use std::time::Instant;

use postgres::config::{Host, TargetSessionAttrs};
use postgres::types::PgLsn;
use postgres::{Client, Config};

use crate::client;
use crate::cluster::{PATIENCE, POLL};
use crate::conninfo;
use crate::database::Database;
use crate::error::Error;
use crate::server::Server;

/// A read-only copy of a server that follows it, until [`Standby::promote`] makes it a server of its own.
///
/// It follows asynchronously, so commits that it has not got when its primary dies are lost by the promotion.
/// Dropping it stops it and removes its files, as with a [`Server`].
///
/// # Example
/// ```no_run
/// # fn main() -> Result<(), pgq_testkit::Error> {
/// use pgq_testkit::{Server, Standby};
///
/// let primary = Server::builder().tcp().start()?;
/// let database = primary.database()?;
/// let standby = Standby::of(&primary)?;
/// let conninfo = standby.failover_conninfo(&database);
/// standby.wait_until_caught_up()?;
/// primary.kill()?;
/// let primary = standby.promote()?;
/// # Ok(())
/// # }
/// ```
pub struct Standby {
    server: Server,
    primary: Config,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Standby {
    /// Copies a running server by `pg_basebackup` and starts the copy with the same settings, on TCP where the server is.
    ///
    /// That takes about a second and as much disk as the server has.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, [`Error::Program`] where it cannot be copied, and
    /// those of [`Server::start`].
    pub fn of(primary: &Server) -> Result<Self, Error> {
        let mut wanted = primary.cluster()?.wanted().clone();
        wanted.parent = None;
        wanted.copy_of = Some(primary.conninfo().to_owned());
        Ok(Self { server: Server::start_with(wanted)?, primary: primary.config().clone() })
    }

    /// The copy, for reading and for what breaks; [`Server::conninfo_of`] tells how a database of the primary is reached here.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// One connection string for both servers, which leads to the one that takes writes.
    ///
    /// It names two hosts and `target_session_attrs=read-write`: those of 127.0.0.1 where the primary listens on TCP, else the sockets.
    pub fn failover_conninfo(&self, database: &Database) -> String {
        let mut config = conninfo::elsewhere(database.config());
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let tcp = self.server.tcp_addr().is_some();
        for server in [&self.primary, self.server.config()] {
            let Some((host, port)) = conninfo::address(server) else { continue };
            match host {
                Host::Unix(path) if !tcp => config.host_path(path),
                _ => config.host("127.0.0.1"),
            };
            config.port(port);
        }
        conninfo::render(&config)
    }

    /// Waits until all that the primary has committed by now can be read here.
    ///
    /// # Errors
    /// [`Error::Database`], and [`Error::Io`] of kind `TimedOut` after a minute.
    pub fn wait_until_caught_up(&self) -> Result<(), Error> {
        let flushed: PgLsn = client::with(&self.primary, "ask the primary where it is", |client| {
            client.query_one("SELECT pg_current_wal_flush_lsn()", &[])?.try_get(0)
        })?;
        self.wait("catch up", "SELECT pg_last_wal_replay_lsn() >= $1", &[&flushed])
    }

    /// Leaves what arrives unapplied, so that it is not read here, until [`Standby::resume_replay`] or the promotion, which applies it.
    ///
    /// # Errors
    /// [`Error::Database`], and [`Error::Io`] of kind `TimedOut` after a minute.
    pub fn pause_replay(&self) -> Result<(), Error> {
        self.execute("pause the standby", "SELECT pg_wal_replay_pause()")?;
        self.wait("see the standby paused", "SELECT pg_is_wal_replay_paused()", &[])
    }

    /// Ends [`Standby::pause_replay`].
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn resume_replay(&self) -> Result<(), Error> {
        self.execute("resume the standby", "SELECT pg_wal_replay_resume()")
    }

    /// Cuts the standby off from its primary for good: what is committed from now on is lost by the promotion.
    ///
    /// # Errors
    /// [`Error::Database`], and [`Error::Io`] of kind `TimedOut` after a minute.
    pub fn cut_off(&self) -> Result<(), Error> {
        let doing = "cut the standby off";
        self.execute(doing, "ALTER SYSTEM SET primary_conninfo = ''")?;
        self.execute(doing, "SELECT pg_reload_conf()")?;
        self.wait("see the standby cut off", "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)", &[])
    }

    /// Makes it a server that takes writes, at the address that the standby had; returns when it does.
    ///
    /// The primary is left alone, and should be down: two servers that take writes are a fault of its own.
    ///
    /// # Errors
    /// [`Error::Database`], and [`Error::Io`] of kind `TimedOut` after a minute.
    pub fn promote(self) -> Result<Server, Error> {
        self.execute("promote the standby", "SELECT pg_promote(false)")?;
        self.wait("see the standby promoted", "SELECT NOT pg_is_in_recovery()", &[])?;
        Ok(self.server)
    }

    fn execute(&self, doing: &str, statement: &str) -> Result<(), Error> {
        client::with(self.server.config(), doing, |client| client.batch_execute(statement))
    }

    fn wait(&self, doing: &str, question: &str, parameters: &[&PgLsn]) -> Result<(), Error> {
        let start = Instant::now();
        let ask = |client: &mut Client| -> Result<bool, postgres::Error> {
            let parameters: Vec<_> = parameters.iter().map(|&lsn| lsn as _).collect();
            Ok(client.query_one(question, &parameters)?.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
        };
        let done = client::with(self.server.config(), doing, |client| {
            while !ask(client)? {
                if start.elapsed() > PATIENCE {
                    return Ok(false);
                }
                thread::sleep(POLL);
            }
            Ok(true)
        })?;
        if done { Ok(()) } else { Err(Error::io(doing)(std::io::ErrorKind::TimedOut.into())) }
    }
}
