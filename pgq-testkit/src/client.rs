use std::panic;
use std::thread;

use postgres::{Client, Config, NoTls};

use crate::error::Error;

/// Connects and works on a thread of its own, because the sync client panics on a thread of an async runtime.
pub(crate) fn with<T: Send>(
    config: &Config,
    doing: &str,
    work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send,
) -> Result<T, Error> {
    let mut config = config.clone();
    config.application_name(NAME);
    let result = off_runtime(|| work(&mut config.connect(NoTls)?));
    result.map_err(|source| Error::Database { doing: doing.to_owned(), source })
}

pub(crate) fn off_runtime<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match thread::scope(|scope| scope.spawn(work).join()) {
        Ok(result) => result,
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// What our own sessions call themselves, so that they are told from those of the tests.
pub(crate) const NAME: &str = "pgq_testkit";
