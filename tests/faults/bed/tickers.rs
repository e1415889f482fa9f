use std::time::Duration;

use pgq_ticker::{Stats, aio, sync};

use super::{Driver, runtime};

/// A ticker of either driver.
pub(crate) enum Ticker {
    Sync(sync::Ticker),
    Async(aio::Ticker),
}

/// How often a ticker does what.
#[derive(Clone, Copy)]
pub(crate) struct Beat {
    pub(crate) tick: Duration,
    pub(crate) retry: Duration,
    pub(crate) maintenance: Duration,
    pub(crate) answer_limit: Duration,
    pub(crate) long_transaction: Duration,
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(50),
            retry: Duration::from_millis(500),
            maintenance: Duration::from_secs(120),
            answer_limit: Duration::from_secs(60),
            long_transaction: Duration::from_secs(60),
        }
    }
}

impl Ticker {
    pub(crate) fn start(driver: Driver, conninfo: &str) -> Self {
        Self::with(driver, conninfo, Beat::default())
    }

    pub(crate) fn with(driver: Driver, conninfo: &str, beat: Beat) -> Self {
        let Beat { tick, retry, maintenance, answer_limit, long_transaction } = beat;
        match driver {
            Driver::Sync => {
                let ticker = sync::Ticker::builder(conninfo.parse().unwrap());
                let ticker = ticker
                    .tick_period(tick)
                    .retry_period(retry)
                    .maintenance_period(maintenance)
                    .long_transaction_after(long_transaction);
                Self::Sync(ticker.answer_limit(answer_limit).spawn().unwrap())
            }
            Driver::Async => {
                let _runtime = runtime().enter();
                let ticker = aio::Ticker::builder(conninfo.parse().unwrap());
                let ticker = ticker
                    .tick_period(tick)
                    .retry_period(retry)
                    .maintenance_period(maintenance)
                    .long_transaction_after(long_transaction);
                Self::Async(ticker.answer_limit(answer_limit).spawn())
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::Sync(ticker) => ticker.stats(),
            Self::Async(ticker) => ticker.stats(),
        }
    }
}
