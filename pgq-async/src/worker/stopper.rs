use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// Stops a worker, from wherever a clone of it is. Dropping it stops nothing. Comes from [`Worker::stopper`](crate::Worker::stopper) and
/// [`WorkerBuilder::stopper`](crate::WorkerBuilder::stopper).
#[derive(Clone)]
pub struct Stopper {
    stage: Arc<watch::Sender<Stage>>,
}

/// Learns from a [`Stopper`].
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    stage: watch::Receiver<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Go,
    Soft,
    Hard,
}

impl Stopper {
    pub(super) fn new() -> (Self, Stopping) {
        let (stage, stopping) = watch::channel(Stage::Go);
        (Self { stage: Arc::new(stage) }, Stopping { stage: stopping })
    }

    /// Has the worker stop after the batch in hand, which it may go on with for
    /// [`WorkerOptions::grace`](pgq_core::worker::WorkerOptions::grace).
    pub fn stop(&self) {
        self.advance(Stage::Soft);
    }

    /// Has the worker stop at once: the batch in hand is rolled back and stays open.
    pub fn stop_now(&self) {
        self.advance(Stage::Hard);
    }

    /// Whether the worker is to stop, or has stopped on demand.
    pub fn is_stopping(&self) -> bool {
        *self.stage.borrow() != Stage::Go
    }

    /// Stops the worker when the process gets SIGTERM or SIGINT: the first one like [`stop`](Self::stop), the second one like
    /// [`stop_now`](Self::stop_now). On a task of its own, which ends with the worker.
    ///
    /// Both signals do nothing else from this call on, in the whole process: also when the worker has ended, or was never started. Return from
    /// `main` then. The exit code is yours: a worker that was stopped ends with `Ok`, also when it gave its batch back.
    ///
    /// ```no_run
    /// use pgq_async::pgq_core::Event;
    /// use pgq_async::{Consumer, Worker};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "mail"))
    ///     .outside()
    ///     .otherwise(|event: Event| async move { println!("{}", event.id) });
    /// worker.stopper().stop_on_signals()?;
    /// let stats = worker.run().await?; // until `kill`, or Ctrl-C
    /// println!("{} events", stats.events.done);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the operating system, if it takes no handler.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    #[cfg(feature = "signals")]
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        tokio::spawn(super::signals::listen(self.clone())?);
        Ok(())
    }

    /// Waits until nobody is left to be stopped.
    #[cfg(feature = "signals")]
    pub(super) async fn ended(&self) {
        self.stage.closed().await;
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let later = to > *stage;
            *stage = to.max(*stage);
            later
        });
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("stage", &*self.stage.borrow()).finish()
    }
}

impl Stopping {
    /// Waits until the worker is to stop, one way or the other.
    pub(super) async fn soft(&mut self) {
        self.reached(Stage::Soft).await;
    }

    /// Waits until the worker is to stop at once.
    pub(super) async fn hard(&mut self) {
        self.reached(Stage::Hard).await;
    }

    async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|now| *now >= stage).await.is_err() {
            // Nobody is left who could stop it.
            std::future::pending().await
        }
    }
}
