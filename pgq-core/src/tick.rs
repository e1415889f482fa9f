//! Ticks: what cuts a queue's events into batches.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::answer::Columns;
use crate::call::Answer;
use crate::queue::nothing;
use crate::subject::Subject;
use crate::{Call, Error, Role, SessionId, TickId, TxId};

/// The channel on which those who `LISTEN` are told of new ticks. The payload is the name of the queue that has one, or empty where
/// it may be any queue.
///
/// The portable engine notifies at each tick, by itself. The C extension notifies nobody: there [`notify`] does, which this
/// library's ticker calls after the ticks that it made. Another ticker, such as pgqd, does not, so listen for speed and poll for
/// certainty.
pub const CHANNEL: &str = "pgq_tick";

/// Makes a tick on every queue that is due for one, and tells how many that were. Wraps `pgq.ticker()`.
///
/// Leaves out paused queues and those with an external ticker. One failing queue fails the call for all. Uses up a transaction id.
/// Never run two tickers of one database at once, nor one in a repeatable read transaction: batches would overlap. Take
/// [`lead`] first.
pub fn all() -> Call<'static, u64> {
    Call::new("pgq.ticker", Role::Admin, "SELECT pgq.ticker()", ticked)
}

/// Makes a tick on one queue if it is due for one; `None` where it is not. Wraps `pgq.ticker(text)`. See [`all`] for what
/// must not run at the same time.
///
/// # Errors
/// [`Error::QueueNotFound`], [`Error::TickerPaused`],
/// [`Error::ExternalTicker`], [`Error::ForeignTicks`].
pub fn queue(queue: &str) -> Call<'_, Option<TickId>> {
    Call::new("pgq.ticker", Role::Admin, "SELECT pgq.ticker($1)", maybe_tick)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Like [`all`], but only on the session that [`lead`] got the lock for: a pooler may have sent the statement to another one.
///
/// # Errors
/// [`Error::OtherSession`]
pub fn all_on(session: SessionId) -> Call<'static, u64> {
    const SQL: &str = "SELECT pgq.ticker() WHERE pg_backend_pid() = $1";
    let on_session = |answer: Answer<'_>| match answer.rows.is_empty() {
        true => Err(Error::OtherSession),
        false => ticked(answer),
    };
    Call::new("pgq.ticker", Role::Admin, SQL, on_session).bind(session.0)
}

/// Like [`queue()`], but only on the session that [`lead`] got the lock for.
///
/// # Errors
/// Those of [`queue()`]; [`Error::OtherSession`].
pub fn queue_on(queue: &str, session: SessionId) -> Call<'_, Option<TickId>> {
    let ticked = |answer: Answer<'_>| match answer.rows.is_empty() {
        true => Err(Error::OtherSession),
        false => maybe_tick(answer),
    };
    Call::new("pgq.ticker", Role::Admin, "SELECT pgq.ticker($1) WHERE pg_backend_pid() = $2", ticked)
        .about(Subject::queue(queue))
        .bind(queue)
        .bind(session.0)
}

/// The queues that are neither paused nor have an external ticker, by name. Reads `pgq.queue`, and so works where one broken queue
/// fails `pgq.get_queue_info`.
pub fn queues() -> Call<'static, Vec<String>> {
    const SQL: &str = "SELECT queue_name FROM pgq.queue WHERE NOT queue_ticker_paused AND NOT queue_external_ticker ORDER BY 1";
    Call::new("pgq.queue", Role::Public, SQL, |answer| {
        answer.rows.iter().map(|row| Columns::of(row, answer.function).next()).collect()
    })
}

/// Adds a tick that was made elsewhere, with its id, time and event position. Wraps
/// `pgq.ticker(text, bigint, timestamptz, bigint)`.
///
/// # Errors
/// [`Error::NotExternalTicker`].
pub fn external(queue: &str, tick: TickId, time: DateTime<Utc>, event_seq: i64) -> Call<'_, TickId> {
    let id = |answer: Answer<'_>| answer.value().map(TickId);
    Call::new("pgq.ticker", Role::Admin, "SELECT pgq.ticker($1, $2, $3, $4)", id)
        .about(Subject { tick: Some(tick), ..Subject::queue(queue) })
        .bind(queue)
        .bind(tick.0)
        .bind(time)
        .bind(event_seq)
}

/// Makes the queue due for a tick and answers with its newest tick; the next [`queue()`] or [`all`] makes the new one. Wraps
/// `pgq.force_tick(text)`.
///
/// With the two, and a commit before them, a test has its batch at once; where a ticker runs in the program, use its `tick_now`.
/// Burns a thousand event ids and more. Does nothing, and answers `None`, where the queue is unknown; does nothing where it is
/// paused or has an external ticker.
pub fn force(queue: &str) -> Call<'_, Option<TickId>> {
    Call::new("pgq.force_tick", Role::Reader, "SELECT pgq.force_tick($1)", maybe_tick)
        .about(Subject::queue(queue))
        .bind(queue)
}

