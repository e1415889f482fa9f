use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pgq_core::batch::Reader;
use pgq_core::coop::{self, Beats};
use pgq_core::{BatchId, Error, Result};

use crate::ClientExt;
use crate::connection::{Dial, Link};

/// Keeps a batch from being taken over while it is polled. Comes from [`SubConsumer::heartbeat`](crate::SubConsumer::heartbeat).
///
/// Ends by itself when the batch is lost, with [`Error::BatchLost`], or by an error that will last, such as a missing right or a
/// database without PgQ; both may come from the first beat. A beat that fails for another reason is left out; the next one comes in its
/// time, and [`stop`](Self::stop) gives the error of the last one.
///
/// A beat may take [`Beats::limit`]: `every`, but at least 5 seconds. It is given up then, and that is its `lock_timeout` too, so that
/// no backend is left waiting for the group. Dropping the heartbeat ends it, and a beat that is on its way.
#[must_use = "a heartbeat beats only while it is polled"]
pub struct Heartbeat {
    beats: Beats,
    next: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send>,
    current: BoxFuture<'static, Result<()>>,
}

impl Heartbeat {
    pub(crate) fn new(member: Reader, batch: BatchId, dial: Dial, every: Duration) -> Self {
        let beats = Beats::new(every);
        let (every, limit) = (beats.every(), beats.limit());
        let next = move || {
            let (member, dial) = (member.clone(), dial.clone());
            let next = async move {
                tokio::time::sleep(every).await;
                let beat = beat(&member, batch, &dial, limit);
                match tokio::time::timeout(limit, beat).await {
                    Ok(ended) => ended,
                    Err(_) => Err(Beats::new(every).overdue()),
                }
            };
            next.boxed()
        };
        Self { beats, current: next(), next: Box::new(next) }
    }

    /// Ends it, to be called before the batch is finished. A beat that is on its way is given up.
    ///
    /// # Errors
    /// The error of the last beat, if that failed and the heartbeat did not end with it.
    pub fn stop(self) -> Result<()> {
        self.beats.stop()
    }
}

impl Future for Heartbeat {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let ended = ready!(self.current.poll_unpin(cx));
            if let Err(error) = self.beats.ended(ended) {
                return Poll::Ready(error);
            }
            self.current = (self.next)();
        }
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("beats", &self.beats).finish_non_exhaustive()
    }
}

async fn beat(member: &Reader, batch: BatchId, dial: &Dial, limit: Duration) -> Result<()> {
    let Link { mut client, mut line } = dial.connect().await?;
    let beat = async move {
        let transaction = client.transaction().await?;
        let sub = member.sub().unwrap_or_default();
        let call = coop::beat(member.queue(), member.main(), sub, batch, limit);
        match transaction.call(call).await? {
            true => Ok(transaction.commit().await?),
            false => {
                transaction.rollback().await?;
                Err(member.lost(batch))
            }
        }
    };
    let ended = line.drive(beat).await;
    line.ended().await;
    ended
}
