use std::io;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pgq_core::coop::{self, Beats};
use pgq_core::{BatchId, Result};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, Socket};

use crate::{ClientExt, SubConsumer};

/// Keeps a batch from being taken over while it lives. Comes from [`SubConsumer::heartbeat`].
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
    pub(crate) fn start<T>(
        member: SubConsumer,
        batch: BatchId,
        mut config: Config,
        tls: T,
        every: Duration,
    ) -> io::Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let beats = Beats::new(every);
        let limit = beats.limit();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(limit);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(limit);
        }
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let run = move || {
            let one = || beat(&member, batch, &config, tls.clone(), limit);
            // Fails where nobody waits any more.
            let _ = end.send(run(beats, &stopped, one));
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

fn beat<T>(member: &SubConsumer, batch: BatchId, config: &Config, tls: T, limit: Duration) -> Result<()>
where
    T: MakeTlsConnect<Socket> + 'static + Send,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let mut client = config.connect(tls)?;
    let mut transaction = client.transaction()?;
    match transaction.call(coop::beat(member.queue(), member.main(), member.name(), batch, limit))? {
        true => Ok(transaction.commit()?),
        false => {
            transaction.rollback()?;
            Err(member.reader().lost(batch))
        }
    }
}