/// Makes the queues due for a tick whose newest one is from the future by more than `ticker_max_lag`, as after the clock was set back,
/// and tells how many. On the C extension they would get no other until the clock has caught up, but for a number of events. Wraps
/// `pgq.force_tick(text)`; leaves out those that are due already.
pub fn force_ahead() -> Call<'static, u64> {
    const SQL: &str = "SELECT count(pgq.force_tick(queue_name)) FROM pgq.queue, LATERAL (SELECT tick_time, tick_event_seq FROM pgq.tick \
         WHERE tick_queue = queue_id ORDER BY tick_queue DESC, tick_id DESC LIMIT 1) AS newest \
         WHERE tick_time > now() + queue_ticker_max_lag AND NOT queue_ticker_paused AND NOT queue_external_ticker \
         AND pgq.seq_getval(queue_event_seq) - tick_event_seq < queue_ticker_max_count";
    Call::new("pgq.force_tick", Role::Reader, SQL, |answer| Ok(answer.value::<i64>()?.unsigned_abs()))
}

/// Fails as [`queue()`] would on a queue that gets no ticks, and makes no tick: for one who is not the ticker.
///
/// # Errors
/// [`Error::QueueNotFound`], [`Error::TickerPaused`],
/// [`Error::ExternalTicker`].
pub fn refusal(queue: &str) -> Call<'_, ()> {
    const SQL: &str = "SELECT pgq.ticker($1) WHERE NOT EXISTS (SELECT FROM pgq.queue \
         WHERE queue_name = $1 AND NOT queue_ticker_paused AND NOT queue_external_ticker)";
    Call::new("pgq.ticker", Role::Admin, SQL, nothing).about(Subject::queue(queue)).bind(queue)
}

/// Tries to become the one ticker of this database, for as long as the session lasts, and answers with the session; `None` where
/// another one is the ticker. Takes the advisory lock that pgqueue and
/// pg_scheduler take too: the oids of the database and of schema `pgq`.
///
/// A session lock: useless on a connection that a pooler hands on. Run it in autocommit, before the ticks.
///
/// # Errors
/// [`Error::NotInstalled`] where there is no schema `pgq`.
pub fn lead() -> Call<'static, Option<SessionId>> {
    const SQL: &str = "SELECT CASE WHEN pg_try_advisory_lock(d.oid::bigint::bit(32)::integer, \
         'pgq'::regnamespace::oid::bigint::bit(32)::integer) THEN pg_backend_pid() END \
         FROM pg_catalog.pg_database d WHERE d.datname = current_database()";
    let session = |answer: Answer<'_>| Ok(answer.value::<Option<i32>>()?.map(SessionId));
    Call::new("pg_try_advisory_lock", Role::Public, SQL, session)
}

/// Tells those who listen on [`CHANNEL`] of ticks that were made, where the engine has not: of a tick of `queue`, or of any queue if
/// that is `None`, or a name too long for a payload. Answers `false` where the engine notifies by itself: it will not take this then.
///
/// Run it after the commit of the ticks, in autocommit: who listens looks for a batch at once.
pub fn notify(queue: Option<&str>) -> Call<'_, bool> {
    const SQL: &str = "SELECT CASE WHEN to_regprocedure('pgq.portable_release()') IS NULL \
         THEN pg_notify($1, CASE WHEN octet_length($2) <= 7900 THEN $2 ELSE '' END) IS NOT NULL ELSE false END";
    Call::new("pg_notify", Role::Public, SQL, |answer| answer.value())
        .bind(CHANNEL)
        .bind(queue.unwrap_or_default())
}

/// Prepares the session that a ticker runs on: read committed; no statement, lock or idle transaction for longer than `limit`; and
/// the server ends it, and frees the lock of [`lead`], when it is asked nothing for `silence` (since PostgreSQL 14).
pub fn session(limit: Duration, silence: Duration) -> Call<'static, ()> {
    const SQL: &str = "SELECT set_config('default_transaction_isolation', 'read committed', false), \
         set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false), \
         set_config('idle_in_transaction_session_timeout', $1, false), \
         (SELECT set_config(name, $2, false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout')";
    let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX.unsigned_abs().into()).to_string();
    Call::new("set_config", Role::Public, SQL, nothing).bind(milliseconds(limit)).bind(milliseconds(silence))
}

/// The id of the transaction, which it gets if it has none yet: the statement that a repeatable read transaction must begin with
/// when it is going to insert events. Wraps `txid_current()`.
pub fn current_txid() -> Call<'static, TxId> {
    let id = |answer: Answer<'_>| answer.value().map(TxId);
    Call::new("txid_current", Role::Public, "SELECT txid_current()", id)
}

/// Whether a tick of the queue sees the transaction `marker` committed, and with it all that committed before it began.
pub fn covers(queue: &str, marker: TxId) -> Call<'_, bool> {
    const SQL: &str = "SELECT EXISTS (SELECT FROM pgq.tick JOIN pgq.queue ON queue_id = tick_queue \
         WHERE queue_name = $1 AND txid_visible_in_snapshot($2, tick_snapshot) \
         AND tick_id >= (SELECT max(tick_id) FROM pgq.tick WHERE tick_queue = queue_id))";
    Call::new("pgq.tick", Role::Public, SQL, |answer| answer.value())
        .about(Subject::queue(queue))
        .bind(queue)
        .bind(marker.0)
}

fn ticked(answer: Answer<'_>) -> crate::Result<u64> {
    Ok(answer.value::<Option<i64>>()?.unwrap_or_default().unsigned_abs())
}

fn maybe_tick(answer: Answer<'_>) -> crate::Result<Option<TickId>> {
    Ok(answer.value::<Option<i64>>()?.map(TickId))
}
