use std::time::Duration;

use crate::{Error, Result};

/// When a heartbeat beats, how long a beat may take, and when it ends. The drivers' `Heartbeat` is built on it.
#[derive(Debug)]
pub struct Beats {
    every: Duration,
    trouble: Option<Error>,
}

impl Beats {
    /// The shortest pace: 100 milliseconds. A shorter one, such as 0, is taken as this one.
    pub const SHORTEST: Duration = Duration::from_millis(100);
    /// The shortest limit of a beat: 5 seconds, so that a fast pace does not take a slow server for a dead one.
    pub const SHORTEST_LIMIT: Duration = Duration::from_secs(5);

    /// Beats at this pace, but not faster than [`SHORTEST`](Self::SHORTEST).
    pub fn new(every: Duration) -> Self {
        Self { every: every.max(Self::SHORTEST), trouble: None }
    }

    /// The pause before each beat.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// How long a beat may take: as long as the pause, but at least [`SHORTEST_LIMIT`](Self::SHORTEST_LIMIT).
    pub fn limit(&self) -> Duration {
        self.every.max(Self::SHORTEST_LIMIT)
    }

    /// The error of a beat that did not end within its limit.
    pub fn overdue(&self) -> Error {
        Error::NoAnswerInTime { waited: self.limit() }
    }

    /// Takes in how a beat ended. One that failed for now is kept in mind until the next one.
    ///
    /// # Errors
    /// That of the beat, if it is to be the last one: the batch is lost, or the error will stay, such as a missing right or a
    /// database without PgQ.
    pub fn ended(&mut self, beat: Result<()>) -> Result<()> {
        self.trouble = match beat {
            Err(error) if matches!(error, Error::BatchLost { .. }) || !error.is_transient() => {
                return Err(error);
            }
            beat => beat.err(),
        };
        Ok(())
    }

    /// How the heartbeat stands when it is ended from outside.
    ///
    /// # Errors
    /// That of the last beat, if it failed.
    pub fn stop(self) -> Result<()> {
        self.trouble.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchId;

    fn overdue() -> Result<()> {
        Err(Beats::new(Duration::ZERO).overdue())
    }

    #[test]
    fn limit_is_not_shorter_than_the_pause() {
        for (every, pause, limit) in [(0, 100, 5_000), (200, 200, 5_000), (60_000, 60_000, 60_000)] {
            let beats = Beats::new(Duration::from_millis(every));
            assert_eq!(beats.every(), Duration::from_millis(pause));
            assert_eq!(beats.limit(), Duration::from_millis(limit));
        }
    }

    #[test]
    fn the_last_error_counts() {
        let mut beats = Beats::new(Duration::ZERO);
        beats.ended(overdue()).unwrap();
        beats.ended(Ok(())).unwrap();
        beats.ended(overdue()).unwrap();
        assert!(matches!(beats.stop(), Err(Error::NoAnswerInTime { .. })));

        let mut beats = Beats::new(Duration::ZERO);
        beats.ended(overdue()).unwrap();
        beats.ended(Ok(())).unwrap();
        beats.stop().unwrap();
    }

    #[test]
    fn ends_by_what_stays() {
        let mut beats = Beats::new(Duration::ZERO);
        let lost = Error::BatchLost { queue: "q".into(), consumer: "c".into(), batch: BatchId(1) };
        assert!(matches!(beats.ended(Err(lost)), Err(Error::BatchLost { .. })));
        let refused = Error::InvalidValue { name: "x", value: "y".into(), reason: "z" };
        assert!(beats.ended(Err(refused)).is_err());
    }
}
