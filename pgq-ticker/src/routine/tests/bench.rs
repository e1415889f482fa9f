use std::cell::Cell;
use std::sync::Once;
use std::time::{Duration, Instant};

use pgq_async::tokio_postgres::{self, Config, NoTls};
use pgq_core::maintenance::Operation;
use pgq_core::{Call, Error, Result, SessionId, tick};
use tokio::io::AsyncWriteExt;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata};

use crate::Periods;
use crate::reply::Reply;
use crate::request::RequestId;
use crate::routine::{Action, Routine};

/// A routine and its clock.
pub(super) struct Bench {
    pub(super) routine: Routine,
    pub(super) now: Instant,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Periods::default())
    }

    pub(super) fn with(periods: Periods) -> Self {
        let now = Instant::now();
        let random = fastrand::Rng::with_seed(1);
        Self { routine: Routine::new(periods, Duration::from_secs(60), random, now), now }
    }

    /// One that leads and has done what is due at first: a tick, a look into the retry queue, and maintenance without operations.
    pub(super) fn leading(periods: Periods) -> Self {
        let mut bench = Self::with(periods);
        bench.set_up();
        bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
        bench.replies("pgq.ticker", Reply::Ticked(0));
        bench.replies("pgq.maint_retry_events", Reply::Moved(0));
        bench.replies("pgq.maint_operations", Reply::Operations(Vec::new()));
        bench
    }

    pub(super) fn connect(&mut self) {
        assert!(matches!(self.routine.next(self.now), Action::Connect));
        self.routine.connected(self.now);
    }

    /// Up to the question of who leads.
    pub(super) fn set_up(&mut self) {
        self.connect();
        self.replies("set_config", Reply::Prepared);
        self.replies("pgq.maint_tables_to_vacuum", Reply::Checked);
    }

    /// Those who listen are told of a tick, by this ticker.
    #[track_caller]
    pub(super) fn notifies(&mut self, queue: Option<&str>) {
        self.calls("pg_notify");
        let told = format!("{:?}", self.routine.call().unwrap());
        assert_eq!(told, format!("{:?}", tick::notify(queue)));
        self.routine.replied(Ok(Reply::Notified(true)), self.now);
    }

    pub(super) fn tick_now(&mut self, id: u64, queue: &str) {
        assert_eq!(self.routine.tick_now(queue.to_owned(), self.now), RequestId(id));
    }

    /// The next thing to do is a call of this function.
    #[track_caller]
    pub(super) fn calls(&mut self, function: &str) {
        let action = self.routine.next(self.now);
        assert!(matches!(action, Action::Call), "{action:?} instead of {function}");
        assert_eq!(self.routine.call().unwrap().function(), function);
    }

    #[track_caller]
    pub(super) fn replies(&mut self, function: &str, reply: Reply) {
        self.calls(function);
        self.routine.replied(Ok(reply), self.now);
    }

    #[track_caller]
    pub(super) fn fails(&mut self, function: &str, error: Error) {
        self.calls(function);
        self.routine.replied(Err(error), self.now);
    }

    /// There is nothing to do; goes to where there is.
    #[track_caller]
    pub(super) fn waits(&mut self) -> Duration {
        match self.routine.next(self.now) {
            Action::Wait(wait) => {
                self.now += wait;
                wait
            }
            action => panic!("{action:?} of {:?}", self.routine.call()),
        }
    }

    #[track_caller]
    pub(super) fn answers(&mut self, id: u64) -> Result<()> {
        match self.routine.next(self.now) {
            Action::Answer(RequestId(answered), answer) if answered == id => answer,
            action => panic!("{action:?} of {:?}", self.routine.call()),
        }
    }

    #[track_caller]
    pub(super) fn disconnects(&mut self) {
        let action = self.routine.next(self.now);
        assert!(matches!(action, Action::Disconnect), "{action:?}");
    }
}

/// Short enough to count, long enough to tell apart.
pub(super) fn periods() -> Periods {
    Periods {
        tick: Duration::from_millis(100),
        retry: Duration::from_secs(10),
        maintenance: Duration::from_secs(100),
        standby: Duration::from_millis(500),
        long_transaction: Duration::MAX,
    }
}

pub(super) fn operation(function: &str, argument: &str) -> Operation {
    Operation { function: function.to_owned(), argument: Some(argument.to_owned()) }
}

/// A connection that ended.
pub(super) fn lost() -> Error {
    Error::NoAnswerInTime { waited: Duration::from_secs(70) }
}

/// The error of `pgq.ticker()`, when the server says this.
pub(super) fn ticker_error(state: &str, message: &str) -> Error {
    error_of(&tick::all(), state, message)
}

/// What becomes of a server's error in answer to the call.
pub(super) fn error_of<T>(call: &Call<'_, T>, state: &str, message: &str) -> Error {
    call.error(server_error(state, message))
}

/// The driver makes such errors only of a server's bytes, so these are some.
fn server_error(state: &str, message: &str) -> tokio_postgres::Error {
    let fields = format!("SERROR\0VERROR\0C{state}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut server, client) = tokio::io::duplex(4096);
        server.write_all(&[&b"E"[..], &length.to_be_bytes(), fields.as_bytes()].concat()).await.unwrap();
        Config::new().user("postgres").connect_raw(client, NoTls).await.err().unwrap()
    })
}

thread_local! {
    static WARNINGS: Cell<u32> = const { Cell::new(0) };
}

/// How many warnings this thread logs while `work` runs. One subscriber for all threads: a scoped one can miss what another thread,
/// which has none, was the first to log.
pub(super) fn warnings(work: impl FnOnce()) -> u32 {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| tracing::subscriber::set_global_default(Warnings).unwrap());
    WARNINGS.set(0);
    work();
    WARNINGS.get()
}

struct Warnings;

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, _: &Event<'_>) {
        WARNINGS.set(WARNINGS.get() + 1);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
