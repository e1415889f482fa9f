//! Consumers that are moved, unregistered and registered again, and queues that are dropped, while all work: whoever skips events is told.

use std::time::{Duration, Instant};

use pgq_core::worker::{Notice, WorkerState};
use pgq_core::{Error, QueueConfig, TickId};
use pgq_sync::postgres::error::SqlState;
use pgq_sync::postgres::{Client, Transaction};
use pgq_sync::{Consumer, Queue};
use pgq_testkit::until_within;

use crate::bed::{Bed, Figures, QUEUE, Role, Run, Worker, value};

cases!(no_skip_goes_without_a_word);

const LIMIT: Duration = Duration::from_secs(30);
const LAG: Duration = Duration::from_millis(100);

/// What an administrator does to a consumer at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    SeekToTheEnd,
    SeekBack,
    RegisterAnew,
    RegisterAnewLater,
    DropQueue,
}

/// What the worker said to it.
#[derive(Debug, Default)]
struct Told {
    moved: usize,
    lost: usize,
    errors: Vec<Error>,
}

fn no_skip_goes_without_a_word(run: Run) -> crate::Result {
    const ACTS: [Act; 5] =
        [Act::SeekToTheEnd, Act::SeekBack, Act::RegisterAnew, Act::RegisterAnewLater, Act::DropQueue];
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    db.batch_execute(
        "CREATE TABLE skipped (producer integer, seq bigint); CREATE TABLE rewound (producer integer, seq bigint)",
    )?;
    let mut acts = ACTS.repeat(bed.run.size(2, 20));
    bed.run.random().shuffle(&mut acts);
    let _tickers = bed.tickers(1);
    let producers = bed.steady_producers();
    let (mut told, mut moves, mut overtaken) = (Told::default(), 0, 0);
    for act in &acts {
        let worker = bed.job(role.clone()).start();
        let is_finished =
            |notice: &Notice| matches!(notice, Notice::Finished { events, .. } if events.all() > 0);
        until_within(LIMIT, "the worker works", || worker.heard.count(is_finished) > 1);
        let start = Instant::now();
        let moved = act.insist(&mut db, &worker)?;
        moves += usize::from(moved);
        let word = |notice: &Notice| matches!(notice, Notice::Moved { .. } | Notice::Lost { .. });
        let done = Instant::now();
        until_within(LIMIT, &format!("the worker tells of {act:?}"), || {
            let told = has_ended(&worker) || worker.heard.after(start, word).is_some();
            let since =
                worker.heard.all().into_iter().filter(|(at, notice)| *at > done && is_finished(notice));
            // The extension looks where a consumer stands before it waits for who moves it: it gives out the batch that
            // followed, and the consumer goes on from there.
            let is_overtaken = !bed.run.is_portable() && !told && since.count() > 1;
            overtaken += usize::from(moved && is_overtaken);
            !moved || told || is_overtaken
        });
        told.add(worker);
    }
    let worker = bed.job(role).start();
    let produced = producers.end();
    bed.wait_for_top(LIMIT);
    told.add(worker);
    let unexplained = |what: &str| format!("SELECT count(*) FROM ({what}) AS found");
    let lost: i64 = value(
        &mut db,
        &unexplained(
            "SELECT producer, seq FROM sent EXCEPT SELECT producer, seq FROM sink_plain EXCEPT SELECT * FROM skipped",
        ),
        &[],
    );
    let duplicated: i64 = value(
        &mut db,
        &unexplained(
            "SELECT producer, seq FROM sink_plain GROUP BY 1, 2 HAVING count(*) > 1 EXCEPT SELECT * FROM rewound",
        ),
        &[],
    );
    Figures::of(&bed.run)
        .add("acts", acts.len())
        .add("of which moved the consumer", moves)
        .add("told: moved", told.moved)
        .add("lost", told.lost)
        .add("overtaken", overtaken)
        .add("errors", told.errors.len())
        .add("events", produced.committed)
        .add("lost without a word", lost)
        .add("duplicated without a seek", duplicated)
        .print();
    assert_eq!((lost, duplicated), (0, 0));
    for error in &told.errors {
        // A table of the queue that went between the look for a batch and the first one into it has no word of its own.
        let is_gone = error.sqlstate() == Some(&SqlState::UNDEFINED_TABLE);
        let is_typed = matches!(error, Error::QueueNotFound { .. } | Error::NotSubscribed { .. }) || is_gone;
        assert!(is_typed, "{error:?}");
    }
    Ok(())
}

