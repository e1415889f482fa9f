//! Dead letters (schema `pgq_dead`, which is installed on request): where the events go that a consumer gives up.
//!
//! A letter holds the whole event, so it outlives the queue. It is written in the transaction that finishes the batch; the drivers'
//! `Batch::dead_letter` does that, and their `DeadLetters` is built on the other calls.
//!
//! Install it with `Installer::new().only(Schema::ALL)`, by `pgq-schema`'s `print_sql --only pgq_dead`, or both with the rest.

mod letter;
mod new_letter;
mod pages;

use std::time::Duration;

pub use self::letter::{DeadLetter, LetterId};
pub use self::new_letter::NewLetter;
pub(crate) use self::new_letter::chunk;
use self::new_letter::escaped;
pub use self::pages::Pages;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{BatchId, Call, Param, Result, Role, seconds};

/// Makes letters of events of an open batch, and tells how many: one for each event, the last one where an event is named twice. Wraps
/// `pgq_dead.add(bigint, bigint[], text[], text[], integer[])`.
///
/// Run it in the transaction that finishes the batch, before the finish. The server reads the whole batch once for each call: add some
/// thousand at a time.
///
/// # Errors
/// [`Error::EventNotFound`](crate::Error::EventNotFound), [`Error::BatchNotFound`](crate::Error::BatchNotFound); none is added then.
/// [`Error::NotInstalled`](crate::Error::NotInstalled).
pub fn add(batch: BatchId, letters: &[NewLetter<'_>]) -> Call<'static, u32> {
    // Only a database in UTF8 is sure to have all characters; another one keeps the escapes.
    const SQL: &str = "WITH letter AS (SELECT event, attempts, n, \
         CASE WHEN getdatabaseencoding() = 'UTF8' THEN unistr(reason) ELSE reason END AS reason, \
         CASE WHEN getdatabaseencoding() = 'UTF8' THEN unistr(error) ELSE error END AS error \
         FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY AS l (event, reason, error, attempts, n)) \
         SELECT pgq_dead.add($1, array_agg(event ORDER BY n), array_agg(reason ORDER BY n), array_agg(error ORDER BY n), \
         array_agg(nullif(attempts, 0)::integer ORDER BY n)) FROM letter";
    let texts = |text: fn(&NewLetter<'_>) -> Option<String>| {
        Param::Texts(letters.iter().map(|letter| text(letter).map(Into::into)).collect())
    };
    let attempts = |letter: &NewLetter<'_>| {
        letter.attempts.map_or(0, |attempts| i64::from(i32::try_from(attempts).unwrap_or(i32::MAX)))
    };
    Call::new("pgq_dead.add", Role::Reader, SQL, |answer| answer.value::<i32>().map(i32::unsigned_abs))
        .about(Subject::batch(batch))
        .bind(batch.0)
        .bind(Param::BigInts(letters.iter().map(|letter| letter.event.0).collect()))
        .bind(texts(|letter| Some(escaped(&letter.reason))))
        .bind(texts(|letter| letter.error.as_deref().map(escaped)))
        .bind(Param::BigInts(letters.iter().map(attempts).collect()))
}

/// Reads letters by their ids, up to `limit` of those after `after`; of all queues or consumers where they are `None`. Wraps
/// `pgq_dead.list(text, text, bigint, integer)`.
///
/// Ids are taken when a letter is written and seen when that commits: a letter can come up before the last one that was read.
///
/// # Errors
/// [`Error::EventTimestamp`](crate::Error::EventTimestamp), [`Error::NotInstalled`](crate::Error::NotInstalled).
pub fn list<'a>(
    queue: Option<&'a str>,
    consumer: Option<&'a str>,
    after: Option<LetterId>,
    limit: u32,
) -> Call<'a, Vec<DeadLetter>> {
    const SQL: &str = "SELECT ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, \
         letter_id, queue_name, consumer_name, subconsumer_name, reason, error, attempts, dead_time \
         FROM pgq_dead.list($1, $2, $3, $4)";
    let letters = |answer: Answer<'_>| {
        // Each row is dropped when its letter is made, so that a page is held once.
        answer.rows.into_iter().map(|row| DeadLetter::decode(&row, answer.function)).collect()
    };
    of("pgq_dead.list", Role::Reader, SQL, letters, queue, consumer)
        .bind(Param::BigInt(after.map(|letter| letter.0)))
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
}

