use pgq_core::Result;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{RUNTIME, block_on};

pub(crate) trait Heartbeat {
    fn is_lost(&self) -> bool;
    fn stop(self) -> Result<()>;
}

/// The heartbeat of `pgq-async`, polled by a task.
pub(crate) struct Beating {
    task: JoinHandle<Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Heartbeat for Beating {
    fn is_lost(&self) -> bool {
        self.task.is_finished()
    }

    fn stop(self) -> Result<()> {
        drop(self.stop);
        block_on(self.task).unwrap()
    }
}

impl Heartbeat for pgq_sync::Heartbeat {
    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    fn stop(self) -> Result<()> {
        self.stop()
    }
}

pub(super) fn beating_sync(heartbeat: std::io::Result<pgq_sync::Heartbeat>) -> pgq_sync::Heartbeat {
    heartbeat.unwrap()
}

pub(super) fn beating_async(heartbeat: pgq_async::Heartbeat) -> Beating {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = RUNTIME.spawn(async {
        let mut heartbeat = heartbeat;
        tokio::select! {
            biased;
            error = &mut heartbeat => Err(error),
            _ = stopped => heartbeat.stop(),
        }
    });
    Beating { task, stop }
}
