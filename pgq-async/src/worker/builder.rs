mod in_transaction;
mod outside;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use pgq_core::batch::{EmptyBatches, Reader};
use pgq_core::worker::{Journal, Judge, Notice, Routine, TraceParent, WorkerOptions, WorkerStats};
use pgq_core::{Result, fastrand};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};
use tracing::Span;

use super::clock::now;
use super::desk::{Desk, LinkSpan};
use super::runner::{Ended, Runner};
use super::stopper::{Stopper, Stopping};
use super::work::Work;
use super::{InTransaction, Worker};
use crate::connection::Dial;
use crate::limits::with_limits;

type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Sets up a [`Worker`]: [`InTransaction`], unless [`outside`](Self::outside) is called.
///
/// The configuration is completed where it says nothing: a limit to connect, keep-alives, and the application name `pgq worker`; of
/// several hosts the one that can be written to is used.
#[must_use = "a worker does nothing until it runs"]
pub struct WorkerBuilder<M = InTransaction> {
    config: Config,
    dial: Dial,
    reader: Reader,
    options: WorkerOptions,
    on_notice: Option<OnNotice>,
    link_span: Option<LinkSpan>,
    stopper: Stopper,
    stopping: Stopping,
    work: Work,
    mode: PhantomData<M>,
}

impl<M> WorkerBuilder<M> {
    /// Sets how the worker behaves.
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
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
        self.dial = Dial::new(self.config.clone(), tls);
        self
    }

    /// Connects over these streams, to no server that the configuration names.
    #[cfg(feature = "fault-points")]
    #[doc(hidden)]
    pub fn over<S>(mut self, streams: impl Fn() -> S + Send + Sync + 'static) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        self.dial = Dial::over(self.config.clone(), streams);
        self
    }

    /// Calls this for whatever the worker tells, on its task: it must not block.
    ///
    /// ```no_run
    /// use pgq_async::pgq_core::worker::Notice;
    /// use pgq_async::pgq_core::Event;
    /// use pgq_async::{Consumer, Worker};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "mail"))
    ///     .on_notice(|notice| match notice {
    ///         Notice::Dead { event, kind, .. } => eprintln!("look at event {event}: {kind}"),
    ///         Notice::NoTicks { .. } | Notice::Stopped { error: Some(_) } => eprintln!("{notice}"),
    ///         _ => {}
    ///     })
    ///     .outside()
    ///     .otherwise(|event: Event| async move { println!("{}", event.id) });
    /// worker.run().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_notice(mut self, callback: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.on_notice = Some(Arc::new(callback));
        self
    }

    /// Calls this for each event that carries a `traceparent` in the field that
    /// [`WorkerOptions::trace_parent`](field@WorkerOptions::trace_parent) says, with the span that its handler runs in.
    pub fn link_span(mut self, link: impl Fn(&Span, &TraceParent) + Send + Sync + 'static) -> Self {
        self.link_span = Some(Arc::new(link));
        self
    }

    /// What stops the worker once it runs, for who calls [`run`](Self::run).
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Starts the worker on a task of its own, the only one. The connection is made there, and made anew when it breaks.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](pgq_core::Error::InvalidValue) where options and handlers make no sense, alone or together: nothing is
    /// started then.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(self) -> Result<Worker> {
        let (stopper, grace) = (self.stopper.clone(), self.options.grace);
        let runner = self.runner()?;
        let journal = runner.desk.journal.clone();
        Ok(Worker { stopper, journal, grace, task: tokio::spawn(runner.run()) })
    }

    /// Runs the worker until it is [stopped](Self::stopper), or something will not pass by itself. It starts no task.
    ///
    /// A future of it that is dropped leaves nothing behind, and loses nothing: the batch in hand is rolled back, and comes again.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](pgq_core::Error::InvalidValue) where options and handlers make no sense, alone or together, before it
    /// connects. What will not pass by itself, see [`Permanent`](pgq_core::worker::Permanent);
    /// [`Error::EventFailed`](pgq_core::Error::EventFailed) where a failure is to end the worker.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time and I/O.
    pub async fn run(self) -> Result<WorkerStats> {
        let runner = self.runner()?;
        let journal = runner.desk.journal.clone();
        runner.run().await?;
        Ok(journal.stats())
    }

    fn runner(self) -> Result<Runner> {
        let handling = self.work.check(&self.options, &self.reader)?;
        let Self { dial, mut reader, options, on_notice, link_span, stopping, work, .. } = self;
        // The routine is to see each tick.
        reader.reading.empty_batches = EmptyBatches::HandOver;
        let mut random = fastrand::Rng::new();
        let journal = Journal::new(reader.queue(), reader.name(), on_notice);
        let judge = Judge::new(&options, random.fork());
        let routine = Routine::new(options.clone(), handling, &reader, journal.clone(), random, now());
        let ended = Ended { journal: journal.clone(), error: None };
        let desk = Desk { reader, options, journal, dial, link_span };
        Ok(Runner { routine, desk, judge, work, link: None, stopping, ended })
    }
}

impl WorkerBuilder<InTransaction> {
    pub(super) fn new(config: Config, reader: Reader) -> Self {
        let (config, (stopper, stopping)) = (with_limits(config, "pgq worker"), Stopper::new());
        Self {
            dial: Dial::new(config.clone(), NoTls),
            config,
            reader,
            options: WorkerOptions::default(),
            on_notice: None,
            link_span: None,
            stopper,
            stopping,
            work: Work::default(),
            mode: PhantomData,
        }
    }
}

impl<M> fmt::Debug for WorkerBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("reader", &self.reader)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
