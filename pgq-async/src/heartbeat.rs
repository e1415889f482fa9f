use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use pgq_core::{BatchId, Error, Result, coop};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Socket};

use crate::{ClientExt, SubConsumer};

/// Keeps a batch from being taken over while it is polled. Comes from [`SubConsumer::heartbeat`].
///
/// Ends when the batch is lost, with [`Error::BatchLost`], or when beating makes no sense: with an error that will last, such as a
/// missing right. A beat that fails for another reason, or gets no answer until the next one is due, is left out. Dropping it ends
/// it.
#[must_use = "a heartbeat beats only while it is polled"]
pub struct Heartbeat(BoxFuture<'static, Error>);

impl Heartbeat {
    pub(crate) fn new<T>(member: SubConsumer, batch: BatchId, config: Config, tls: T, every: Duration) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let beats = async move {
            loop {
                tokio::time::sleep(every).await;
                let beat = beat(&member, batch, &config, tls.clone());
                match tokio::time::timeout(every, beat).await {
                    Ok(Err(error)) if coop::ends_heartbeat(&error) => return error,
                    _ => {}
                }
            }
        };
        Self(beats.boxed())
    }
}

impl Future for Heartbeat {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        self.0.poll_unpin(cx)
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").finish_non_exhaustive()
    }
}

async fn beat<T>(member: &SubConsumer, batch: BatchId, config: &Config, tls: T) -> Result<()>
where
    T: MakeTlsConnect<Socket>,
{
    let (mut client, connection) = config.connect(tls).await?;
    let beat = async move {
        let transaction = client.transaction().await?;
        match transaction.call(coop::beat(member.queue(), member.main(), member.name(), batch)).await? {
            true => Ok(transaction.commit().await?),
            false => {
                transaction.rollback().await?;
                Err(member.reader().lost(batch))
            }
        }
    };
    future::join(beat, connection).await.0
}
