use std::io;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::coop::{self, Beats};
use pgq_core::{BatchId, Result};
use postgres::Client;

use crate::ClientExt;

/// Keeps a batch from being taken over while it lives. Comes from [`SubConsumer::heartbeat`](crate::SubConsumer::heartbeat).
///
/// Ends by itself when the batch is lost, or by an error that will last, such as a missing right or a database without PgQ; both may
/// come from the first beat. A beat that fails for another reason is left out; the next one comes in its time, and
/// [`stop`](Self::stop) gives the error of the last one.
///
/// A beat may take [`Beats::limit`]: `every`, but at least 5 seconds. That is its `lock_timeout`, so that no backend is left waiting
/// for the group, and its `connect_timeout` and `tcp_user_timeout` where the configuration has none. Dropping the heartbeat ends it, and
/// waits so long at most for a beat that is on its way.
#[derive(Debug)]
#[must_use = "a heartbeat that is dropped has ended"]
pub struct Heartbeat {
    stop: Option<mpsc::Sender<()>>,
    ended: mpsc::Receiver<Result<()>>,
    thread: Option<JoinHandle<()>>,
    limit: Duration,
}

impl Heartbeat {
    /// Beats over connections that `connect` makes, which may take that long, and tells `at_end` how it ended.
    pub(crate) fn start(
        reader: Reader,
        batch: BatchId,
        every: Duration,
        connect: impl Fn(Duration) -> Result<Client, postgres::Error> + Send + 'static,
        at_end: impl FnOnce(&Result<()>) + Send + 'static,
    ) -> io::Result<Self> {
        let beats = Beats::new(every);
        let limit = beats.limit();
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let run = move || {
            let one = || beat(&reader, batch, connect(limit)?, limit);
            let how = run(beats, &stopped, one);
            at_end(&how);
            // Fails where nobody waits any more.
            let _ = end.send(how);
        };
        let thread = thread::Builder::new().name("pgq-heartbeat".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), ended, thread: Some(thread), limit })
    }

    /// Whether it has ended by itself: the batch is lost, or beating makes no sense, as without the right to. Work for the batch is
    /// in vain then; [`stop`](Self::stop) says why.
    pub fn is_lost(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends it, to be called before the batch is finished.
    ///
    /// # Errors
    /// [`Error::BatchLost`](pgq_core::Error::BatchLost); the error of the last beat, if that failed;
    /// [`Error::NoAnswerInTime`](pgq_core::Error::NoAnswerInTime) if one is on its way beyond its limit: its thread ends with it.
    ///
    /// # Panics
    /// Like the beat, if that panicked: `postgres` does where the system gives it no more files.
    pub fn stop(mut self) -> Result<()> {
        match self.end() {
            Ok(ended) => ended,
            Err(panic) => panic::resume_unwind(panic),
        }
    }

    fn end(&mut self) -> thread::Result<Result<()>> {
        self.stop = None;
        let Some(thread) = self.thread.take() else { return Ok(Ok(())) };
        let ended = match self.ended.recv_timeout(self.limit) {
            Err(RecvTimeoutError::Timeout) => return Ok(Err(Beats::new(self.limit).overdue())),
            ended => ended,
        };
        thread.join()?;
        Ok(ended.unwrap_or(Ok(())))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn run(mut beats: Beats, stopped: &mpsc::Receiver<()>, mut beat: impl FnMut() -> Result<()>) -> Result<()> {
    while stopped.recv_timeout(beats.every()) == Err(RecvTimeoutError::Timeout) {
        beats.ended(beat())?;
    }
    beats.stop()
}

fn beat(reader: &Reader, batch: BatchId, mut client: Client, limit: Duration) -> Result<()> {
    let member = reader.sub().unwrap_or_default();
    let mut transaction = client.transaction()?;
    match transaction.call(coop::beat(reader.queue(), reader.main(), member, batch, limit))? {
        true => Ok(transaction.commit()?),
        false => {
            transaction.rollback()?;
            Err(reader.lost(batch))
        }
    }
}
