use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use pgq_core::BatchId;
use pgq_core::worker::Notice;

/// What a worker has told, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    notices: Arc<Mutex<Vec<(Instant, Notice)>>>,
    batch: Arc<AtomicI64>,
    deliveries: Arc<AtomicUsize>,
    forgets: Arc<AtomicBool>,
    tell: Arc<OnceLock<Tell>>,
}

type Tell = fn(&Notice);

impl Heard {
    /// Passes on what is heard.
    pub(crate) fn tell(&self, tell: Tell) {
        self.tell.set(tell).expect("told once");
    }

    /// Keeps nothing from now on, so that it does not grow.
    pub(crate) fn forget(&self) {
        self.forgets.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hear(&self, notice: &Notice) {
        if let Notice::Opened { batch } = notice {
            self.deliveries.fetch_add(1, Ordering::SeqCst);
            self.batch.store(batch.0, Ordering::SeqCst);
        }
        if let Some(tell) = self.tell.get() {
            tell(notice);
        }
        if !self.forgets.load(Ordering::SeqCst) {
            self.notices.lock().unwrap().push((Instant::now(), notice.clone()));
        }
    }

    /// The batch that was opened last.
    pub(crate) fn batch(&self) -> BatchId {
        BatchId(self.batch.load(Ordering::SeqCst))
    }

    /// How many batches were opened, the same one counted as often as it was.
    pub(crate) fn delivery(&self) -> usize {
        self.deliveries.load(Ordering::SeqCst)
    }

    /// The numbers of the deliveries that did not end well.
    pub(crate) fn unfinished(&self) -> HashSet<usize> {
        let mut unfinished = HashSet::new();
        let mut delivery = 0;
        for (_, notice) in self.all() {
            match notice {
                Notice::Opened { .. } => {
                    delivery += 1;
                    unfinished.insert(delivery);
                }
                Notice::Finished { .. } => drop(unfinished.remove(&delivery)),
                _ => {}
            }
        }
        unfinished
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.notices.lock().unwrap().iter().filter(|(_, notice)| wanted(notice)).count()
    }

    /// When it first told such a thing, after that time.
    pub(crate) fn after(&self, start: Instant, wanted: impl Fn(&Notice) -> bool) -> Option<Instant> {
        let notices = self.notices.lock().unwrap();
        notices.iter().find(|(at, notice)| *at >= start && wanted(notice)).map(|(at, _)| *at)
    }

    /// All of it, in order.
    pub(crate) fn all(&self) -> Vec<(Instant, Notice)> {
        self.notices.lock().unwrap().clone()
    }
}
