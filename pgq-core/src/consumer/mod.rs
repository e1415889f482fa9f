//! Consumers: register, unregister, look at.

mod info;

use tokio_postgres::Row;

pub use self::info::ConsumerInfo;
use crate::answer::Columns;
use crate::call::Answer;
use crate::queue::{Created, created};
use crate::subject::Subject;
use crate::{Call, Result, Role, TickId};

/// Registers a consumer at the newest tick; leaves one that is registered as it is. Wraps `pgq.register_consumer(text, text)`.
///
/// The first batch begins at that tick, so it may hold events from before the registration. An advisory lock of ours makes two
/// processes that register the same new name take turns.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound), [`Error::NoTicks`](crate::Error::NoTicks), [`Error::CreatedMeanwhile`](crate::Error::CreatedMeanwhile) if a program without that lock registered the name meanwhile.
pub fn register<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, Created> {
    let sql = in_turn("pgq.register_consumer($1, $2)");
    Call::new("pgq.register_consumer", Role::Reader, sql, created)
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
}

/// Registers a consumer at a tick, or moves one that is registered there. Wraps `pgq.register_consumer_at(text, text, bigint)`.
///
/// Moving gives up the open batch: its id becomes invalid, and what was skipped or repeated by the move is the caller's choice.
///
/// # Errors
/// Like [`register`]; [`Error::TickNotFound`](crate::Error::TickNotFound) if the tick is not there (any more).
pub fn register_at<'a>(queue: &'a str, consumer: &'a str, tick: TickId) -> Call<'a, Created> {
    let sql = in_turn("pgq.register_consumer_at($1, $2, $3)");
    Call::new("pgq.register_consumer_at", Role::Reader, sql, created)
        .about(Subject { tick: Some(tick), ..Subject::consumer(queue, consumer) })
        .bind(queue)
        .bind(consumer)
        .bind(tick.0)
}

/// Unregisters a consumer with its open batch and what waits for its retry, and tells how many registrations that removed: 0
/// where there was none. Wraps `pgq.unregister_consumer(text, text)`. A member of a cooperative consumer must not be unregistered by this:
/// its open batch would be lost.
pub fn unregister<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, u32> {
    let removed = |answer: Answer<'_>| answer.value::<i32>().map(i32::unsigned_abs);
    Call::new("pgq.unregister_consumer", Role::Reader, "SELECT pgq.unregister_consumer($1, $2)", removed)
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
}

/// What to do when another session has claimed the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfClaimed {
    /// Fail with [`Error::ConsumerClaimed`](crate::Error::ConsumerClaimed).
    Fail,
    /// Wait until it is free. Asks twice a second.
    Wait,
}

/// Claims the consumer for this session, until [`release`] or the end of the session, and tells whether it got it: not while another
/// session has claimed it. Takes an advisory lock of ours. Who claims nothing is not kept out.
///
/// A session lock: useless on a connection that a pooler hands on.
pub fn claim<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, bool> {
    claiming("pg_try_advisory_lock", queue, consumer)
}

/// Gives up what [`claim`] got, and tells whether there was something; to be called as often.
pub fn release<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, bool> {
    claiming("pg_advisory_unlock", queue, consumer)
}

fn claiming<'a>(function: &'static str, queue: &'a str, consumer: &'a str) -> Call<'a, bool> {
    let sql = format!("SELECT {function}(hashtextextended($2, hashtextextended($1, 7366)))");
    Call::new(function, Role::Public, sql, |answer| answer.value())
        .about(Subject::consumer(queue, consumer))
        .bind(queue)
        .bind(consumer)
}

/// Looks at one consumer; `None` where it is not registered. Wraps `pgq.get_consumer_info(text, text)`.
pub fn info<'a>(queue: &'a str, consumer: &'a str) -> Call<'a, Option<ConsumerInfo>> {
    consumer_info(Some(queue), Some(consumer), |answer| Ok(infos(answer)?.pop()))
}

/// Looks at the consumers of a queue, ordered by name. Wraps `pgq.get_consumer_info(text)`.
pub fn info_queue(queue: &str) -> Call<'_, Vec<ConsumerInfo>> {
    consumer_info(Some(queue), None, infos)
}

/// Looks at all consumers, ordered by queue and name. Wraps `pgq.get_consumer_info()`.
pub fn info_all() -> Call<'static, Vec<ConsumerInfo>> {
    consumer_info(None, None, infos)
}

/// Those who register the same name take turns, by a lock on its hash; the seed keeps it apart from other hashes of the same text.
fn in_turn(register: &str) -> String {
    format!(
        "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($2, 7365))) SELECT {register} FROM turn"
    )
}

fn consumer_info<'a, T: 'a>(
    queue: Option<&'a str>,
    consumer: Option<&'a str>,
    decode: fn(Answer<'_>) -> Result<T>,
) -> Call<'a, T> {
    const SQL: &str = "SELECT queue_name, consumer_name, extract(epoch FROM lag)::float8, \
         extract(epoch FROM last_seen)::float8, last_tick, current_batch, next_tick, pending_events \
         FROM pgq.get_consumer_info($1, $2)";
    Call::new("pgq.get_consumer_info", Role::Public, SQL, decode)
        .about(Subject { queue, consumer, ..Subject::default() })
        .bind(queue)
        .bind(consumer)
}

fn infos(answer: Answer<'_>) -> Result<Vec<ConsumerInfo>> {
    let decode = |row: &Row| ConsumerInfo::decode(Columns::of(row, answer.function));
    answer.rows.iter().map(decode).collect()
}
