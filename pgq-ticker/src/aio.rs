//! The ticker on a task, on the driver `tokio-postgres`.

mod runner;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use pgq_async::futures::future::BoxFuture;
use pgq_async::tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use pgq_async::tokio_postgres::{self, Client, Config, NoTls, Socket};
use pgq_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::runner::{Command, Runner};
use crate::request::Request;
use crate::stats::Published;
use crate::{Periods, Stats, limits};

/// A ticker that runs on a task of this process, on a connection of its own.
///
/// Start one in each replica of an application: one ticks, the others stand by and take over within a second or so. Dropping it
/// stops it after the step in hand.
///
/// ```no_run
/// use std::time::Duration;
/// use pgq_ticker::aio::Ticker;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let ticker = Ticker::builder("host=/run/postgresql dbname=shop".parse()?)
///     .tick_period(Duration::from_millis(100))
///     .spawn();
/// // …
/// println!("{} ticks", ticker.stats().ticks);
/// ticker.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a ticker that is dropped stops"]
pub struct Ticker {
    commands: mpsc::UnboundedSender<Command>,
    stats: Published,
    task: JoinHandle<()>,
}

impl Ticker {
    /// A ticker for the database that `config` names. Its user needs the role `pgq_admin`.
    ///
    /// The connection must not go through a pooler that shares it: the lock that makes one ticker of many belongs to the session.
    pub fn builder(config: Config) -> Builder {
        let connect = connector(NoTls);
        Builder { config, connect, periods: Periods::default(), answer_limit: limits::ANSWER }
    }

    /// Makes a tick of the queue that covers all that was committed before the call, and waits for it: at most 30 seconds. Also a
    /// stand-by can do that, with the help of the ticker that leads. What tests need. The ids of
    /// later events jump by a thousand and more, and with them the numbers of events in statistics.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::TickerPaused`], [`Error::ExternalTicker`];
    /// [`Error::NoTickInTime`], which says what troubles this ticker: no connection, no right, no PgQ.
    pub async fn tick_now(&self, queue: &str) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let command = Command::TickNow { queue: queue.to_owned(), answer };
        self.commands.send(command).map_err(|_| Error::TickerStopped)?;
        match timeout(Request::PATIENCE, answered).await {
            Ok(answer) => answer.unwrap_or(Err(Error::TickerStopped)),
            Err(_) => Err(Error::NoTickInTime {
                queue: queue.to_owned(),
                waited: Request::PATIENCE,
                trouble: self.stats().trouble,
            }),
        }
    }

    /// What it has done so far, and what troubles it.
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Stops it and waits for the step in hand; tells what it has done.
    pub async fn stop(self) -> Stats {
        let Self { commands, stats, task } = self;
        drop(commands);
        // A task that was aborted with its runtime has stopped too.
        let _ = task.await;
        stats.read()
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

type Connection = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;
type Connected = Result<(Client, Connection), tokio_postgres::Error>;
type Connector = Box<dyn Fn(Config) -> BoxFuture<'static, Connected> + Send + Sync>;
type Connect = Box<dyn Fn() -> BoxFuture<'static, Connected> + Send + Sync>;

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
    /// On this side, a connection without an answer for a sixth longer than the limit is given up, and another one is made.
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.answer_limit = limit;
        self
    }

    /// Connects with TLS; without this, connections are in the clear.
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.connect = connector(tls);
        self
    }

    /// Starts the task. The connection is made there, and made anew when it breaks. What is wrong with
    /// it, from a wrong host to a missing right, is logged by `tracing` and stands in [`Stats::trouble`](field@Stats::trouble).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(self) -> Ticker {
        let (commands, received) = mpsc::unbounded_channel();
        let stats = Published::default();
        let Self { config, connect, periods, answer_limit } = self;
        let config = pgq_async::with_limits(config, limits::APPLICATION);
        let connect: Connect = Box::new(move || connect(config.clone()));
        let runner = Runner::new(connect, periods, answer_limit, received, stats.clone());
        Ticker { commands, stats, task: tokio::spawn(runner.run()) }
    }
}

fn connector<T>(tls: T) -> Connector
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    Box::new(move |config| {
        let tls = tls.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(tls).await?;
            let connection: Connection = Box::pin(connection);
            Ok((client, connection))
        })
    })
}
