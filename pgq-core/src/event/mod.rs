//! Events: insert them, have them retried.

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
