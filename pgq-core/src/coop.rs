//! Cooperative consumers (schema `pgq_coop`): several subconsumers share the batches of one consumer, each batch going to one of
//! them.
//!
//! PgQ knows a subconsumer as a consumer `main.sub`, so neither name may have a dot: `a.b` of `c` and `c` of `a.b` would be the
//! same. The calls refuse such names with [`Error::InvalidValue`], before anything is sent.

mod beats;

use std::time::Duration;

pub use self::beats::Beats;
use crate::answer::Columns;
use crate::batch::{Finish, NextBatch, Pace, done};
use crate::call::Answer;
use crate::queue::{Created, created};
use crate::subject::Subject;
use crate::{BatchId, Call, Error, Param, Result, Role};

/// What to do about the batch that a subconsumer has open when it is unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfBusy {
    /// Fail with [`Error::SubConsumerBusy`], and leave everything as it is.
    Refuse,
    /// Hand its events to the group, by the retry queue: they come again, with `retry` raised by one.
    GiveBack,
}

/// Whether `main.sub` is a consumer that is not of the group: PgQ's own pgq_coop would make a subconsumer of it, and its position
/// would be gone. Those that are not registered take turns.
const TURN: &str = "WITH member AS MATERIALIZED (SELECT count(*) > 0 AS registered, \
     count(*) FILTER (WHERE s.sub_id IS DISTINCT FROM m.sub_id) > 0 AS clash FROM pgq.queue \
     JOIN pgq.subscription s ON s.sub_queue = queue_id JOIN pgq.consumer c ON c.co_id = s.sub_consumer \
     LEFT JOIN (pgq.subscription m JOIN pgq.consumer mc ON mc.co_id = m.sub_consumer AND mc.co_name = $2) \
     ON m.sub_queue = queue_id WHERE queue_name = $1 AND c.co_name = $2 || '.' || $3), \
     turn AS MATERIALIZED (SELECT clash, CASE WHEN NOT registered \
     THEN pg_advisory_xact_lock(hashtextextended($2, 7365))::text END FROM member)";

/// Registers a subconsumer, and its main consumer at the newest tick if that is new. Wraps
/// `pgq_coop.register_subconsumer(text, text, text)`.
///
/// [`next_custom`] does it too. The members of a group that are new take turns, by the advisory lock that
/// [`consumer::register`](crate::consumer::register) takes for the main consumer.
///
/// # Errors
/// Like [`consumer::register`](crate::consumer::register); [`Error::NotInGroup`] where a consumer of its own has the name
/// `main.sub`.
pub fn register<'a>(queue: &'a str, main: &'a str, sub: &'a str) -> Call<'a, Created> {
    let sql = format!(
        "{TURN} SELECT CASE WHEN NOT clash THEN pgq_coop.register_subconsumer($1, $2, $3) END, clash FROM turn"
    );
    let registered = |answer: Answer<'_>| {
        let answer = answer.unless_clash(1)?;
        created(answer)
    };
    member("pgq_coop.register_subconsumer", sql, registered, queue, main, sub)
}

/// Unregisters a subconsumer and tells how many that removed: 0 where there was none. Wraps
/// `pgq_coop.unregister_subconsumer(text, text, text, integer)`, with 0 for the batch: one that is open is not given up.
///
/// PgQ's own mode 1 loses the events of the open batch. To hand them back, queue them by [`batch::retry`](crate::batch::retry) and
/// finish the batch by [`finish_fenced`] first, in the same transaction.
///
/// # Errors
/// [`Error::SubConsumerBusy`]
pub fn unregister<'a>(queue: &'a str, main: &'a str, sub: &'a str) -> Call<'a, u32> {
    let removed = |answer: Answer<'_>| answer.value::<i32>().map(i32::unsigned_abs);
    let sql = "SELECT pgq_coop.unregister_subconsumer($1, $2, $3, 0)";
    member("pgq_coop.unregister_subconsumer", sql, removed, queue, main, sub)
}

/// Opens the group's next batch for this subconsumer, or answers with the one that it has open, which shows that it is alive; `None`
/// where no new tick is there. Wraps `pgq_coop.next_batch(text, text, text)`. Registers who is not registered.
///
/// Run it in autocommit: it locks the row of the main consumer, and until the transaction ends the whole group waits.
///
/// # Errors
/// [`Error::MainConsumerBusy`], [`Error::PositionLost`]; [`Error::QueueNotFound`]; [`Error::CreatedMeanwhile`] if two register
/// themselves at once.
pub fn next<'a>(queue: &'a str, main: &'a str, sub: &'a str) -> Call<'a, Option<BatchId>> {
    member("pgq_coop.next_batch", "SELECT pgq_coop.next_batch($1, $2, $3)", batch_id, queue, main, sub)
}

