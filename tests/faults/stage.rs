//! A bed without tickers, for batches that are cut by hand, each with a few events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::Event;
use pgq_core::fault_point::{Action, Hook, Point};
use pgq_core::worker::Outcome;
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::until_within;

use crate::bed::{Bed, BoxError, Figures, Heard, Job, QUEUE, Role, Run, Spread, Truth, Worker, value};

/// How long anything may take here.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// How many events a case has.
const EVENTS: i64 = 6;
const RETRIED: i64 = 3;
const DEAD: i64 = 5;

/// What handlers have become of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wishes {
    /// All are done.
    None,
    /// One comes again once, one is given up.
    Some,
}

/// A queue on which one case happens after the other.
pub(crate) struct Stage {
    pub(crate) bed: Bed,
    pub(crate) db: Client,
    role: Role,
    pub(crate) wishes: Wishes,
    case: i32,
    tick: i64,
    began: Instant,
    finished: usize,
    again: usize,
    took: Spread,
}

/// A point where something happens once.
#[derive(Clone)]
pub(crate) struct Spot {
    point: Point,
    conninfo: String,
    reached: Arc<AtomicBool>,
    go: Arc<AtomicBool>,
    batch: Arc<Mutex<Option<i64>>>,
}

/// What becomes of an event of a case: one comes again once, one is given up, the others are done.
pub(crate) fn decide(event: &Event) -> Result<Outcome, BoxError> {
    let data = event.data.as_deref().unwrap_or_default();
    let (_, seq) = data.split_once(':').ok_or("no number")?;
    match seq.parse()? {
        RETRIED if event.retry == 0 => Ok(Outcome::Retry(Duration::ZERO)),
        DEAD => Ok(Outcome::Dead("asked for".to_owned())),
        _ => Ok(Outcome::Done),
    }
}

impl Stage {
    pub(crate) fn new(run: Run, role: Role) -> crate::Result<Self> {
        let bed = Bed::new(run)?;
        bed.register(&role)?;
        let db = bed.connect();
        let (began, took) = (Instant::now(), Spread::default());
        Ok(Self { bed, db, role, wishes: Wishes::Some, case: 0, tick: 0, began, finished: 0, again: 0, took })
    }

