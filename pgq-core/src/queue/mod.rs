//! Queues: create, drop, configure, look at.

mod config;
mod info;

use tokio_postgres::Row;

pub use self::config::QueueConfig;
pub use self::info::QueueInfo;
use crate::answer::Columns;
use crate::call::Answer;
use crate::subject::Subject;
use crate::{Call, Param, Result, Role};

/// Whether something was made, or was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Created {
    /// It is new.
    New,
    /// It existed before and was left as it is.
    Existed,
}

/// Creates a queue with its event tables and its first tick. Wraps `pgq.create_queue(text)`.
///
/// Works inside a transaction: what is inserted and registered in the same one is delivered after its commit. Takes a lock on
/// `pgq.event_template`, so two transactions that create queues wait for each other; an advisory lock of ours makes the second
/// find the first one's queue.
///
/// # Errors
/// [`Error::CreatedMeanwhile`](crate::Error::CreatedMeanwhile) if a program without that lock created the same queue meanwhile.
pub fn create(queue: &str) -> Call<'_, Created> {
    const SQL: &str = "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('pgq.create_queue', 0))) \
         SELECT pgq.create_queue($1) FROM turn";
    Call::new("pgq.create_queue", Role::Admin, SQL, created).about(Subject::queue(queue)).bind(queue)
}

/// Drops a queue that has no consumers, with all its events. Wraps `pgq.drop_queue(text, boolean)`.
///
/// Waits for open transactions that produced into the queue or read from it, and makes new ones wait meanwhile.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound), [`Error::QueueHasConsumers`](crate::Error::QueueHasConsumers).
pub fn drop(queue: &str) -> Call<'_, ()> {
    drop_queue(queue, false)
}

/// Like [`drop()`], but unregisters the queue's consumers first, with what waits for their retry.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound).
pub fn drop_with_consumers(queue: &str) -> Call<'_, ()> {
    drop_queue(queue, true)
}

fn drop_queue(queue: &str, force: bool) -> Call<'_, ()> {
    Call::new("pgq.drop_queue", Role::Admin, "SELECT pgq.drop_queue($1, $2)", nothing)
        .about(Subject::queue(queue))
        .bind(queue)
        .bind(force)
}

/// Sets one parameter of a queue, as text. Wraps `pgq.set_queue_config(text, text, text)`.
///
/// [`QueueConfig`] has the parameters typed and checked; the server takes negative counts and durations without a word.
///
/// # Errors
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound), [`Error::UnknownParameter`](crate::Error::UnknownParameter).
pub fn set_config<'a>(queue: &'a str, parameter: &'a str, value: impl Into<String>) -> Call<'a, ()> {
    Call::new("pgq.set_queue_config", Role::Admin, "SELECT pgq.set_queue_config($1, $2, $3)", nothing)
        .about(Subject { parameter: Some(parameter), ..Subject::queue(queue) })
        .bind(queue)
        .bind(parameter)
        .bind(value.into())
}

/// Sets what `config` sets, in one statement: all of it or nothing. Wraps `pgq.set_queue_config(text, text, text)` over `unnest`.
///
/// # Errors
/// [`Error::InvalidValue`](crate::Error::InvalidValue) before anything is sent;
/// [`Error::QueueNotFound`](crate::Error::QueueNotFound), but not where `config` sets nothing.
pub fn configure<'a>(queue: &'a str, config: &QueueConfig) -> Call<'a, ()> {
    const SQL: &str = "SELECT pgq.set_queue_config($1, p, v) FROM unnest($2::text[], $3::text[]) AS c (p, v)";
    let (settings, refusal) = match config.settings() {
        Ok(settings) => (settings, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let (parameters, values) = settings.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    Call::new("pgq.set_queue_config", Role::Admin, SQL, nothing)
        .about(Subject::queue(queue))
        .refuse(refusal)
        .bind(queue)
        .bind(Param::Texts(parameters.into_iter().map(|parameter| Some(parameter.into())).collect()))
        .bind(Param::Texts(values.into_iter().map(|value| Some(value.into())).collect()))
}

/// Looks at one queue; `None` where it does not exist. Wraps `pgq.get_queue_info(text)`.
pub fn info(queue: &str) -> Call<'_, Option<QueueInfo>> {
    queue_info(Some(queue), |answer| Ok(infos(answer)?.pop()))
}

/// Looks at all queues, ordered by name. Wraps `pgq.get_queue_info()`.
pub fn info_all() -> Call<'static, Vec<QueueInfo>> {
    queue_info(None, infos)
}

fn queue_info<'a, T: 'a>(queue: Option<&'a str>, decode: fn(Answer<'_>) -> Result<T>) -> Call<'a, T> {
    const SQL: &str = "SELECT queue_name, queue_ntables, queue_cur_table, \
         extract(epoch FROM queue_rotation_period)::float8, queue_switch_time, queue_external_ticker, \
         queue_ticker_paused, queue_ticker_max_count, extract(epoch FROM queue_ticker_max_lag)::float8, \
         extract(epoch FROM queue_ticker_idle_period)::float8, extract(epoch FROM ticker_lag)::float8, \
         ev_per_sec, ev_new, last_tick_id FROM pgq.get_queue_info($1)";
    let subject = Subject { queue, ..Subject::default() };
    Call::new("pgq.get_queue_info", Role::Public, SQL, decode).about(subject).bind(queue)
}

fn infos(answer: Answer<'_>) -> Result<Vec<QueueInfo>> {
    let decode = |row: &Row| QueueInfo::decode(Columns::of(row, answer.function));
    answer.rows.iter().map(decode).collect()
}

pub(crate) fn created(answer: Answer<'_>) -> Result<Created> {
    let made: i32 = answer.value()?;
    Ok(if made == 1 { Created::New } else { Created::Existed })
}

pub(crate) fn nothing(_: Answer<'_>) -> Result<()> {
    Ok(())
}
