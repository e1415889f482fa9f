use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pgq_core::Error;
use pgq_core::maintenance::LongTransaction;

/// What a ticker does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has no connection, or found no PgQ on it, and tries again.
    #[default]
    Connecting,
    /// Another process is the ticker of this database; this one takes over when that goes away.
    Standby,
    /// It is the ticker of this database.
    Leading,
    /// It was stopped.
    Stopped,
}

/// What a ticker has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What it does just now.
    pub state: State,
    /// How many ticks it made.
    pub ticks: u64,
    /// How many events it moved back from the retry queue.
    pub retried: u64,
    /// How many maintenance operations it ran.
    pub maintained: u64,
    /// How many of its calls failed.
    pub failures: u64,
    /// What keeps it from working, if something does (connection, installation, rights): the text of the error.
    pub trouble: Option<String>,
    /// The jobs that fail, such as `tick of "orders"`, with the text of their last error.
    pub failing: BTreeMap<String, String>,
    /// The transactions that have held it up for long, the oldest first; none while it does not lead.
    pub long_transactions: Vec<LongTransaction>,
}

impl Stats {
    /// Notes what keeps the ticker from working; logs it when it is another trouble than before.
    pub(crate) fn trouble(&mut self, error: &Error) {
        let text = format!("{error:?}");
        if !self.trouble.as_ref().is_some_and(|before| alike(before, &text)) {
            tracing::warn!(error = %text, "the ticker cannot work");
        }
        self.trouble = Some(text);
    }

    pub(crate) fn no_trouble(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the ticker can work again");
        }
    }

    /// Notes that a job failed; logs it when it fails in another way than before.
    pub(crate) fn fails(&mut self, job: String, error: &Error) {
        let text = format!("{error:?}");
        if !self.failing.get(&job).is_some_and(|before| alike(before, &text)) {
            tracing::warn!(%job, error = %text, "a job of the ticker fails");
        }
        self.failing.insert(job, text);
    }

    pub(crate) fn works(&mut self, job: &str) {
        self.forget(|other| other == job, |_| false);
    }

    /// Notes that of the jobs that `concerns` only those that `remain` are still to be done: the others fail no more.
    pub(crate) fn forget(&mut self, concerns: impl Fn(&str) -> bool, remain: impl Fn(&str) -> bool) {
        self.failing.retain(|job, _| {
            let fails = !concerns(job) || remain(job);
            if !fails {
                tracing::info!(%job, "a job of the ticker fails no more");
            }
            fails
        });
    }
}

/// The newest statistics, which a ticker publishes and its handle reads.
#[derive(Clone, Default)]
pub(crate) struct Published(Arc<Mutex<Stats>>);

impl Published {
    pub(crate) fn publish(&self, stats: Stats) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    pub(crate) fn read(&self) -> Stats {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether two errors say the same but for their numbers: some of PgQ's name the current transaction id.
fn alike(one: &str, other: &str) -> bool {
    let words = |text| str::chars(text).filter(|char| !char.is_ascii_digit());
    words(one).eq(words(other))
}
