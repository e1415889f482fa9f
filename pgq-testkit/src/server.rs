use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pgq_schema::Engine;
use postgres::Config;

use crate::client;
use crate::cluster::Cluster;
use crate::conninfo;
use crate::database::Database;
use crate::database_builder::DatabaseBuilder;
use crate::engine;
use crate::error::Error;
use crate::existing;
use crate::server_builder::ServerBuilder;
use crate::sql;

/// A PostgreSQL server for tests: one of our own that goes away with this value, or the one that
/// `PGQ_TEST_DATABASE` names.
///
/// A server of our own runs on a unix socket in a temporary directory. Dropping it stops the server at once
/// and removes the directory; a watchdog process does the same when this process ends without dropping it,
/// be it by a panic, by the end of `main` with the server in a `static`, or by SIGKILL.
pub struct Server {
    cluster: Option<Mutex<Cluster>>,
    config: Config,
    conninfo: String,
    version: u32,
    prefix: String,
    databases: AtomicU64,
    templates: Mutex<Vec<(Engine, String)>>,
}

/// Without the connection string, which may have a password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server of its own: `initdb`, `postgres`, and a wait until it takes connections.
    ///
    /// That takes about half a second and 40 MB of disk; tests that do not stop the server share one by
    /// [`Server::shared`]. The programs come from `PGQ_TEST_PG_BIN`, or from `PATH` and the usual places,
    /// where the newest version that has pgq is preferred. Root runs the server as `postgres` or `nobody`.
    ///
    /// Local users connect without a password, under any role; the superuser is `postgres`.
    ///
    /// # Errors
    /// [`Error::NoBinaries`], [`Error::WrongBinaries`], [`Error::NoAccount`], [`Error::Initdb`],
    /// [`Error::Start`] and [`Error::Io`]; nothing is left behind then.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use pgq_testkit::Server;
    /// use pgq_testkit::postgres::{Client, NoTls};
    ///
    /// let server = Server::start()?;
    /// let mut client = Client::connect(server.conninfo(), NoTls)?;
    /// client.batch_execute("CREATE ROLE app LOGIN")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// Prepares a server of its own with other settings, or one that listens on TCP.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Shares one server among the tests of this process: the one that `PGQ_TEST_DATABASE` names, else a started one.
    ///
    /// The first call costs what [`Server::start`] does, and other threads wait for it; later calls are free.
    /// `PGQ_TEST_DATABASE` is a libpq key=value string or URL, without TLS, of a role that may create
    /// databases and the extension. Databases that killed test processes left there are dropped by the next one.
    ///
    /// # Errors
    /// Like [`Server::start`], or [`Error::Conninfo`] and [`Error::Database`]. The next call tries again.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let database = pgq_testkit::Server::shared()?.database()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceLock<Server> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());

        let _one_at_a_time = lock(&STARTING);
        if let Some(server) = SHARED.get() {
            return Ok(server);
        }
        let server = match env::var("PGQ_TEST_DATABASE") {
            Ok(conninfo) if !conninfo.is_empty() => Self::existing(&conninfo)?,
            _ => Self::start()?,
        };
        Ok(SHARED.get_or_init(|| server))
    }

    pub(crate) fn start_with(builder: ServerBuilder) -> Result<Self, Error> {
        let cluster = Cluster::create(builder)?;
        let config = cluster.config();
        Self::new(Some(Mutex::new(cluster)), config, prefix())
    }

    fn existing(conninfo: &str) -> Result<Self, Error> {
        let prefix = prefix();
        let config = existing::attach(conninfo, &prefix)?;
        Self::new(None, config, prefix)
    }

    fn new(cluster: Option<Mutex<Cluster>>, config: Config, prefix: String) -> Result<Self, Error> {
        let version = client::with(&config, "ask the server for its version", |client| {
            let row = client.query_one("SELECT current_setting('server_version_num')::int4 / 10000", &[])?;
            row.try_get::<_, i32>(0)
        })?;
        Ok(Self {
            cluster,
            conninfo: conninfo::render(&config),
            config,
            version: version.unsigned_abs(),
            prefix,
            databases: AtomicU64::new(0),
            templates: Mutex::default(),
        })
    }

    /// Makes a database with PgQ in it, for one test: the schemas `pgq`, `pgq_coop`, `pgq_ext` and `pgq_dead`.
    ///
    /// The engine is the one that `PGQ_TEST_ENGINE` names, else the portable one, which needs nothing but PostgreSQL. The database is a
    /// copy of a template that the first call makes: about 20 ms and 8 MB each where files are made quickly;
    /// `PGQ_TEST_DIR=/dev/shm` sees to that.
    ///
    /// # Errors
    /// Those of [`DatabaseBuilder::create`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use pgq_testkit::Server;
    /// use pgq_testkit::postgres::{Client, NoTls};
    ///
    /// let database = Server::shared()?.database()?;
    /// let mut client = Client::connect(database.conninfo(), NoTls)?;
    /// client.execute("SELECT pgq.create_queue('orders')", &[])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn database(&self) -> Result<Database, Error> {
        self.new_database().create()
    }

    /// Makes a database without PgQ, for the tests of what happens then.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn empty_database(&self) -> Result<Database, Error> {
        self.new_database().empty().create()
    }

    /// Prepares a database with another engine or encoding than the usual one.
    pub fn new_database(&self) -> DatabaseBuilder<'_> {
        DatabaseBuilder::new(self)
    }

    /// Whether the server has the files of the pgq extension. One query.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn has_extension(&self) -> Result<bool, Error> {
        client::with(&self.config, "ask the server for its extensions", |client| {
            let found = client.query("SELECT FROM pg_available_extensions WHERE name = 'pgq'", &[])?;
            Ok(!found.is_empty())
        })
    }

    /// The connection string of the maintenance database, as libpq's key=value pairs.
    ///
    /// For a server of our own it names the unix socket and the superuser.
    pub fn conninfo(&self) -> &str {
        &self.conninfo
    }

    /// The connection string of a database of this name on this server, such as a copy that a [`Standby`](crate::Standby) has.
    pub fn conninfo_of(&self, database: &Database) -> String {
        conninfo::render(self.config.clone().dbname(database.name()))
    }

    /// The TCP address, where one was asked for by [`ServerBuilder::tcp`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::builder().tcp().start()?;
    /// if let Some(address) = server.tcp_addr() {
    ///     let url = format!("postgresql://postgres@{address}/postgres");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.cluster().ok()?.tcp_addr()
    }

    /// The server's major version, such as 15.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn cluster(&self) -> Result<MutexGuard<'_, Cluster>, Error> {
        self.cluster.as_ref().map(lock).ok_or(Error::NotOwned)
    }

    pub(crate) fn copy_template(&self, engine: Engine) -> Result<Database, Error> {
        let template = self.template(engine)?;
        self.create(&format!("TEMPLATE {}", sql::identifier(&template)))
    }

    pub(crate) fn create_with_encoding(&self, encoding: &str) -> Result<Database, Error> {
        let encoding = sql::literal(encoding);
        self.create(&format!("TEMPLATE template0 ENCODING {encoding} LC_COLLATE 'C' LC_CTYPE 'C'"))
    }

    pub(crate) fn create(&self, options: &str) -> Result<Database, Error> {
        self.create_named(self.next_name(), options)
    }

    fn template(&self, engine: Engine) -> Result<String, Error> {
        let mut templates = lock(&self.templates);
        if let Some((_, name)) = templates.iter().find(|(of, _)| *of == engine) {
            return Ok(name.clone());
        }
        let name = format!("{}_template_{}", self.prefix, templates.len());
        let database = self.create_named(name, "TEMPLATE template0 ENCODING 'UTF8'")?;
        engine::install(engine, &database, self.version)?;
        let name = database.keep();
        templates.push((engine, name.clone()));
        Ok(name)
    }

    fn create_named(&self, name: String, options: &str) -> Result<Database, Error> {
        // Copying files, the only way before 15, takes two checkpoints; writing through the log takes none.
        let strategy = if self.version >= 15 { "STRATEGY WAL_LOG" } else { "" };
        let statement = format!("CREATE DATABASE {} {options} {strategy}", sql::identifier(&name));
        client::with(&self.config, &format!("create database {name}"), |client| {
            client.batch_execute(&statement)
        })?;
        Ok(Database::new(name, &self.config))
    }

    fn next_name(&self) -> String {
        format!("{}_{}", self.prefix, self.databases.fetch_add(1, Ordering::Relaxed))
    }
}

fn prefix() -> String {
    format!("pgq_test_{}_{:08x}", process::id(), fastrand::u32(..))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
