use std::time::{Duration, Instant};

use pgq_core::worker::Notice;
use pgq_testkit::until_within;

use super::{Ticker, Worker};

/// How far tickers had come when all stood still.
pub(crate) struct Progress<'a> {
    tickers: &'a [Ticker],
    worker: &'a Worker,
    ticks: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn of(tickers: &'a [Ticker], worker: &'a Worker) -> Self {
        Self { tickers, worker, ticks: ticks(tickers) }
    }

    /// Waits for the next tick, and for the worker to open or finish a batch after that time; tells how long after it they came.
    pub(crate) fn goes_on(&self, since: Instant) -> (Duration, Duration) {
        const LIMIT: Duration = Duration::from_secs(30);
        until_within(LIMIT, "there is a tick again", || ticks(self.tickers) > self.ticks);
        let tick = since.elapsed();
        let at_work = |notice: &Notice| matches!(notice, Notice::Opened { .. } | Notice::Finished { .. });
        until_within(LIMIT, "there is a batch again", || self.worker.heard.after(since, at_work).is_some());
        let batch = self.worker.heard.after(since, at_work).unwrap_or(since) - since;
        (tick, batch)
    }
}

fn ticks(tickers: &[Ticker]) -> u64 {
    tickers.iter().map(|ticker| ticker.stats().ticks).sum()
}
