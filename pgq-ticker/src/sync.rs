//! The ticker on a thread, on the driver `postgres`. Works in programs with a tokio runtime too, for its connection is on the thread.

mod runner;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pgq_core::{Error, Result};
use pgq_sync::postgres::tls::{MakeTlsConnect, TlsConnect};
use pgq_sync::postgres::{self, Client, Config, NoTls, Socket};

use self::runner::{Command, Runner};
use crate::request::Request;
use crate::stats::Published;
use crate::{Periods, Stats, limits};

/// A ticker that runs on a thread of this process, on a connection of its own.
///
/// Start one in each replica of an application: one ticks, the others stand by and take over within a second or so. Dropping it
/// stops it.
///
/// ```no_run
/// use std::time::Duration;
/// use pgq_ticker::sync::Ticker;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ticker = Ticker::builder("host=/run/postgresql dbname=shop".parse()?)
///     .tick_period(Duration::from_millis(100))
///     .spawn()?;
/// // …
/// println!("{} ticks", ticker.stats().ticks);
/// ticker.stop();
/// # Ok(())
/// # }
/// ```
#[must_use = "a ticker that is dropped stops"]
pub struct Ticker {
    commands: mpsc::Sender<Command>,
    stats: Published,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// A ticker for the database that `config` names. Its user needs the role `pgq_admin`.
    ///
    /// The connection must not go through a pooler that shares it: the lock that makes one ticker of many belongs to the session.
    pub fn builder(config: Config) -> Builder {
        let connect: Connector = Box::new(|config| config.connect(NoTls));
        Builder { config, connect, periods: Periods::default(), answer_limit: limits::ANSWER }
    }

    /// Makes a tick of the queue that covers all that was committed before the call, and waits for it: at most 30 seconds. Also a
    /// stand-by can do that, with the help of the ticker that leads. What tests need. The ids of
    /// later events jump by a thousand and more, and with them the numbers of events in statistics.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::TickerPaused`], [`Error::ExternalTicker`];
    /// [`Error::NoTickInTime`], which says what troubles this ticker: no connection, no right, no PgQ.
    pub fn tick_now(&self, queue: &str) -> Result<()> {
        let (answer, answered) = mpsc::channel();
        let command = Command::TickNow { queue: queue.to_owned(), answer };
        self.commands.send(command).map_err(|_| Error::TickerStopped)?;
        answered.recv_timeout(Request::PATIENCE).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::NoTickInTime {
                queue: queue.to_owned(),
                waited: Request::PATIENCE,
                trouble: self.stats().trouble,
            }),
            RecvTimeoutError::Disconnected => Err(Error::TickerStopped),
        })
    }

    /// What it has done so far, and what troubles it.
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Stops it and waits for the step in hand; tells what it has done.
    pub fn stop(mut self) -> Stats {
        self.join();
        self.stats()
    }

    fn join(&mut self) {
        // It has ended by itself if nobody listens.
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.join();
    }
}

/// Sets up a [`Ticker`].
#[must_use = "a ticker does nothing until it is spawned"]
pub struct Builder {
    config: Config,
    connect: Connector,
    periods: Periods,
    answer_limit: Duration,
}

type Connector = Box<dyn FnMut(&Config) -> Result<Client, postgres::Error> + Send>;
type Connect = Box<dyn FnMut() -> Result<Client, postgres::Error> + Send>;

impl Builder {
    /// Sets the time between two calls of `pgq.ticker()`: 1 second unless set, 10 milliseconds at least.
    pub fn tick_period(mut self, period: Duration) -> Self {
        self.periods.tick = period;
        self
    }

    /// Sets the time between two looks into the retry queue: 30 seconds unless set.
    pub fn retry_period(mut self, period: Duration) -> Self {
        self.periods.retry = period;
        self
    }

    /// Sets the time between two tries of a stand-by to become the ticker: half a second unless set, give or take a half.
    pub fn standby_period(mut self, period: Duration) -> Self {
        self.periods.standby = period;
        self
    }

    /// Sets the time between two rounds of maintenance (rotation, vacuum): 120 seconds unless set.
    pub fn maintenance_period(mut self, period: Duration) -> Self {
        self.periods.maintenance = period;
        self
    }

    /// Sets for how long a transaction may be open that holds up PgQ, until it is told of: 1 minute unless set, `Duration::MAX` for never.
    ///
    /// One that writes holds up its own events and the rotation of event tables, one that reads event tables holds up the rotation. It is
    /// logged once, with its process, its `application_name` and its age, and stands in
    /// [`Stats::long_transactions`](field@Stats::long_transactions) while it lasts. A look every 5 seconds at most, at a quarter of this time
    /// otherwise.
    pub fn long_transaction_after(mut self, time: Duration) -> Self {
        self.periods.long_transaction = time;
        self
    }

    /// Sets for how long a call may take before the server cancels it: 60 seconds unless set. It also ends a session from which it
    /// hears nothing for a quarter of that beyond the ticker's own pauses (since PostgreSQL 14), so that a ticker that is frozen or
    /// cut off leads no longer.
    ///
    /// On this side, a TCP connection is given up when what was sent stays unacknowledged for 15 seconds (`tcp_user_timeout`, on
    /// Linux), or the other side is silent to probes for about as long; `config` may say otherwise. The driver has no further
    /// limit: while a proxy in between keeps up a connection to a server that it has lost, the thread waits.
    /// [`aio`](crate::aio) does not.
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.answer_limit = limit;
        self
    }

    /// Connects with TLS; without this, connections are in the clear.
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.connect = Box::new(move |config| config.connect(tls.clone()));
        self
    }

    /// Starts the thread. The connection is made there, and made anew when it breaks. What is wrong with
    /// it, from a wrong host to a missing right, is logged by `tracing` and stands in [`Stats::trouble`](field@Stats::trouble).
    ///
    /// # Errors
    /// That of the operating system, if it gives no thread.
    pub fn spawn(self) -> std::io::Result<Ticker> {
        let (commands, received) = mpsc::channel();
        let stats = Published::default();
        let Self { config, mut connect, periods, answer_limit } = self;
        let config = pgq_sync::with_limits(config, limits::APPLICATION);
        let connect: Connect = Box::new(move || connect(&config));
        let runner = Runner::new(connect, periods, answer_limit, received, stats.clone());
        let thread = thread::Builder::new().name("pgq-ticker".to_owned()).spawn(|| runner.run())?;
        Ok(Ticker { commands, stats, thread: Some(thread) })
    }
}
