use std::env;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Config;
use postgres::config::Host;
use tempfile::TempDir;

use crate::account::Account;
use crate::conninfo;
use crate::database::Database;
use crate::directory;
use crate::error::Error;
use crate::processes::Signal;
use crate::program::tail;
use crate::server::Server;
use crate::watchdog::Watchdog;

/// A PgBouncer before a server, on a unix socket of its own; gone when this is dropped, and when the test's process ends.
#[derive(Debug)]
pub struct PgBouncer {
    process: Child,
    // After the process. The watchdog empties the directory, and must be gone before it.
    watchdog: Watchdog,
    directory: TempDir,
}

/// When PgBouncer takes a session back from its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// When the client disconnects.
    Session,
    /// At the end of each transaction.
    Transaction,
    /// At the end of each statement; transactions are refused.
    Statement,
}

impl PgBouncer {
    /// Starts one that gives out sessions by transaction, and has two of them for each database.
    ///
    /// With two, a client is now on this one and now on that one, as soon as there is another client.
    ///
    /// # Errors
    /// Those of [`PgBouncer::before_with`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// use pgq_testkit::{PgBouncer, Server, available};
    ///
    /// let server = Server::shared()?;
    /// let database = server.database()?;
    /// let Some(bouncer) = available(PgBouncer::before(server))? else { return Ok(()) };
    /// let conninfo = bouncer.conninfo(&database);
    /// # Ok(())
    /// # }
    /// ```
    pub fn before(server: &Server) -> Result<Self, Error> {
        Self::before_with(server, Pooling::Transaction, 2)
    }

    /// Starts one that has so many sessions for each database. Root runs it as `postgres` or `nobody`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is no `pgbouncer` in `PATH` or the usual places, [`Error::Program`] where
    /// it does not start, [`Error::NoAccount`] and [`Error::Io`].
    pub fn before_with(server: &Server, pooling: Pooling, sessions: u32) -> Result<Self, Error> {
        let program = find()?;
        let directory = directory::make().map_err(Error::io("make a temporary directory"))?;
        let file = directory.path().join("pgbouncer.ini");
        let text = configuration(server.config(), pooling, sessions, directory.path())?;
        fs::write(&file, text).map_err(Error::io("write PgBouncer's configuration"))?;
        let log =
            fs::File::create(directory.path().join("log")).map_err(Error::io("make PgBouncer's log"))?;
        let account = Account::take_over(directory.path())?;
        let mut watchdog = Watchdog::start(directory.path()).map_err(Error::io("run /bin/sh"))?;
        let mut command = Command::new(program);
        command.arg(&file).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if let Some(account) = account {
            account.runs(&mut command);
        }
        let process = command.spawn().map_err(Error::io("run pgbouncer"))?;
        let watched = watchdog.watch(Signal::Kill, process.id());
        let mut bouncer = Self { process, watchdog, directory };
        watched.map_err(Error::io("tell the watchdog about PgBouncer"))?;
        bouncer.wait_until_accepting()?;
        Ok(bouncer)
    }

    fn wait_until_accepting(&mut self) -> Result<(), Error> {
        let (socket, start) = (self.directory.path().join(format!(".s.PGSQL.{PORT}")), Instant::now());
        while UnixStream::connect(&socket).is_err() {
            let has_ended = !matches!(self.process.try_wait(), Ok(None));
            if has_ended || start.elapsed() > Duration::from_secs(30) {
                let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
                return Err(Error::Program { program: "pgbouncer", output: tail(&log) });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The connection string of a database of the server by way of PgBouncer.
    pub fn conninfo(&self, database: &Database) -> String {
        let mut config = conninfo::elsewhere(database.config());
        conninfo::render(config.host_path(self.directory.path()).port(PORT))
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.watchdog.unwatch();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find() -> Result<PathBuf, Error> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join("pgbouncer")).find(|program| program.is_file());
    found.ok_or_else(|| Error::Unavailable {
        why: "there is no pgbouncer (Debian, Ubuntu: apt-get install pgbouncer)".to_owned(),
    })
}

fn configuration(
    server: &Config,
    pooling: Pooling,
    sessions: u32,
    directory: &Path,
) -> Result<String, Error> {
    let no_address = || Error::io("tell where the server is")(io::ErrorKind::AddrNotAvailable.into());
    let (host, port) = conninfo::address(server).ok_or_else(no_address)?;
    let host = match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let user = server.get_user().unwrap_or_default();
    let password = server.get_password().map(|bytes| String::from_utf8_lossy(bytes).replace('\'', "''"));
    let password = password.map(|password| format!("password='{password}'")).unwrap_or_default();
    let mode = match pooling {
        Pooling::Session => "session",
        Pooling::Transaction => "transaction",
        Pooling::Statement => "statement",
    };
    Ok(format!(
        "[databases]\n* = host={host} port={port} user={user} {password}\n\
         [pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = any\n\
         pool_mode = {mode}\ndefault_pool_size = {sessions}\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        directory.display(),
    ))
}

/// Names the socket file; nobody listens on this port.
const PORT: u16 = 6432;