/// Like [`next`], but first looks for a member that has been silent for longer than `dead`, unregisters it, and answers with its
/// batch if it had one. Wraps `pgq_coop.next_batch(text, text, text, interval)`.
///
/// PgQ's own pgq_coop hands the batch over under the same id, so the id does not tell who has it: finish with [`finish_fenced`].
///
/// # Errors
/// Like [`next`].
pub fn next_or_take_over<'a>(
    queue: &'a str,
    main: &'a str,
    sub: &'a str,
    dead: Duration,
) -> Call<'a, Option<BatchId>> {
    let sql = "SELECT pgq_coop.next_batch($1, $2, $3, make_interval(secs => $4))";
    member("pgq_coop.next_batch", sql, batch_id, queue, main, sub).bind(dead)
}

/// Like [`next`], or [`next_or_take_over`] with `dead`, at a `pace`, and answers with the ticks that the batch lies between. Wraps
/// `pgq_coop.next_batch_custom(text, text, text, interval, integer, interval, interval)` and `pgq.get_batch_info`. The pace is not
/// asked of a batch that is taken over.
///
/// # Errors
/// Like [`next`]; [`Error::ReadOnly`] on a session that could not finish the batch; [`Error::NotInGroup`] where a consumer of its
/// own has the name `main.sub`.
pub fn next_custom<'a>(
    queue: &'a str,
    main: &'a str,
    sub: &'a str,
    pace: Pace,
    dead: Option<Duration>,
) -> Call<'a, Option<NextBatch>> {
    let sql = format!(
        "{TURN}, next AS MATERIALIZED (SELECT CASE WHEN NOT clash THEN pgq_coop.next_batch_custom($1, $2, $3, \
         make_interval(secs => $4), $5, make_interval(secs => $6), make_interval(secs => $7)) END AS id, clash FROM turn) \
         SELECT id, tick_id, prev_tick_id, batch_end, batch_start, seq_end, seq_start, \
         current_setting('transaction_read_only')::boolean, clash FROM next LEFT JOIN LATERAL pgq.get_batch_info(id) ON true"
    );
    let next = |answer: Answer<'_>| NextBatch::decode(answer.unless_clash(8)?);
    member("pgq_coop.next_batch_custom", sql, next, queue, main, sub)
        .bind(pace.min_lag)
        .bind(Param::Int(pace.min_count.map(|count| i32::try_from(count).unwrap_or(i32::MAX))))
        .bind(pace.min_interval)
        .bind(dead)
}

/// Finishes the batch of a subconsumer. Wraps `pgq_coop.finish_batch(bigint)`.
///
/// Asks nobody whose batch it is: after a takeover, PgQ's own pgq_coop answers [`Finish::Done`] to the old owner. Use
/// [`finish_fenced`]. For an ordinary consumer there is [`batch::finish`](crate::batch::finish); this one would destroy its
/// position.
pub fn finish(batch: BatchId) -> Call<'static, Finish> {
    Call::new("pgq_coop.finish_batch", Role::Reader, "SELECT pgq_coop.finish_batch($1)", done)
        .about(Subject::batch(batch))
        .bind(batch.0)
}

/// Like [`finish`], but only if the batch is still this subconsumer's, whatever happened meanwhile. Wraps
/// `pgq_coop.next_batch(text, text, text)`, which must answer with the same batch, and then `pgq_coop.finish_batch(bigint)`, in one
/// statement.
///
/// Locks the row of the main consumer, as a takeover does, so none can come between this and the commit; the group waits for that. So
/// that nobody waits for a process that stands still, the server ends the session when it is silent for 10 seconds before the end of
/// the transaction (`idle_in_transaction_session_timeout`, for this transaction).
/// After [`Finish::NotOpen`] roll back: the first function may have opened another batch.
pub fn finish_fenced<'a>(queue: &'a str, main: &'a str, sub: &'a str, batch: BatchId) -> Call<'a, Finish> {
    const SQL: &str = "WITH fence AS MATERIALIZED (SELECT pgq_coop.next_batch($1, $2, $3) AS id, \
         set_config('idle_in_transaction_session_timeout', '10000', true)) \
         SELECT CASE WHEN id = $4 THEN pgq_coop.finish_batch(id) ELSE 0 END FROM fence";
    fenced("pgq_coop.finish_batch", SQL, done, queue, main, sub, batch)
}

