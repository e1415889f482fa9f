//! PgQ without I/O: the part of the `pgq` SDK that `pgq-sync` and `pgq-async` share.
//!
//! - A [`Call`] is a request as a value: SQL, parameters, decoder. One function builds one for each SQL function of PgQ, and has
//!   its name: `pgq.finish_batch` is [`batch::finish`]. They are grouped as PgQ's manual does it: [`queue`], [`event`],
//!   [`consumer`], [`batch`], [`tick`], [`maintenance`], [`version`], [`grants`]; [`coop`], [`ext`] and [`dead_letter`] for the schemas
//!   beside `pgq`.
//! - [`Event`] is what a consumer gets, [`NewEvent`] what a producer gives.
//! - [`change`] decodes the events that PgQ's trigger functions write, [`Trigger`] sets such triggers up.
//! - [`Error`] is the one error type of the workspace.
//!
//! Nothing here opens a connection, keeps a clock or needs a runtime. Most users want the crate `pgq`, which re-exports this one.

mod answer;
mod backoff;
mod call;
mod database_error;
mod error;
mod ids;
mod long_transaction;
mod param;
mod role;
mod seconds;
mod subject;
mod trigger;

pub mod batch;
pub mod change;
pub mod consumer;
pub mod coop;
pub mod dead_letter;
pub mod event;
pub mod ext;
#[doc(hidden)]
pub mod fault_point;
pub mod grants;
#[doc(hidden)]
pub mod limits;
pub mod maintenance;
pub mod queue;
pub mod quote;
pub mod tick;
pub mod version;
pub mod worker;

pub use chrono;
pub use fastrand;

pub use backoff::Backoff;
pub use batch::{BatchInfo, ChunkSize, EmptyBatches, Filter, NextBatch, Pace};
pub use call::Call;
pub use change::{Change, Op};
pub use consumer::ConsumerInfo;
pub use database_error::DatabaseError;
pub use dead_letter::{DeadLetter, LetterId, NewLetter};
pub use error::{Error, Installation};
pub use event::{Event, NewEvent};
pub use ids::{BatchId, EventId, SessionId, TickId, TxId};
pub use param::Param;
pub use queue::{Created, QueueConfig, QueueInfo};
pub use role::Role;
pub use trigger::{Expression, Operation, Table, Trigger};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
