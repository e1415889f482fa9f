use std::time::Duration;

/// Pauses between tries that fail: 50 milliseconds, doubling up to 5 seconds, each half as long to one and a half times as long by
/// chance, so that many clients of a server that comes back do not come at once.
///
/// Knows no clock: waiting is up to the caller.
///
/// ```
/// use std::time::Duration;
/// use pgq_core::{Backoff, fastrand::Rng};
///
/// let mut backoff = Backoff::new(Rng::new());
/// assert!(backoff.pause() <= Duration::from_millis(75));
/// assert!(backoff.pause() <= Duration::from_millis(150));
/// backoff.reset();
/// assert!(backoff.pause() <= Duration::from_millis(75));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    /// From 50 milliseconds to 5 seconds. Give each its own `random`: those of one seed pause alike.
    pub fn new(random: fastrand::Rng) -> Self {
        Self { first: Self::FIRST, longest: Self::LONGEST, failures: 0, random }
    }

    /// Begins with `first` and doubles up to `longest` instead.
    pub fn with(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Doubles up to `longest` instead.
    pub fn up_to(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// How long to pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(u32::BITS - 1));
        self.failures = self.failures.saturating_add(1);
        self.spread(doubled.min(self.longest))
    }

    /// The same time, by up to a half shorter or longer.
    pub fn spread(&mut self, time: Duration) -> Duration {
        let spread = time.as_secs_f64() * (0.5 + self.random.f64());
        Duration::try_from_secs_f64(spread).unwrap_or(Duration::MAX)
    }

    /// Begins with the shortest pause again, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_grows(mut backoff: Backoff, first: Duration, longest: Duration) {
        let pauses: Vec<_> = (0..40).map(|_| backoff.pause()).collect();
        for (failures, pause) in pauses.iter().enumerate() {
            let middle = first.saturating_mul(1 << failures.min(31)).min(longest);
            assert!(*pause >= middle.mul_f64(0.5) && *pause <= middle.mul_f64(1.5), "{failures}: {pause:?}");
        }
        assert!(pauses.windows(2).any(|pair| pair[0].as_millis() * 2 != pair[1].as_millis()));
        backoff.reset();
        assert!(backoff.pause() <= first.mul_f64(1.5));
    }

    #[test]
    fn grows_to_five_seconds_and_starts_over() {
        let backoff = Backoff::new(fastrand::Rng::with_seed(7));
        assert_grows(backoff, Duration::from_millis(50), Duration::from_secs(5));
    }

    #[test]
    fn grows_as_far_as_wanted() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(86_400));
        assert_grows(Backoff::new(fastrand::Rng::with_seed(7)).with(first, longest), first, longest);
    }

    #[test]
    fn spreads_any_time() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        for _ in 0..100 {
            backoff.spread(Duration::MAX);
            assert_eq!(backoff.spread(Duration::ZERO), Duration::ZERO);
        }
    }
}
