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
//! [`Server::kill`], [`Server::start_again`] and [`Server::restart`] are for tests of what a program does when
//! its server goes away. Commits survive them: the server skips only what guards against a crash of the machine.
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
mod binaries;
mod client;
mod cluster;
mod conninfo;
mod database;
mod database_builder;
mod engine;
mod error;
mod existing;
mod postmaster;
mod server;
mod server_builder;
mod sql;
mod watchdog;

pub use database::Database;
pub use database_builder::DatabaseBuilder;
pub use engine::engine;
pub use error::Error;
pub use pgq_schema::Engine;
pub use postgres;
pub use server::{Server, Shutdown};
pub use server_builder::ServerBuilder;
