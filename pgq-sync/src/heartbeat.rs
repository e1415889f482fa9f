use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pgq_core::{BatchId, Error, Result, coop};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, Socket};

use crate::{ClientExt, SubConsumer};

/// Keeps a batch from being taken over while it lives. Comes from [`SubConsumer::heartbeat`].
///
/// A beat that fails is left out; the next one comes in its time. Dropping it ends it, and waits for a beat that is on its way:
/// give the configuration a `connect_timeout`, and a `statement_timeout` by its `options`.
#[derive(Debug)]
#[must_use = "a heartbeat that is dropped has ended"]
pub struct Heartbeat {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<Option<Error>>>,
}

impl Heartbeat {
    pub(crate) fn start<T>(
        member: SubConsumer,
        batch: BatchId,
        config: Config,
        tls: T,
        every: Duration,
    ) -> io::Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (stop, stopped) = mpsc::channel();
        let beats = move || {
            let mut trouble = None;
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                trouble = beat(&member, batch, &config, tls.clone()).err();
                if trouble.as_ref().is_some_and(coop::ends_heartbeat) {
                    break;
                }
            }
            trouble
        };
        let thread = thread::Builder::new().name("pgq-heartbeat".to_owned()).spawn(beats)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Whether it has ended by itself: the batch is lost, or beating makes no sense, as without the right to. Work for the batch is
    /// in vain then.
    pub fn is_lost(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends it, to be called before the batch is finished.
    ///
    /// # Errors
    /// [`Error::BatchLost`]; the error of the last beat, if that failed.
    pub fn stop(mut self) -> Result<()> {
        self.join().map_or(Ok(()), Err)
    }

    fn join(&mut self) -> Option<Error> {
        self.stop = None;
        self.thread.take()?.join().ok()?
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.join();
    }
}

fn beat<T>(member: &SubConsumer, batch: BatchId, config: &Config, tls: T) -> Result<()>
where
    T: MakeTlsConnect<Socket> + 'static + Send,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let mut client = config.connect(tls)?;
    let mut transaction = client.transaction()?;
    match transaction.call(coop::beat(member.queue(), member.main(), member.name(), batch))? {
        true => Ok(transaction.commit()?),
        false => {
            transaction.rollback()?;
            Err(member.reader().lost(batch))
        }
    }
}