impl Act {
    /// Does it again after a deadlock, which somebody has to lose.
    fn insist(self, db: &mut Client, worker: &Worker) -> crate::Result<bool> {
        const TRIES: usize = 30;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.happen(db, worker) {
                Err(error) if tries < TRIES && is_deadlock(&*error) => {}
                done => return done,
            }
        }
    }

    /// Does it, and takes down what is skipped and what comes again. Tells whether the consumer was moved.
    fn happen(self, db: &mut Client, worker: &Worker) -> crate::Result<bool> {
        const OLDEST: &str = "SELECT min(tick_id) FROM pgq.tick";
        let consumer = Consumer::new(QUEUE, "plain");
        let mut transaction = db.transaction()?;
        let from = position(&mut transaction)?;
        match self {
            Self::SeekToTheEnd => {
                let newest: i64 = transaction.query_one("SELECT max(tick_id) FROM pgq.tick", &[])?.get(0);
                consumer.register_at(&mut transaction, TickId(newest))?;
            }
            Self::SeekBack => {
                let oldest: i64 = transaction.query_one(OLDEST, &[])?.get(0);
                consumer.register_at(&mut transaction, TickId(oldest.max(from - 20)))?;
            }
            Self::RegisterAnew | Self::RegisterAnewLater => {
                consumer.unregister(&mut transaction)?;
                if self == Self::RegisterAnewLater {
                    transaction.commit()?;
                    until_within(LIMIT, "a worker that is not registered ends", || has_ended(worker));
                    transaction = db.transaction()?;
                }
                consumer.register(&mut transaction)?;
            }
            Self::DropQueue => {
                take_down(&mut transaction, "skipped", from, None)?;
                let queue = Queue::new(QUEUE);
                queue.drop_with_consumers(&mut transaction)?;
                queue.create(&mut transaction)?;
                queue.set_config(&mut transaction, &QueueConfig::new().ticker_max_lag(LAG))?;
                consumer.register(&mut transaction)?;
                transaction.commit()?;
                return Ok(true);
            }
        }
        let to = position(&mut transaction)?;
        let table = if from < to { "skipped" } else { "rewound" };
        take_down(&mut transaction, table, from.min(to), Some(from.max(to)))?;
        transaction.commit()?;
        Ok(from != to)
    }
}

fn has_ended(worker: &Worker) -> bool {
    worker.stats().state == WorkerState::Stopped
}

fn is_deadlock(error: &(dyn std::error::Error + 'static)) -> bool {
    let ours = error.downcast_ref::<Error>().and_then(Error::sqlstate);
    let theirs = error.downcast_ref::<pgq_sync::postgres::Error>().and_then(pgq_sync::postgres::Error::code);
    ours.or(theirs) == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

fn position(transaction: &mut Transaction<'_>) -> crate::Result<i64> {
    Ok(transaction.query_one("SELECT sub_last_tick FROM pgq.subscription FOR UPDATE", &[])?.get(0))
}

/// The events between two ticks; all that follow the first one where there is no second one.
fn take_down(transaction: &mut Transaction<'_>, table: &str, from: i64, to: Option<i64>) -> crate::Result {
    let prefix: String = transaction.query_one("SELECT queue_data_pfx FROM pgq.queue", &[])?.get(0);
    if to.is_none() {
        // Nobody is to write while the queue goes.
        transaction.batch_execute(&format!("LOCK TABLE {prefix} IN SHARE MODE"))?;
    }
    let sql = format!(
        "INSERT INTO {table} SELECT split_part(ev_data, ':', 1)::int, split_part(ev_data, ':', 2)::bigint FROM {prefix} \
         WHERE NOT txid_visible_in_snapshot(ev_txid, (SELECT tick_snapshot FROM pgq.tick WHERE tick_id = $1)) \
         AND coalesce(txid_visible_in_snapshot(ev_txid, (SELECT tick_snapshot FROM pgq.tick WHERE tick_id = $2)), true)"
    );
    transaction.execute(&sql, &[&from, &to])?;
    Ok(())
}

impl Told {
    fn add(&mut self, worker: Worker) {
        self.moved += worker.heard.count(|notice| matches!(notice, Notice::Moved { .. }));
        self.lost += worker.heard.count(|notice| matches!(notice, Notice::Lost { .. }));
        self.errors.extend(worker.stop().err());
    }
}
