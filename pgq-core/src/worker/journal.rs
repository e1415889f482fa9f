use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Notice, WorkerStats};

/// Where all goes that a worker tells: statistics, log, metrics, and the callback. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    queue: Arc<str>,
    consumer: Arc<str>,
    callback: Option<Callback>,
    inside: Arc<Mutex<Inside>>,
}

type Callback = Arc<dyn Fn(&Notice) + Send + Sync>;

#[derive(Default)]
struct Inside {
    stats: WorkerStats,
    last_trouble: Option<String>,
}

impl Journal {
    /// The journal of the worker of this consumer.
    pub fn new(queue: &str, consumer: &str, callback: Option<Callback>) -> Self {
        Self { queue: queue.into(), consumer: consumer.into(), callback, inside: Arc::default() }
    }

    /// Takes down a notice. What was said before in the same words, but for their numbers, is not logged again.
    pub fn note(&self, notice: &Notice) {
        let repeats = {
            let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            inside.stats.note(notice);
            inside.repeats(notice)
        };
        if !repeats {
            self.log(notice);
        }
        #[cfg(feature = "metrics")]
        super::metrics::count(&self.queue, &self.consumer, notice);
        if let Some(callback) = &self.callback {
            callback(notice);
        }
    }

    /// What the worker has done so far.
    pub fn stats(&self) -> WorkerStats {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).stats.clone()
    }

    /// Takes down that the worker has ended, and with what, if nobody told it to. A callback that panics does no more harm.
    pub fn ended(&self, error: Option<String>) {
        let note = || self.note(&Notice::Stopped { error });
        if panic::catch_unwind(AssertUnwindSafe(note)).is_err() {
            tracing::error!("the callback for notices panicked");
        }
    }

    fn log(&self, notice: &Notice) {
        let (queue, consumer) = (&*self.queue, &*self.consumer);
        match notice {
            Notice::Opened { .. } | Notice::Progress { .. } | Notice::Finished { .. } => {
                tracing::debug!(queue, consumer, "{notice}");
            }
            Notice::Disconnected { .. }
            | Notice::Trouble { .. }
            | Notice::Retried { .. }
            | Notice::RolledBack { .. }
            | Notice::Lost { .. }
            | Notice::NoTicks { .. }
            | Notice::Deaf { .. }
            | Notice::Moved { .. }
            | Notice::Stuck { .. }
            | Notice::GaveUp => tracing::warn!(queue, consumer, "{notice}"),
            Notice::Dead { .. } | Notice::Stopped { error: Some(_) } => {
                tracing::error!(queue, consumer, "{notice}")
            }
            _ => tracing::info!(queue, consumer, "{notice}"),
        }
    }
}

impl Inside {
    /// Whether the notice tells of the same trouble as the one before it.
    fn repeats(&mut self, notice: &Notice) -> bool {
        match notice {
            Notice::Disconnected { error, .. }
            | Notice::Trouble { error }
            | Notice::RolledBack { error, .. } => {
                let repeats = self.last_trouble.as_ref().is_some_and(|before| alike(before, error));
                self.last_trouble = Some(error.clone());
                repeats
            }
            Notice::Finished { .. } | Notice::StandingBy => {
                self.last_trouble = None;
                false
            }
            // A connection that is made and fails again in the same way is no news.
            Notice::Connected | Notice::Working => self.last_trouble.is_some() && self.stats.connections > 1,
            _ => false,
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("queue", &self.queue)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// Whether two errors say the same but for their numbers.
fn alike(one: &str, other: &str) -> bool {
    let words = |text| str::chars(text).filter(|char| !char.is_ascii_digit());
    words(one).eq(words(other))
}
