//! What the workers of the drivers share: how a worker behaves, what it tells, and what it does next. No I/O.

mod failure;
mod from_event;
mod handling;
mod journal;
mod judge;
mod lanes;
mod ledger;
#[cfg(feature = "metrics")]
mod metrics;
mod notice;
mod options;
mod outcome;
mod prepare;
mod retry_policy;
mod rough;
mod routes;
mod routine;
#[doc(hidden)]
pub mod savepoint;
mod slices;
mod spans;
mod stall;
mod stats;
mod trace_parent;
mod unhandled;
mod worked;

pub use self::failure::{Failure, FailureKind};
pub use self::from_event::{Delivery, FromEvent, Urlencoded};
pub use self::notice::{Notice, Tally};
pub use self::options::{Claim, Extra, Permanent, Registration, Undo, Wakeup, WorkerOptions};
pub use self::outcome::{IntoOutcome, Outcome};
pub use self::retry_policy::{Exhausted, RetryPolicy};
pub use self::stall::NoTicks;
pub use self::stats::{WorkerState, WorkerStats};
pub use self::trace_parent::{NotATraceParent, TraceParent};
pub use self::unhandled::{Undecodable, UnknownType};

// The rest is for the drivers: an application meets none of it.
#[doc(hidden)]
pub use self::from_event::payload;
#[doc(hidden)]
pub use self::handling::Handling;
#[doc(hidden)]
pub use self::journal::Journal;
#[doc(hidden)]
pub use self::judge::Judge;
#[doc(hidden)]
pub use self::lanes::{Lanes, Turn, window_is_full};
#[doc(hidden)]
pub use self::ledger::Ledger;
#[doc(hidden)]
pub use self::prepare::{Prepared, listen, prepare};
#[doc(hidden)]
pub use self::retry_policy::Verdict;
#[doc(hidden)]
pub use self::routes::Routes;
#[doc(hidden)]
pub use self::routine::{Action, Routine};
#[doc(hidden)]
pub use self::slices::Slices;
#[doc(hidden)]
pub use self::spans::{batch_span, event_span};
#[doc(hidden)]
pub use self::stall::{Ticks, ticks};
#[doc(hidden)]
pub use self::worked::{Unfinished, Worked};
