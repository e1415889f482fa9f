use std::fmt;
use std::sync::Arc;

use super::watch::Watch;

/// Stops a worker, from wherever a clone of it is. Dropping it stops nothing.
#[derive(Clone)]
pub struct Stopper {
    watch: Arc<Watch>,
}

impl Stopper {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self { watch }
    }

    /// Has the worker stop after the batch in hand, which it may go on with for
    /// [`WorkerOptions::grace`](field@pgq_core::worker::WorkerOptions::grace).
    pub fn stop(&self) {
        self.watch.stop();
    }

    /// Has the worker stop at once: the batch in hand is rolled back and stays open. A statement that runs is cancelled; a handler that
    /// computes is waited for.
    pub fn stop_now(&self) {
        self.watch.stop_now();
    }

    /// Whether the worker is to stop, or has stopped on demand.
    pub fn is_stopping(&self) -> bool {
        self.watch.is_stopping()
    }

    /// Stops the worker when the process gets SIGTERM or SIGINT: the first one like [`stop`](Self::stop), the second one like
    /// [`stop_now`](Self::stop_now). On a thread of its own, which ends with the worker.
    ///
    /// Both signals do nothing else from this call on, in the whole process: also when the worker has ended, or was never started. Return from
    /// `main` then. The exit code is yours: a worker that was stopped ends with `Ok`, also when it gave its batch back.
    ///
    /// ```no_run
    /// use pgq_sync::pgq_core::Event;
    /// use pgq_sync::{Consumer, Worker};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder("dbname=shop".parse()?, Consumer::new("orders", "billing"))
    ///     .otherwise(|event: Event, _| println!("{}", event.id));
    /// worker.stopper().stop_on_signals()?;
    /// let stats = worker.run()?; // until `kill`, or Ctrl-C
    /// println!("{} events", stats.events.done);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the operating system, if it takes no handler or gives no thread.
    #[cfg(feature = "signals")]
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        super::signals::listen(&self.watch)
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("is_stopping", &self.is_stopping()).finish()
    }
}
