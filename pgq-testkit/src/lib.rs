//! Throw-away PostgreSQL servers and databases with PgQ, for tests.
//!
//! [`Server::shared`] is one server for all tests of a process, and [`Server::database`] a fresh database
//! with PgQ for each of them, in some 20 ms. Nothing needs to be set up but a PostgreSQL package:
//! the server is started from the installed programs, on a unix socket in a temporary directory, and is gone
//! when the tests are, however they end.
//!
//! ```no_run
//! use pgq_testkit::Server;
//! use pgq_testkit::postgres::{Client, NoTls};
//!
//! # type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
//! #[test]
//! # fn hidden() {}
//! fn inserts_an_event() -> Result {
//!     let database = Server::shared()?.database()?;
//!     let mut client = Client::connect(database.conninfo(), NoTls)?;
//!     client.execute("SELECT pgq.create_queue('orders')", &[])?;
//!     let row = client.query_one("SELECT pgq.insert_event('orders', 'paid', '42')", &[])?;
//!     assert_eq!(row.get::<_, i64>(0), 1);
//!     Ok(())
//! }
//! # fn main() -> Result { inserts_an_event() }
//! ```
//!
//! The same calls work inside an async runtime, which they block for as long as they take:
//!
//! ```no_run
//! use pgq_testkit::Server;
//! use tokio_postgres::NoTls;
//!
//! # type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
//! # async fn spawn(_: impl Future) {}
//! #[tokio::test]
//! # async fn hidden() {}
//! async fn creates_a_queue() -> Result {
//!     let database = Server::shared()?.database()?;
//!     let (client, connection) = tokio_postgres::connect(database.conninfo(), NoTls).await?;
//!     tokio::spawn(connection);
//!     client.execute("SELECT pgq.create_queue('orders')", &[]).await?;
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! # What breaks
//!
//! A program that uses a queue has to come through what breaks around it. Each of these breaks as a test wants it,
//! and is whole again, or gone, when its value is dropped; also when the test panics, or its process is killed.
//!
//! | what | how |
//! |---|---|
//! | the server dies | [`Server::kill`], [`Server::start_again`]; [`Server::crash_backend`] |
//! | it is restarted | [`Server::restart`]; [`Server::launch`] and [`Server::wait_until_accepting`] to take the time |
//! | it hangs | [`Server::pause`] |
//! | it ends a session | [`Server::kill_backends_of`], [`Database::kill_random_backend`] and the like |
//! | it has no sessions left | [`Server::occupy_all_connections`] |
//! | its disk is full | [`SmallDisk`] |
//! | another server takes its place | [`Standby`], [`Standby::failover_conninfo`], [`Proxy::lead_to`] |
//! | the network loses, delays, cuts or refuses | [`Proxy`] and its [`Mode`]s |
//! | a commit takes effect and nobody hears of it | [`Mode::DropReplyTo`] |
//! | each transaction is on another session | [`PgBouncer`] |
//! | a consumer stops in the middle, and wakes up when another one has its work | [`Process`] |
//!
//! Commits survive all of them but the loss of a standby that was behind: servers skip only what guards against a
//! crash of the machine. [`until()`] waits for what a test expects to happen, and says how long it took. [`available()`]
//! skips a test where the machine has no `pgbouncer`, or the right to mount a disk is missing.
//!
//! ```no_run
//! use pgq_testkit::postgres::{Client, NoTls};
//! use pgq_testkit::{Mode, Proxy, Server, Shutdown, until};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One of its own: others share the shared one, and it may not be ours to stop.
//! let server = Server::start()?;
//! let database = server.database()?;
//! let proxy = Proxy::before(&server)?;
//! let mut client = Client::connect(&proxy.conninfo(&database), NoTls)?;
//!
//! proxy.switch(Mode::Reset);
//! assert!(client.simple_query("SELECT 1").is_err());
//! server.restart(Shutdown::Immediate)?;
//! proxy.switch(Mode::Pass);
//! until("it is back", || Client::connect(&proxy.conninfo(&database), NoTls).is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! The drivers have no limit of their own for a server or a network that says nothing: also the drop of a
//! `postgres::Client` waits then. A test ends [`Mode::Blackhole`] or the pause before it drops a client, or drops the [`Proxy`] first.
//!
//! # Environment
//!
//! | variable | meaning |
//! |---|---|
//! | `PGQ_TEST_DATABASE` | [`Server::shared`] uses this running server, a libpq key=value string or URL |
//! | `PGQ_TEST_ENGINE` | the engine of the databases, `portable` or `extension`; portable where it is not set |
//! | `PGQ_TEST_PG_BIN` | the folder of the `initdb` and `postgres` to start servers with |
//! | `PGQ_TEST_DIR` | the folder where servers keep their files; a memory file system such as `/dev/shm` is the fastest |
//! | `TMPDIR` | the same, where `PGQ_TEST_DIR` is not set |
//!
//! A folder whose path is too long for a socket (70 bytes), or that the server's account may not enter when root
//! runs the tests, gives way to `/tmp`.
//!
//! Runs on unix systems.

mod account;
mod available;
mod backend;
mod binaries;
mod client;
mod cluster;
mod conninfo;
mod database;
mod database_builder;
mod directory;
mod engine;
mod error;
mod existing;
mod occupied;
mod outage;
mod pgbouncer;
mod postmaster;
mod process;
mod processes;
mod program;
mod proxy;
mod server;
mod server_builder;
mod small_disk;
mod sql;
mod standby;
mod until;
mod watchdog;

pub use available::available;
pub use backend::Backend;
pub use database::Database;
pub use database_builder::DatabaseBuilder;
pub use engine::engine;
pub use error::Error;
pub use fastrand;
pub use occupied::Occupied;
pub use outage::{Paused, Shutdown};
pub use pgbouncer::{PgBouncer, Pooling};
pub use pgq_schema::Engine;
pub use postgres;
pub use process::Process;
pub use proxy::{Mode, Proxy};
pub use server::Server;
pub use server_builder::ServerBuilder;
pub use small_disk::SmallDisk;
pub use standby::Standby;
pub use until::{until, until_within};