/// Counts letters; of all queues or consumers where they are `None`. Wraps `pgq_dead.count(text, text)`.
///
/// # Errors
/// [`Error::NotInstalled`](crate::Error::NotInstalled).
pub fn count<'a>(queue: Option<&'a str>, consumer: Option<&'a str>) -> Call<'a, u64> {
    of("pgq_dead.count", Role::Reader, "SELECT pgq_dead.count($1, $2)", many, queue, consumer)
}

/// Has the events of letters delivered again to the consumers that gave them up, and to nobody else, and removes the letters. Tells how
/// many letters that were: those that are gone already do not count. Wraps `pgq_dead.replay_to_consumer(bigint[])`.
///
/// The event waits in the retry queue until the ticker moves it. It has its id and time, and its retry count starts at 0 again. What a
/// subconsumer gave up goes to its group.
///
/// # Errors
/// [`Error::NotSubscribed`](crate::Error::NotSubscribed) where a consumer or its queue is gone; a unique violation where another
/// event of the same id waits to be retried. Nothing is changed then. Takes `pgq_admin`.
pub fn replay_to_consumer(letters: &[LetterId]) -> Call<'static, u64> {
    const SQL: &str = "SELECT pgq_dead.replay_to_consumer($1)::bigint";
    Call::new("pgq_dead.replay_to_consumer", Role::Admin, SQL, many).bind(ids(letters))
}

/// Inserts the events of letters into their queues anew, for all consumers, in the order of the letters, and removes the letters. Tells
/// how many letters that were: those that are gone already do not count. Wraps `pgq_dead.replay_as_new(bigint[])`.
///
/// They get new ids and times. Takes a read committed transaction.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound) where a queue is gone, and what else
/// [`event::insert_extras`](crate::event::insert_extras) says. Nothing is changed then. Takes `pgq_admin`.
pub fn replay_as_new(letters: &[LetterId]) -> Call<'static, u64> {
    const SQL: &str = "SELECT pgq_dead.replay_as_new($1)::bigint";
    Call::new("pgq_dead.replay_as_new", Role::Admin, SQL, many).bind(ids(letters))
}

/// Removes letters, with the events in them, and tells how many letters that were: those that are gone already do not count. Wraps
/// `pgq_dead.discard(bigint[])`.
///
/// # Errors
/// [`Error::NotInstalled`](crate::Error::NotInstalled). Takes `pgq_admin`.
pub fn discard(letters: &[LetterId]) -> Call<'static, u64> {
    Call::new("pgq_dead.discard", Role::Admin, "SELECT pgq_dead.discard($1)", many).bind(ids(letters))
}

/// Removes letters that are as old as that, rounded up to whole seconds, or older, and tells how many; of all queues or consumers where
/// they are `None`. Wraps `pgq_dead.purge(text, text, interval)`.
///
/// # Errors
/// [`Error::NotInstalled`](crate::Error::NotInstalled). Takes `pgq_admin`.
pub fn purge<'a>(queue: Option<&'a str>, consumer: Option<&'a str>, older_than: Duration) -> Call<'a, u64> {
    const SQL: &str = "SELECT pgq_dead.purge($1, $2, make_interval(secs => $3))";
    of("pgq_dead.purge", Role::Admin, SQL, many, queue, consumer).bind(seconds::whole(older_than))
}

/// The version of pgq_dead, such as `1.0`. Wraps `pgq_dead.version()`.
///
/// # Errors
/// [`Error::NotInstalled`](crate::Error::NotInstalled): ask before you rely on dead letters.
pub fn version() -> Call<'static, String> {
    Call::new("pgq_dead.version", Role::Public, "SELECT pgq_dead.version()", |answer| answer.value())
}

fn of<'a, T: 'a>(
    function: &'static str,
    role: Role,
    sql: &'static str,
    decode: fn(Answer<'_>) -> Result<T>,
    queue: Option<&'a str>,
    consumer: Option<&'a str>,
) -> Call<'a, T> {
    let subject = Subject { queue, consumer, ..Subject::default() };
    Call::new(function, role, sql, decode).about(subject).bind(queue).bind(consumer)
}

fn ids(letters: &[LetterId]) -> Param<'static> {
    Param::BigInts(letters.iter().map(|letter| letter.0).collect())
}

fn many(answer: Answer<'_>) -> Result<u64> {
    Ok(answer.value::<i64>()?.unsigned_abs())
}
