//! PgQ for programs on the blocking driver [`postgres`].
//!
//! - [`Queue`] produces and administers, [`Consumer`] consumes, [`Batch`] is what it consumes.
//! - [`SubConsumer`] shares a consumer's batches with others, [`ExactlyOnce`] applies batches to another database.
//! - [`Worker`] is a consumer on a thread of its own, which calls your handlers.
//! - [`DeadLetters`] are the events that consumers gave up.
//! - [`Installer`] installs, upgrades and checks PgQ's schemas.
//! - [`ClientExt::call`] runs any of [`pgq_core`]'s calls; the others are thin on top of it.
//!
//! Whatever produces or administers takes `&mut impl GenericClient`: a client, a transaction, or a pooled client by `&mut *pooled`.
//! It then belongs to the transaction that it was given. Consuming takes `&mut Client`, because a batch is opened in one
//! transaction and worked on in another.
//!
//! ```no_run
//! use pgq_sync::{Consumer, Queue};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut db = postgres::Client::connect("host=/run/postgresql dbname=shop", postgres::NoTls)?;
//! let orders = Queue::new("orders");
//! orders.create(&mut db)?;
//! Consumer::new("orders", "billing").register(&mut db)?;
//!
//! let mut transaction = db.transaction()?;
//! transaction.execute("UPDATE account SET balance = balance - 1990 WHERE id = 7", &[])?;
//! orders.insert_event(&mut transaction, "order.paid", r#"{"order":7,"cents":1990}"#)?;
//! transaction.commit()?;
//!
//! for event in Consumer::new("orders", "billing").next_events(&mut db) {
//!     println!("{:?}", event?.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Workers
//!
//! A [`Worker`] is the loop around [`Consumer`] or [`SubConsumer`] for a program that runs for long: it reconnects, wakes up with the
//! tick, retries what fails, gives up what fails for good, stands by for its twin, and stops in order. Handlers write in the transaction of the
//! batch, or work [outside](WorkerBuilder::outside) of it side by side. What it does is told in four ways: [`Worker::stats`],
//! [`WorkerBuilder::on_notice`], the log by `tracing`, and with the feature `metrics` by the crate of that name.
//!
//! # Inside a tokio runtime
//!
//! `postgres` starts a runtime of its own for each client, and panics with "Cannot start a runtime from within a runtime" when one
//! is used in an async function. There, use `pgq-async`, or move the work to `tokio::task::spawn_blocking`.
//!
//! # Limits
//!
//! The connection is yours, and `postgres` waits for an answer for as long as it takes: set `connect_timeout`, `keepalives` and
//! `tcp_user_timeout` where you connect, and `statement_timeout` on the server.
//!
//! # Pools
//!
//! A client of `r2d2_postgres` works as it is:
//!
//! ```text
//! let mut client = pool.get()?;
//! queue.insert_event(&mut *client, "order.paid", "7")?;
//! for event in consumer.next_events(&mut client) { … }
//! let mut consumer = consumer.attach(&mut *client);
//! ```

mod attached;
mod batch;
mod claim;
mod client_ext;
mod consumer;
mod dead_letters;
mod events;
mod exactly_once;
mod fault_point;
mod heartbeat;
mod installer;
mod limits;
mod loaded_batch;
mod queue;
mod subconsumer;
mod trigger;
mod worker;

pub use attached::Attached;
pub use batch::Batch;
pub use client_ext::ClientExt;
pub use consumer::Consumer;
pub use dead_letters::{DeadLetters, Letters};
pub use events::{Events, NextEvents};
pub use exactly_once::ExactlyOnce;
pub use heartbeat::Heartbeat;
pub use installer::Installer;
#[doc(hidden)]
pub use limits::with_limits;
pub use loaded_batch::LoadedBatch;
pub use queue::Queue;
pub use subconsumer::SubConsumer;
pub use trigger::TriggerExt;
pub use worker::{InTransaction, Outside, Stopper, Worker, WorkerBuilder};

pub use pgq_core;
pub use pgq_schema;
pub use postgres;
