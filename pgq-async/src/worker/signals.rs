use std::future::Future;
use std::io;
use std::pin::pin;

use futures::future::select;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stopper::Stopper;

/// Stops softly on the first signal, at once on the second one. Begins to listen at once.
///
/// # Panics
/// Outside of a tokio runtime with I/O.
pub(super) fn listen(stopper: Stopper) -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let ended = stopper.clone();
        let stops = pin!(async {
            either(&mut terminate, &mut interrupt).await;
            stopper.stop();
            either(&mut terminate, &mut interrupt).await;
            stopper.stop_now();
        });
        let ended = pin!(ended.ended());
        select(stops, ended).await;
    })
}

async fn either(one: &mut Signal, other: &mut Signal) {
    select(pin!(one.recv()), pin!(other.recv())).await;
}
