use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use pgq_core::fault_point::Hook;
use pgq_core::worker::{Outcome, WorkerOptions};
use pgq_core::{BatchId, ChunkSize, Event};
use pgq_sync::postgres::Client;

use super::{Driver, Heard, QUEUE, Worker, worker};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

type Decide = Arc<dyn Fn(&Event) -> Result<Outcome, BoxError> + Send + Sync>;
pub(crate) type Write = Arc<dyn Fn(&Event, BatchId) -> Result<(), BoxError> + Send + Sync>;

/// Whose batches a worker handles.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Consumer(String),
    Member { main: String, name: String, dead_interval: Option<Duration> },
}

/// Where the handler writes.
#[derive(Clone)]
pub(crate) enum Sink {
    /// To `sink_<consumer>`, in the transaction of the batch.
    Table,
    /// Elsewhere, without a transaction. Gets the batch that was opened last.
    Outside(Write),
}

/// A worker that is to be started. Its handler writes the event to the sink; what is left to say has a default.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) driver: Driver,
    pub(crate) conninfo: String,
    pub(crate) role: Role,
    pub(crate) options: WorkerOptions,
    pub(crate) sink: Sink,
    pub(crate) decide: Decide,
    /// How many events are handled at once, outside of the transaction.
    pub(crate) at_once: usize,
    pub(crate) chunk: ChunkSize,
    pub(crate) hook: Option<Hook>,
    pub(crate) heard: Heard,
}

impl Role {
    pub(crate) fn consumer_of(name: &str) -> Self {
        Self::Consumer(name.to_owned())
    }

    /// A member that takes over from others that are silent for so long.
    pub(crate) fn member(main: &str, name: &str, dead_interval: Duration) -> Self {
        let (main, name) = (main.to_owned(), name.to_owned());
        Self::Member { main, name, dead_interval: Some(dead_interval) }
    }

    /// The name that the sink goes by: that of the consumer, or of the main consumer.
    pub(crate) fn consumer(&self) -> &str {
        match self {
            Self::Consumer(name) | Self::Member { main: name, .. } => name,
        }
    }

    /// The name of the worker among those that write to a sink.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Consumer(name) | Self::Member { name, .. } => name,
        }
    }

    pub(crate) fn register(&self, db: &mut Client) -> pgq_core::Result<()> {
        match self {
            Self::Consumer(name) => pgq_sync::Consumer::new(QUEUE, name).register(db).map(drop),
            Self::Member { main, name, .. } => {
                pgq_sync::SubConsumer::new(QUEUE, main, name).register(db).map(drop)
            }
        }
    }
}

impl Job {
    pub(crate) fn new(driver: Driver, conninfo: &str, role: Role) -> Self {
        Self {
            driver,
            conninfo: super::named(conninfo, role.name()),
            role,
            options: WorkerOptions::new().poll(Duration::from_millis(200)),
            sink: Sink::Table,
            decide: Arc::new(|_| Ok(Outcome::Done)),
            at_once: 1,
            chunk: ChunkSize::default(),
            hook: None,
            heard: Heard::default(),
        }
    }

    /// Changes the options; unless told so it looks five times a second.
    pub(crate) fn options(mut self, change: impl FnOnce(WorkerOptions) -> WorkerOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Where it connects to: a proxy, say.
    pub(crate) fn through(mut self, conninfo: &str) -> Self {
        self.conninfo = super::named(conninfo, self.role.name());
        self
    }

    /// What becomes of an event, after it was written to the sink; done unless set.
    pub(crate) fn decide(
        mut self,
        decide: impl Fn(&Event) -> Result<Outcome, BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.decide = Arc::new(decide);
        self
    }

    /// Has the handlers write elsewhere, outside of the transaction.
    pub(crate) fn outside(
        mut self,
        write: impl Fn(&Event, BatchId) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.sink = Sink::Outside(Arc::new(write));
        self
    }

    /// Has so many events handled at once, outside of the transaction; one unless set.
    pub(crate) fn at_once(mut self, events: usize) -> Self {
        self.at_once = events;
        self
    }

    /// How many events are fetched at a time.
    pub(crate) fn chunk(mut self, events: u32) -> Self {
        self.chunk.events = events;
        self
    }

    /// What happens at the fault points.
    pub(crate) fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The async worker that is to be started, which writes to the table.
    pub(crate) fn aio(self) -> pgq_async::WorkerBuilder {
        worker::in_transaction(self)
    }

    /// The async worker that is to be started, which writes elsewhere.
    pub(crate) fn aio_outside(self, write: Write) -> pgq_async::WorkerBuilder<pgq_async::Outside> {
        worker::outside(self, write)
    }

    pub(crate) fn start(self) -> Worker {
        worker::start(self)
    }
}
