use std::time::{Duration, Instant};

/// How often a ticker does what. The defaults are pgqd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Periods {
    /// Between two calls of `pgq.ticker()`: 1 second. At least 10 milliseconds.
    pub tick: Duration,
    /// Between two looks into the retry queue: 30 seconds.
    pub retry: Duration,
    /// Between two rounds of maintenance (rotation, vacuum): 120 seconds.
    pub maintenance: Duration,
    /// Between two tries of a stand-by to become the ticker: half a second.
    pub standby: Duration,
    /// For how long a transaction may hold up rotation, or events, until it is told of: 1 minute. `Duration::MAX` for never.
    pub long_transaction: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            retry: Duration::from_secs(30),
            maintenance: Duration::from_secs(120),
            standby: Duration::from_millis(500),
            long_transaction: Duration::from_secs(60),
        }
    }
}

/// Something that a ticker does from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Job {
    /// Tick the queues that are due.
    Tick,
    /// Move due events from the retry queue.
    Retry,
    /// Run the maintenance operations.
    Maintain,
}

/// Decides what is due. Knows no clock: time comes in as an argument.
///
/// A job that is late is done once, not as often as it was missed. The one that is due for longest comes first, so that none starves
/// where a tick takes longer than its period; among equals, ticks come before retries and those before maintenance.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pgq_ticker::{Job, Periods, Schedule};
///
/// let start = Instant::now();
/// let mut schedule = Schedule::new(Periods::default(), start);
/// assert_eq!(schedule.due(start), Some(Job::Tick));
/// assert_eq!(schedule.due(start), Some(Job::Retry));
/// assert_eq!(schedule.due(start), Some(Job::Maintain));
/// assert_eq!(schedule.due(start), None);
/// assert_eq!(schedule.next(), start + Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    jobs: [(Job, Duration, Instant); 3],
}

impl Schedule {
    pub(crate) const SHORTEST: Duration = Duration::from_millis(10);
    /// A century: no clock overflows by it.
    const LONGEST: Duration = Duration::from_secs(3_155_760_000);

    /// A schedule in which everything is due at once.
    pub fn new(periods: Periods, now: Instant) -> Self {
        let job = |job, period: Duration| (job, period.clamp(Self::SHORTEST, Self::LONGEST), now);
        Self {
            jobs: [
                job(Job::Tick, periods.tick),
                job(Job::Retry, periods.retry),
                job(Job::Maintain, periods.maintenance),
            ],
        }
    }

    /// Takes the job that is due for longest, and plans it anew: a period after it was due, or after now if that has passed too.
    pub fn due(&mut self, now: Instant) -> Option<Job> {
        let due = self.jobs.iter_mut().filter(|(_, _, at)| *at <= now);
        let (job, period, at) = due.min_by_key(|(_, _, at)| *at)?;
        let next = *at + *period;
        *at = if next > now { next } else { now + *period };
        Some(*job)
    }

    #[cfg(any(feature = "async", feature = "sync"))]
    pub(crate) fn is_due(&self, job: Job, now: Instant) -> bool {
        self.jobs.iter().any(|(other, _, at)| *other == job && *at <= now)
    }

    /// Makes a job due at `now`.
    pub fn hasten(&mut self, hastened: Job, now: Instant) {
        for (job, _, at) in &mut self.jobs {
            if *job == hastened {
                *at = now;
            }
        }
    }

    /// When the next job will be due.
    pub fn next(&self) -> Instant {
        let [first, rest @ ..] = &self.jobs;
        rest.iter().fold(first.2, |next, (_, _, at)| next.min(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(tick: u64, retry: u64, maintenance: u64) -> Periods {
        let [tick, retry, maintenance] = [tick, retry, maintenance].map(Duration::from_millis);
        Periods { tick, retry, maintenance, ..Periods::default() }
    }

    fn all_due(schedule: &mut Schedule, now: Instant) -> Vec<Job> {
        std::iter::from_fn(|| schedule.due(now)).collect()
    }

    #[test]
    fn keeps_the_beat() {
        let start = Instant::now();
        let mut schedule = Schedule::new(periods(100, 10_000, 10_000), start);
        all_due(&mut schedule, start);
        let late = start + Duration::from_millis(130);
        assert_eq!(all_due(&mut schedule, late), [Job::Tick]);
        assert_eq!(schedule.next(), start + Duration::from_millis(200));
    }

    #[test]
    fn makes_up_for_nothing() {
        let start = Instant::now();
        let mut schedule = Schedule::new(periods(100, 300, 10_000), start);
        all_due(&mut schedule, start);
        let late = start + Duration::from_millis(1050);
        assert_eq!(all_due(&mut schedule, late), [Job::Tick, Job::Retry]);
        assert_eq!(schedule.next(), late + Duration::from_millis(100));
    }

    #[test]
    fn slow_ticks_starve_nobody() {
        let start = Instant::now();
        let mut schedule = Schedule::new(periods(10, 100, 100), start);
        all_due(&mut schedule, start);
        let slow = (1..=20).map(|step| start + Duration::from_millis(step * 15));
        let jobs: Vec<_> = slow.map(|now| schedule.due(now)).collect();
        for job in [Job::Retry, Job::Maintain] {
            assert_eq!(jobs.iter().filter(|due| **due == Some(job)).count(), 2, "{jobs:?}");
        }
        assert_eq!(jobs.iter().filter(|due| **due == Some(Job::Tick)).count(), 16);
    }

    #[test]
    fn what_is_due_for_longest_comes_first() {
        let start = Instant::now();
        let mut schedule = Schedule::new(periods(10, 10, 10), start);
        assert_eq!(schedule.due(start), Some(Job::Tick));
        assert_eq!(schedule.due(start), Some(Job::Retry));
        let later = start + Duration::from_millis(10);
        assert_eq!(all_due(&mut schedule, later), [Job::Maintain, Job::Tick, Job::Retry]);
    }

    #[test]
    fn is_never_faster_than_ten_milliseconds() {
        let start = Instant::now();
        let mut schedule = Schedule::new(periods(0, 0, 0), start);
        all_due(&mut schedule, start);
        assert_eq!(schedule.next(), start + Duration::from_millis(10));
    }

    #[test]
    fn may_never_come() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Periods { retry: Duration::MAX, ..Periods::default() }, start);
        assert_eq!(all_due(&mut schedule, start), [Job::Tick, Job::Retry, Job::Maintain]);
    }

    #[test]
    fn hastened_jobs_are_due() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Periods::default(), start);
        all_due(&mut schedule, start);
        schedule.hasten(Job::Retry, start);
        assert_eq!(all_due(&mut schedule, start), [Job::Retry]);
    }
}
