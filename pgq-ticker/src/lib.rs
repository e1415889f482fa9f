//! The ticker of PgQ, for a thread or a task of your program.
//!
//! A ticker cuts the events of each queue into batches, moves events back from the retry queue, and rotates the event tables.
//! Without one, events wait. [`sync::Ticker`] runs on a thread and the driver `postgres`, [`aio::Ticker`] on a task and
//! `tokio-postgres`; both decide alike, for the decisions are made once, without I/O, from a [`Schedule`].
//!
//! - **One leads, the others stand by.** Each ticker tries for a session advisory lock (the one that pgqueue and pg_scheduler take)
//!   and ticks only while it has it: two at once would deliver events twice. A stand-by takes over within about
//!   [`Periods::standby`] of the end of the other's session; where its process is frozen or its host gone, the server ends that
//!   after 15 seconds of silence, from PostgreSQL 14 on (see `answer_limit` of the builders). `pgqd` takes no lock: run either that
//!   or this.
//! - **One failing queue does not stop the others,** nor one failing operation the rest of the maintenance, nor a slow one the ticks
//!   for longer than it takes itself. After the clock was set back, a queue whose newest tick
//!   is from the future gets its next one within half a second and a tick period.
//! - **It tells what holds it up.** A transaction that is open for longer than [`Periods::long_transaction`] is logged once, and stands in
//!   [`Stats::long_transactions`](field@Stats::long_transactions): it holds up the rotation of event tables, and its own events.
//! - **It wakes up those who wait.** Each tick notifies the channel [`pgq_tick`](pgq_core::tick::CHANNEL). The portable engine does
//!   that by itself; on the C extension it costs a round trip after each call that made ticks. A notification that fails stops no
//!   tick: [`Stats::failing`](field@Stats::failing) tells, and listeners come to their batch when they poll.
//! - **It comes back by itself.** After a lost connection it tries again, from 50 milliseconds on with growing pauses up to 5
//!   seconds. The same when the database is not there, PgQ is not installed, or a right is missing;
//!   [`Stats::trouble`](field@Stats::trouble) says which. It logs by `tracing`, once per change.

#[cfg(any(feature = "async", feature = "sync"))]
mod limits;
#[cfg(any(feature = "async", feature = "sync"))]
mod reply;
#[cfg(any(feature = "async", feature = "sync"))]
mod request;
#[cfg(any(feature = "async", feature = "sync"))]
mod routine;
mod schedule;
#[cfg(any(feature = "async", feature = "sync"))]
mod stats;

#[cfg(feature = "async")]
pub mod aio;
#[cfg(feature = "sync")]
pub mod sync;

pub use schedule::{Job, Periods, Schedule};
#[cfg(any(feature = "async", feature = "sync"))]
pub use stats::{State, Stats};
