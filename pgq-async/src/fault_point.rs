use std::future::Future;
#[cfg(feature = "fault-points")]
use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::Poll,
};

use pgq_core::Result;
use pgq_core::batch::Reader;
#[cfg(feature = "fault-points")]
use pgq_core::fault_point::Pause;
use pgq_core::fault_point::Point;

/// Does at this point what a test wants.
#[cfg(feature = "fault-points")]
pub(crate) async fn reach(reader: &Reader, point: Point) -> Result<()> {
    match reader.reach(point)? {
        Pause::None => {}
        Pause::Sleep(time) => tokio::time::sleep(time).await,
        Pause::UntilDropped => pending().await,
    }
    Ok(())
}

/// Does nothing: no test can want anything.
#[cfg(not(feature = "fault-points"))]
pub(crate) async fn reach(_: &Reader, _: Point) -> Result<()> {
    Ok(())
}

/// Commits, with the points around it.
#[cfg(feature = "fault-points")]
pub(crate) async fn commit(
    reader: &Reader,
    commit: impl Future<Output = Result<(), tokio_postgres::Error>>,
) -> Result<()> {
    reach(reader, Point::BeforeCommit).await?;
    let mut commit = pin!(commit);
    // The first poll hands it over to the connection, which sends it whatever becomes of this future.
    let sent = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
    reach(reader, Point::CommitSent).await?;
    match sent {
        Poll::Ready(answer) => answer?,
        Poll::Pending => commit.await?,
    }
    reach(reader, Point::AfterCommit).await
}

/// Commits.
#[cfg(not(feature = "fault-points"))]
pub(crate) async fn commit(
    _: &Reader,
    commit: impl Future<Output = Result<(), tokio_postgres::Error>>,
) -> Result<()> {
    Ok(commit.await?)
}
