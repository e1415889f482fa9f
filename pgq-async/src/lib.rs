//! PgQ for programs on the asynchronous driver [`tokio_postgres`].
//!
//! - [`Queue`] produces and administers, [`Consumer`] consumes, [`Batch`] is what it consumes.
//! - [`SubConsumer`] shares a consumer's batches with others, [`ExactlyOnce`] applies batches to another database.
//! - [`Worker`] runs a consumer on a task, and calls handlers for its events.
//! - [`DeadLetters`] are the events that consumers gave up.
//! - [`Installer`] installs, upgrades and checks PgQ's schemas.
//! - [`ClientExt::call`] runs any of [`pgq_core`]'s calls; the others are thin on top of it.
//!
//! Whatever produces or administers takes `&impl GenericClient`: a client, a transaction, or a pooled client by `&**pooled`. It then
//! belongs to the transaction that it was given. (`insert_events` takes `&mut`, for it begins a savepoint.) Consuming takes
//! `&mut Client`, because a batch is opened in one transaction and worked on in another.
//!
//! ```no_run
//! use pgq_async::futures::TryStreamExt;
//! use pgq_async::tokio_postgres::{self, NoTls};
//! use pgq_async::{Consumer, Queue};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut db, connection) = tokio_postgres::connect("host=/run/postgresql dbname=shop", NoTls).await?;
//! tokio::spawn(connection);
//! let orders = Queue::new("orders");
//! orders.create(&db).await?;
//! Consumer::new("orders", "billing").register(&db).await?;
//!
//! let transaction = db.transaction().await?;
//! transaction.execute("UPDATE account SET balance = balance - 1990 WHERE id = 7", &[]).await?;
//! orders.insert_event(&transaction, "order.paid", r#"{"order":7,"cents":1990}"#).await?;
//! transaction.commit().await?;
//!
//! let consumer = Consumer::new("orders", "billing");
//! let mut events = consumer.next_events(&mut db);
//! while let Some(event) = events.try_next().await? {
//!     println!("{:?}", event.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Workers
//!
//! A [`Worker`] is the loop around a consumer that a service needs: it keeps a connection, waits for batches, calls handlers, retries what
//! fails, makes dead letters of what fails for good, and stops when it is told to.
//!
//! ```no_run
//! use pgq_async::futures::FutureExt;
//! use pgq_async::pgq_core::Event;
//! use pgq_async::{Consumer, Worker};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = "host=/run/postgresql dbname=shop".parse()?;
//! let worker = Worker::builder(config, Consumer::new("orders", "billing")).otherwise(|event: Event, transaction| {
//!     async move {
//!         transaction.execute("INSERT INTO seen (id) VALUES ($1)", &[&event.id.0]).await?;
//!         Ok::<_, pgq_async::tokio_postgres::Error>(())
//!     }
//!     .boxed()
//! });
//! worker.spawn()?.wait().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Dropped futures
//!
//! A future that is dropped has lost nothing: a batch that was not finished comes again. But the driver goes on with a statement
//! that was sent, and a `COMMIT` is one. So after a time-out around a call, throw the connection away.
//!
//! # Pools
//!
//! A client of `deadpool_postgres` or `bb8_postgres` works as it is:
//!
//! ```text
//! let mut client = pool.get().await?;
//! queue.insert_event(&**client, "order.paid", "7").await?;   // deadpool
//! queue.insert_event(&*client, "order.paid", "7").await?;    // bb8
//! let mut events = consumer.next_events(&mut client);        // both
//! queue.insert_event(&*transaction, "order.paid", "7").await?; // a transaction of deadpool; of bb8, `&transaction`
//! let mut consumer = consumer.attach(&mut **client);         // deadpool
//! let mut consumer = consumer.attach(&mut *client);          // bb8
//! ```

mod attached;
mod batch;
mod claim;
mod client_ext;
mod connection;
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

pub use futures;
pub use pgq_core;
pub use pgq_schema;
pub use tokio_postgres;
pub use tracing;
