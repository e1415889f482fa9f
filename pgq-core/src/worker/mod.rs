//! What the workers of the drivers share: how a worker behaves, what it tells, and what it does next. No I/O.

mod failure;
mod from_event;
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
mod routes;
mod routine;
pub mod savepoint;
mod slices;
mod spans;
mod stall;
mod stats;
mod trace_parent;
mod worked;

pub use self::failure::{Failure, FailureKind};
pub use self::from_event::{Delivery, FromEvent, Urlencoded};
pub use self::journal::Journal;
pub use self::judge::Judge;
pub use self::lanes::{Lanes, Turn, window_is_full};
pub use self::ledger::Ledger;
pub use self::notice::{Notice, Tally};
pub use self::options::{Claim, Extra, Handling, Permanent, Registration, Undo, Wakeup, WorkerOptions};
pub use self::outcome::{IntoOutcome, Outcome};
pub use self::prepare::{Prepared, listen, prepare};
pub use self::retry_policy::{Exhausted, RetryPolicy, UnknownType, Verdict};
pub use self::routes::Routes;
pub use self::routine::{Action, Routine};
pub use self::slices::Slices;
pub use self::spans::{batch_span, event_span};
pub use self::stall::{NoTicks, Ticks, ticks};
pub use self::stats::{WorkerState, WorkerStats};
pub use self::trace_parent::{NotATraceParent, TraceParent};
pub use self::worked::{Unfinished, Worked};
