//! Workers of the two drivers, started from one description. Handlers are futures for both; what they wait for, and what they write in the
//! transaction, is done by the driver.

mod job;
mod outside;
mod reading;
mod sql;
mod worker;

use std::error::Error;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::worker::Outcome;
use tokio::runtime::Runtime;

pub(crate) use self::job::Job;
pub(crate) use self::outside::Outside;
pub(crate) use self::reading::Reading;
pub(crate) use self::sql::{Tx, sink};
pub(crate) use self::worker::Worker;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What a handler returns.
pub(crate) type Handled = Result<Outcome, BoxError>;

/// Which of the two drivers is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Sync,
    Async,
}

impl Driver {
    const LIMIT: Duration = Duration::from_secs(30);

    /// Waits in a handler until a condition holds. One that waits in vain panics.
    pub(crate) async fn until(self, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Self::LIMIT, "a handler waited in vain");
            self.pause().await;
        }
    }

    /// Gives the others a turn.
    pub(crate) async fn pause(self) {
        const PAUSE: Duration = Duration::from_millis(1);
        match self {
            Self::Sync => thread::sleep(PAUSE),
            Self::Async => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Where tasks of the async driver run.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}