/// Shows that the subconsumer is alive and tells whether the batch is still its own. Wraps `pgq_coop.next_batch(text, text, text)`.
/// Waits for the group's lock no longer than `limit`, which it sets as `lock_timeout` of the transaction.
///
/// To be run in a transaction that is committed after `true` and rolled back after `false`: then the function may have registered
/// the subconsumer anew, and opened another batch.
pub fn beat<'a>(
    queue: &'a str,
    main: &'a str,
    sub: &'a str,
    batch: BatchId,
    limit: Duration,
) -> Call<'a, bool> {
    const SQL: &str = "WITH limits AS MATERIALIZED (SELECT set_config('lock_timeout', $5::text, true) AS lock) \
         SELECT coalesce(pgq_coop.next_batch($1, $2, $3) = $4, false) FROM limits WHERE lock IS NOT NULL";
    // 0 would be no limit at all.
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
    fenced("pgq_coop.next_batch", SQL, |answer| answer.value(), queue, main, sub, batch)
        .bind(Param::Int(Some(milliseconds)))
}

/// The version of pgq_coop, such as `3.4`; `None` where PgQ's own was installed without `CREATE EXTENSION`. Wraps
/// `pgq_coop.version()`.
///
/// # Errors
/// [`Error::NotInstalled`]
pub fn version() -> Call<'static, Option<String>> {
    Call::new("pgq_coop.version", Role::Public, "SELECT pgq_coop.version()", |answer| answer.value())
}

fn member<'a, T: 'a>(
    function: &'static str,
    sql: impl Into<std::borrow::Cow<'static, str>>,
    decode: fn(Answer<'_>) -> Result<T>,
    queue: &'a str,
    main: &'a str,
    sub: &'a str,
) -> Call<'a, T> {
    Call::new(function, Role::Reader, sql, decode)
        .about(Subject { subconsumer: Some(sub), ..Subject::consumer(queue, main) })
        .refuse(
            check_name("the name of a main consumer", main)
                .or_else(|| check_name("the name of a subconsumer", sub)),
        )
        .bind(queue)
        .bind(main)
        .bind(sub)
}

fn fenced<'a, T: 'a>(
    function: &'static str,
    sql: &'static str,
    decode: fn(Answer<'_>) -> Result<T>,
    queue: &'a str,
    main: &'a str,
    sub: &'a str,
    batch: BatchId,
) -> Call<'a, T> {
    member(function, sql, decode, queue, main, sub).about_batch(batch).bind(batch.0)
}

fn batch_id(answer: Answer<'_>) -> Result<Option<BatchId>> {
    Ok(answer.value::<Option<i64>>()?.map(BatchId))
}

fn check_name(name: &'static str, value: &str) -> Option<Error> {
    let reason = "PgQ joins the two names by a dot, so neither may have one";
    value.contains('.').then(|| Error::InvalidValue { name, value: format!("{value:?}"), reason })
}

impl Answer<'_> {
    /// The answer, unless the column after `columns` others says that the name belongs to somebody else.
    fn unless_clash(self, columns: usize) -> Result<Self> {
        if let Some(row) = self.rows.first() {
            let mut rest = Columns::of(row, self.function).skip(columns);
            if rest.next()? {
                return Err(self.subject.not_in_group(None));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_a_name_is_refused() {
        for (main, sub, name) in
            [("a.b", "c", "main consumer"), ("a", "b.c", "subconsumer"), ("a", ".", "sub")]
        {
            let refused = [
                next("q", main, sub).request().map(drop),
                register("q", main, sub).request().map(drop),
                unregister("q", main, sub).request().map(drop),
                next_or_take_over("q", main, sub, Duration::ZERO).request().map(drop),
                next_custom("q", main, sub, Pace::default(), None).request().map(drop),
                finish_fenced("q", main, sub, BatchId(1)).request().map(drop),
                beat("q", main, sub, BatchId(1), Duration::ZERO).request().map(drop),
            ];
            for result in refused {
                let text = result.unwrap_err().to_string();
                assert!(text.contains(name) && text.contains("dot"), "{text}");
            }
        }
        assert!(next("q.q", "a", "").request().is_ok());
    }
}
