use std::time::Duration;

/// Pauses between tries that fail: 50 milliseconds, doubling up to 5 seconds, each half as long to one and a half times as long by
/// chance, so that many clients of a server that comes back do not come at once.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self { failures: 0, random }
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let doubled = Self::FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.spread(doubled.min(Self::LONGEST))
    }

    /// The same time, by up to a half shorter or longer.
    pub(crate) fn spread(&mut self, time: Duration) -> Duration {
        time.mul_f64(0.5 + self.random.f64())
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_five_seconds_and_starts_over() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        for (failures, pause) in pauses.iter().enumerate() {
            let middle = Backoff::FIRST.saturating_mul(1 << failures.min(10)).min(Backoff::LONGEST);
            assert!(*pause >= middle.mul_f64(0.5) && *pause <= middle.mul_f64(1.5), "{failures}: {pause:?}");
        }
        assert!(pauses.windows(2).any(|pair| pair[0].as_millis() * 2 != pair[1].as_millis()));
        backoff.reset();
        assert!(backoff.pause() <= Backoff::FIRST.mul_f64(1.5));
    }
}