    /// A worker whose batches come by all points.
    pub(crate) fn job(&self, role: &Role) -> Job {
        let job = self.bed.job(role.clone()).chunk(2);
        match self.wishes {
            Wishes::None => job,
            Wishes::Some => job.decide(decide),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role.clone()
    }

    /// Inserts the events of the next case, and cuts them into a batch.
    pub(crate) fn produce(&mut self) {
        self.case += 1;
        let sql = format!(
            "BEGIN; INSERT INTO sent SELECT {case}, generate_series(1, {EVENTS}); \
             SELECT pgq.insert_event('{QUEUE}', 'number', '{case}:' || seq) FROM generate_series(1, {EVENTS}) seq; COMMIT",
            case = self.case
        );
        self.db.batch_execute(&sql).unwrap();
        self.cut();
        self.began = Instant::now();
    }

    /// Cuts a batch.
    pub(crate) fn cut(&mut self) {
        let sql = format!("SELECT pgq.force_tick('{QUEUE}'); SELECT pgq.ticker('{QUEUE}')");
        self.db.batch_execute(&sql).unwrap();
        self.tick = value(&mut self.db, "SELECT max(tick_id) FROM pgq.tick", &[]);
    }

    /// Has the events come again that wait for that.
    pub(crate) fn retry(&mut self) {
        // So many at a time.
        while value::<i32>(&mut self.db, "SELECT pgq.maint_retry_events()", &[]) > 0 {}
        self.cut();
    }

    /// Waits until all batches are finished.
    pub(crate) fn wait(&mut self, what: &str) {
        const FINISHED: &str = "SELECT NOT EXISTS (SELECT FROM pgq.subscription WHERE sub_batch IS NOT NULL OR sub_last_tick < $1)";
        let Self { db, tick, .. } = self;
        until_within(LIMIT, &format!("the batches are finished: {what}"), || value(db, FINISHED, &[tick]));
    }

    /// Waits until the case is finished, by workers that are there; has the retried event come again; and checks all that there is to
    /// see of it. `heard` by workers that had a part in it, `batch` was open when it happened.
    pub(crate) fn finish(&mut self, what: &str, heard: &[&Heard], batch: Option<i64>) -> Vec<i64> {
        self.wait(what);
        self.finished += 1;
        self.took.add(self.began.elapsed());
        let sql = format!("SELECT array_agg(DISTINCT batch) FROM {} WHERE producer = $1", self.sink());
        let batches: Vec<i64> = value(&mut self.db, &sql, &[&self.case]);
        assert_eq!(batches.len(), 1, "{what}: handled in one batch");
        self.again += usize::from(deliveries(heard, batches[0]) > 1);
        assert!(batch.is_none() || deliveries(heard, batches[0]) <= 2, "{what}: comes again once");
        self.retry();
        self.wait(what);
        self.check(what);
        batches
    }

    fn check(&mut self, what: &str) {
        let letters: Vec<i32> = value(
            &mut self.db,
            "SELECT coalesce(array_agg(attempts), '{}') FROM pgq_dead.letter WHERE ev_data = $1 || ':' || $2",
            &[&self.case.to_string(), &DEAD.to_string()],
        );
        let expected: &[i32] = if self.wishes == Wishes::Some { &[1] } else { &[] };
        assert_eq!(letters, expected, "{what}: attempts of the dead letter");
        let waiting: i64 = value(&mut self.db, "SELECT count(*) FROM pgq.retry_queue", &[]);
        assert_eq!(waiting, 0, "{what}: retries left");
        if self.wishes == Wishes::Some {
            let sql = format!("INSERT INTO {} (producer, seq) VALUES ($1, $2)", self.sink());
            self.db.execute(&sql, &[&self.case, &DEAD]).unwrap();
        }
        let truth = self.truth();
        assert_eq!((truth.lost, truth.duplicated, truth.phantom), (0, 0, 0), "{what}: {truth}");
    }

    /// Has a worker finish all that is left, and checks that each event took effect once.
    pub(crate) fn settle(&mut self) {
        let worker = self.job(&self.role()).start();
        self.wait("by a worker that is left alone");
        self.retry();
        self.wait("by a worker that is left alone");
        worker.stop().unwrap();
        let letters = format!(
            "INSERT INTO {} (producer, seq) SELECT split_part(ev_data, ':', 1)::integer, split_part(ev_data, ':', 2)::bigint \
             FROM pgq_dead.letter",
            self.sink()
        );
        self.db.batch_execute(&letters).unwrap();
        self.truth().assert_exactly_once();
    }

    pub(crate) fn truth(&mut self) -> Truth {
        Truth::of(&mut self.db, self.role.consumer())
    }

    fn sink(&self) -> String {
        format!("sink_{}", self.role.consumer())
    }

    pub(crate) fn figures(&mut self) -> Figures {
        let truth = self.truth();
        let figures = Figures::of(&self.bed.run).truth("consumer", &truth);
        match self.finished {
            0 => figures,
            cases => {
                let figures = figures.add("cases", cases).add("batches that came again", self.again);
                figures.add("finished after", &self.took)
            }
        }
    }

    /// That point, for a worker to come by.
    pub(crate) fn spot(&self, point: Point) -> Spot {
        let conninfo = self.bed.conninfo("spot");
        let (reached, go, batch) = (Arc::default(), Arc::default(), Arc::default());
        Spot { point, conninfo, reached, go, batch }
    }
}

impl Spot {
    /// Does this there, the first time.
    pub(crate) fn hook(&self, act: impl Fn(&Self) -> Action + Send + Sync + 'static) -> Hook {
        let spot = self.clone();
        Hook::new(move |point| {
            if point != spot.point || spot.reached() {
                return Action::Go;
            }
            *spot.batch.lock().unwrap() = aside(|| open_batch(&mut spot.connect()));
            spot.reached.store(true, Ordering::SeqCst);
            act(&spot)
        })
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.conninfo, NoTls).unwrap()
    }

    pub(crate) fn reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_until_reached(&self) {
        until_within(LIMIT, &format!("a worker comes by {}", self.point), || self.reached());
    }

    /// The batch that was open then.
    pub(crate) fn batch(&self) -> Option<i64> {
        *self.batch.lock().unwrap()
    }

    /// Lets the worker that stands there go on.
    pub(crate) fn let_go(&self) {
        self.go.store(true, Ordering::SeqCst);
    }

    /// Stands still until it may go on.
    pub(crate) fn stand(&self) -> Action {
        aside(|| until_within(LIMIT, "it may go on", || self.go.load(Ordering::SeqCst)));
        Action::Go
    }
}

/// The batch that is open.
pub(crate) fn open_batch(db: &mut Client) -> Option<i64> {
    value(db, "SELECT max(sub_batch) FROM pgq.subscription", &[])
}

/// How often the batch was handed to handlers.
pub(crate) fn deliveries(heard: &[&Heard], batch: i64) -> usize {
    let opened = |heard: &&Heard| {
        heard
            .count(|notice| matches!(notice, pgq_core::worker::Notice::Opened { batch: id } if id.0 == batch))
    };
    heard.iter().map(opened).sum()
}

/// Blocks the task that it is called on, but no other, and not as one of a runtime.
pub(crate) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    tokio::task::block_in_place(|| thread::scope(|scope| scope.spawn(work).join().unwrap()))
}

/// Waits for a worker that panicked at the point.
pub(crate) fn assert_panicked(worker: Worker, point: Point) {
    let error = worker.wait().unwrap_err();
    assert!(matches!(error, pgq_core::Error::WorkerEnded { .. }), "{point}: {error:?}");
    assert!(error.to_string().contains(&format!("fault point {point}")), "{point}: {error}");
}
