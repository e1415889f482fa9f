use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pgq_core::Event;
use pgq_testkit::fastrand::Rng;

use super::line::{End, Failed, Line, Work};
use super::{BoxError, Run};

/// Threads that insert numbered events, each in a transaction that says so in `sent` too. Some are rolled back on purpose. A number is
/// used once: whatever became of its transaction, `sent` knows, and nothing else does.
pub(crate) struct Producers {
    progress: Arc<Progress>,
    threads: Vec<JoinHandle<Produced>>,
}

/// What producers did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Produced {
    /// How many events they committed.
    pub(crate) committed: u64,
    /// How many they rolled back, or lost with the connection.
    pub(crate) rolled_back: u64,
    /// How many transactions failed before their end.
    pub(crate) failed: u64,
    /// How many commits had no answer.
    pub(crate) in_doubt: u64,
    /// How many of those were committed all the same.
    pub(crate) in_doubt_committed: u64,
}

#[derive(Debug, Default)]
struct Progress {
    committed: AtomicU64,
    allowed: AtomicU64,
    stop: AtomicBool,
}

impl Producers {
    /// Starts so many that commit so many events together, of the driver of the run.
    pub(crate) fn start(run: &Run, conninfo: &str, count: u32, events: u64) -> Self {
        Self::paced(run, conninfo, count, events, Duration::ZERO)
    }

    /// Starts so many that go on until they are stopped, with this pause after each transaction.
    pub(crate) fn steady(run: &Run, conninfo: &str, count: u32, pause: Duration) -> Self {
        Self::paced(run, conninfo, count, u64::from(u32::MAX), pause)
    }

    fn paced(run: &Run, conninfo: &str, count: u32, events: u64, pause: Duration) -> Self {
        let progress = Arc::new(Progress { allowed: AtomicU64::new(u64::MAX), ..Progress::default() });
        let mut random = run.random();
        let start = |number| {
            let share = events.div_ceil(u64::from(count));
            let (driver, random, progress) = (run.driver, random.fork(), progress.clone());
            let line = Line::new(driver, conninfo);
            let producer =
                Producer { number, random, line, progress, pause, next: 1, produced: Produced::default() };
            thread::spawn(move || producer.run(share))
        };
        let threads = (1..=i32::try_from(count).unwrap()).map(start).collect();
        Self { progress, threads }
    }

    /// How many events they know to be committed.
    pub(crate) fn committed(&self) -> u64 {
        self.progress.committed.load(Ordering::SeqCst)
    }

    /// Has them wait when they have committed so many.
    pub(crate) fn allow(&self, events: u64) {
        self.progress.allowed.store(events, Ordering::SeqCst);
    }

    /// Has them end before all is done.
    pub(crate) fn stop(&self) {
        self.progress.stop.store(true, Ordering::SeqCst);
    }

    /// Ends them before all is done.
    pub(crate) fn end(self) -> Produced {
        self.stop();
        self.join()
    }

    /// Waits until all is committed.
    pub(crate) fn join(mut self) -> Produced {
        self.allow(u64::MAX);
        let mut all = Produced::default();
        for thread in mem::take(&mut self.threads) {
            let one = thread.join().expect("a producer does not fail");
            all.committed += one.committed;
            all.rolled_back += one.rolled_back;
            all.failed += one.failed;
            all.in_doubt += one.in_doubt;
            all.in_doubt_committed += one.in_doubt_committed;
        }
        all
    }
}

/// They end some time later.
impl Drop for Producers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The numbers of an event: its producer and its place there.
pub(crate) fn numbers(event: &Event) -> Result<(i32, i64), BoxError> {
    let data = event.data.as_deref().ok_or("no data")?;
    let (producer, seq) = data.split_once(':').ok_or("no number")?;
    Ok((producer.parse()?, seq.parse()?))
}

struct Producer {
    number: i32,
    random: Rng,
    line: Line,
    progress: Arc<Progress>,
    pause: Duration,
    next: i64,
    produced: Produced,
}

impl Producer {
    fn run(mut self, share: u64) -> Produced {
        while self.produced.committed < share && !self.progress.stop.load(Ordering::SeqCst) {
            if self.progress.committed.load(Ordering::SeqCst) >= self.progress.allowed.load(Ordering::SeqCst)
            {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            if self.line.open().is_none() {
                continue;
            }
            thread::sleep(self.pause);
            let work = self.work(share);
            let count = work.last.abs_diff(work.first) + 1;
            let committed = match self.line.transact(&work) {
                Ok(()) => work.end == End::Commit,
                Err(Failed::Before) => {
                    self.produced.failed += 1;
                    false
                }
                Err(Failed::InCommit) => {
                    let committed = self.line.find(&work);
                    self.produced.in_doubt += 1;
                    self.produced.in_doubt_committed += u64::from(committed);
                    committed
                }
            };
            if committed {
                self.produced.committed += count;
                self.progress.committed.fetch_add(count, Ordering::SeqCst);
            } else {
                self.produced.rolled_back += count;
            }
        }
        self.produced
    }

    /// One to twenty numbers; each tenth transaction is rolled back on purpose.
    fn work(&mut self, share: u64) -> Work {
        let left = i64::try_from(share - self.produced.committed).unwrap();
        let (producer, first) = (self.number, self.next);
        let last = first + self.random.i64(1..=20).min(left) - 1;
        self.next = last + 1;
        let end = if self.random.u8(..10) == 0 { End::Rollback } else { End::Commit };
        Work { producer, first, last, end }
    }
}
