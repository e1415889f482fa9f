//! Events: insert them, have them retried.
//!
//! # A commit without an answer
//!
//! An event exists exactly when the transaction that inserted it is committed. Whether it is, the producer learns from the answer to its
//! `COMMIT`. Where that answer does not come (the connection or the server is lost, a time limit, a dropped future), nobody can tell
//! the producer: the commit may have taken effect, or not, or may take effect a moment later. The error of the driver's `commit` is one
//! of the connection then: [`Error::is_connection`](crate::Error::is_connection), once it is turned into an [`Error`](crate::Error). An
//! error of any statement before the `COMMIT` says that nothing was done, and so does an error of the server at the `COMMIT`.
//!
//! To try again without inserting twice, write a key of the request in the same transaction, into a table where it is unique:
//!
//! ```sql
//! CREATE TABLE request (key text PRIMARY KEY);
//! -- Each try: insert the event only where this inserts a row. It waits for a first try that is still under way.
//! INSERT INTO request VALUES ($1) ON CONFLICT DO NOTHING;
//! ```
//!
//! The state of a business row serves as well (`UPDATE … WHERE paid IS NULL`). `txid_status()` does not: after a crash the server gives
//! out ids anew that it had given to transactions that were never committed.

mod copy;
#[expect(clippy::module_inception, reason = "the type `Event` is where its name says")]
mod event;
mod insert;
mod new_event;
mod retry;

pub use self::copy::Copy;
pub use self::event::Event;
pub use self::insert::{
    can_insert_all, copy, current_table, insert, insert_all, insert_extras, insert_many, insert_raw,
};
pub use self::new_event::{Chunks, MAX_SIZE, NewEvent, chunks};
pub use self::retry::{Retry, retry_after, retry_at, retry_many, retry_many_raw, retry_raw, retry_set};
