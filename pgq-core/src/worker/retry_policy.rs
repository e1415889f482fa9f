use std::time::Duration;

use super::unhandled::{Rules, Undecodable, UnknownType};
use super::{Failure, FailureKind, Outcome};
use crate::{Error, Event};

/// What becomes of an event that fails: it is retried after a pause that grows, and after so many deliveries it is given up.
///
/// PgQ counts the deliveries itself (`ev_retry`), so the count outlives the worker. It counts pauses in whole seconds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many times an event is delivered: 5. At least 1.
    pub attempts: u32,
    /// The pause after the first failure: 10 seconds. Each one doubles it. It is the ticker that moves an event whose time has come back into
    /// the queue, every 30 seconds by default (`retry_period`): a shorter pause may last that long.
    pub first: Duration,
    /// The longest pause: 1 hour.
    pub longest: Duration,
    /// By how much of itself a pause is made shorter or longer by chance, so that what failed together does not come together:
    /// 0.2. Between 0 and 1.
    pub jitter: f64,
    /// What becomes of an event that failed for the last time.
    pub exhausted: Exhausted,
}

/// What becomes of an event that failed as often as it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhausted {
    /// It becomes a dead letter. Takes the schema `pgq_dead`.
    #[default]
    DeadLetter,
    /// It goes on being retried, after the longest pause.
    Retry,
    /// The worker ends with [`Error::EventFailed`] or
    /// [`Error::BatchFailed`], and the batch stays open.
    Stop,
}

/// What is to be done about an event.
#[derive(Debug)]
#[must_use = "a verdict is to be carried out"]
pub enum Verdict {
    /// Nothing: it is done.
    Done,
    /// Have it delivered again. With what failed, unless the handler wished for it.
    Retry(Duration, Option<Failure>),
    /// Make it a dead letter.
    Dead(Failure),
    /// Roll back the batch, and do it again after a pause: the failure is the database's.
    Again(Failure),
    /// Roll back the batch, and do it again at once, with a savepoint before each event.
    Redo,
    /// End the worker.
    Stop(Failure),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_secs(10),
            longest: Duration::from_secs(3600),
            jitter: 0.2,
            exhausted: Exhausted::default(),
        }
    }
}

impl RetryPolicy {
    /// The default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many times an event is delivered.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the first and the longest pause.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Sets by how much of itself a pause is made shorter or longer by chance.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets what becomes of an event that failed for the last time.
    #[must_use]
    pub fn exhausted(mut self, exhausted: Exhausted) -> Self {
        self.exhausted = exhausted;
        self
    }

    /// The pause after the delivery that was number `attempt`, counted from 1; `chance` lies between 0 and 1.
    pub fn pause(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(30));
        let factor = 1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * chance - 1.0);
        let pause = doubled.min(self.longest).as_secs_f64() * factor;
        Duration::try_from_secs_f64(pause).unwrap_or(self.longest).min(NEVER)
    }

    /// Checks that each value makes sense.
    ///
    /// # Errors
    /// [`Error::InvalidValue`]
    pub(super) fn check(&self) -> crate::Result<()> {
        let Self { attempts, first, longest, jitter, .. } = self;
        let (name, value, reason) = if *attempts == 0 {
            (
                "RetryPolicy::attempts",
                attempts.to_string(),
                "an event is delivered once at least: set 1 to retry none",
            )
        } else if first > longest {
            (
                "the first of RetryPolicy::pauses",
                format!("{first:?}"),
                "it is over the longest one: they grow",
            )
        } else if !(0.0..=1.0).contains(jitter) {
            ("RetryPolicy::jitter", jitter.to_string(), "it is a part of the pause: set 0 to 1")
        } else {
            return Ok(());
        };
        Err(Error::InvalidValue { name, value, reason })
    }

    /// Judges what the delivery number `attempt` of an event came to.
    pub(super) fn judge(
        &self,
        attempt: u32,
        rules: Rules,
        handled: Result<Outcome, Failure>,
        chance: f64,
    ) -> Verdict {
        let failure = match handled {
            Ok(Outcome::Done) => return Verdict::Done,
            Ok(Outcome::Retry(after)) => return Verdict::Retry(after.min(NEVER), None),
            Ok(Outcome::Dead(reason)) => return Verdict::Dead(Failure::asked(reason)),
            Err(failure) => failure,
        };
        match (failure.kind(), rules.unknown, rules.undecodable) {
            (FailureKind::UnknownType, UnknownType::Finish, _) => return Verdict::Done,
            (FailureKind::UnknownType, UnknownType::DeadLetter, _)
            | (FailureKind::Decode, _, Undecodable::DeadLetter) => return Verdict::Dead(failure),
            (FailureKind::UnknownType, UnknownType::Stop, _)
            | (FailureKind::Decode, _, Undecodable::Stop) => {
                return Verdict::Stop(failure);
            }
            _ => {}
        }
        match self.exhausted {
            _ if attempt < self.attempts => Verdict::Retry(self.pause(attempt, chance), Some(failure)),
            Exhausted::DeadLetter => Verdict::Dead(failure),
            Exhausted::Retry => Verdict::Retry(self.pause(u32::MAX, chance), Some(failure)),
            Exhausted::Stop => Verdict::Stop(failure),
        }
    }
}

/// No pause is longer: clocks end somewhere, and adding to them would panic.
pub(super) const NEVER: Duration = Duration::from_secs(50 * 365 * 86_400);

/// The number of this delivery of the event, counted from 1.
pub(super) fn attempt(event: &Event) -> u32 {
    event.retry.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<Outcome, Failure> {
        Err(Failure::error("no"))
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::new().jitter(0.0);
        let pauses: Vec<_> =
            [1, 2, 3, 9, 10, 1000].map(|attempt| policy.pause(attempt, 0.5).as_secs()).to_vec();
        assert_eq!(pauses, [10, 20, 40, 2560, 3600, 3600]);
        let policy = policy.jitter(0.5);
        assert_eq!((policy.pause(1, 0.0).as_secs(), policy.pause(1, 1.0).as_secs()), (5, 15));
    }

    #[test]
    fn the_last_attempt_gives_up() {
        let policy = RetryPolicy::new().attempts(3);
        let judge = |policy: &RetryPolicy, attempt| policy.judge(attempt, Rules::default(), failed(), 0.5);
        assert!(matches!(judge(&policy, 2), Verdict::Retry(pause, Some(_)) if pause.as_secs() == 20));
        assert!(matches!(judge(&policy, 3), Verdict::Dead(_)));
        assert!(matches!(judge(&policy.clone().exhausted(Exhausted::Stop), 3), Verdict::Stop(_)));
        let forever = policy.exhausted(Exhausted::Retry);
        assert!(matches!(judge(&forever, 300), Verdict::Retry(pause, Some(_)) if pause.as_secs() == 3600));
    }

    #[test]
    fn no_pause_ends_after_all_clocks() {
        let policy = RetryPolicy::new().pauses(Duration::MAX, Duration::MAX);
        for jitter in [1.0, f64::NAN] {
            assert_eq!(policy.clone().jitter(jitter).pause(2, 0.9), NEVER);
        }
        let wish = Ok(Outcome::Retry(Duration::MAX));
        let verdict = policy.judge(1, Rules::default(), wish, 0.5);
        assert!(matches!(verdict, Verdict::Retry(NEVER, None)), "{verdict:?}");
    }

    #[test]
    fn a_wish_is_no_failure() {
        let policy = RetryPolicy::new().attempts(1);
        let wish = Ok(Outcome::Retry(Duration::from_secs(3)));
        assert!(matches!(policy.judge(9, Rules::default(), wish, 0.5), Verdict::Retry(_, None)));
    }

    #[test]
    fn unknown_types_follow_their_own_rule() {
        let policy = RetryPolicy::new();
        let rules = |unknown| Rules { unknown, ..Rules::default() };
        let judge = |unknown| policy.judge(1, rules(unknown), Err(Failure::unknown_type(None)), 0.5);
        assert!(matches!(judge(UnknownType::Finish), Verdict::Done));
        assert!(matches!(judge(UnknownType::DeadLetter), Verdict::Dead(_)));
        assert!(matches!(judge(UnknownType::Retry), Verdict::Retry(_, Some(_))));
        assert!(matches!(judge(UnknownType::Stop), Verdict::Stop(_)));
    }

    #[test]
    fn undecodable_payloads_follow_their_own_rule() {
        let policy = RetryPolicy::new();
        let judge = |undecodable| {
            let failure = Failure::decode(Error::TickerStopped);
            policy.judge(1, Rules { undecodable, ..Rules::default() }, Err(failure), 0.5)
        };
        assert!(matches!(judge(Undecodable::default()), Verdict::Dead(_)));
        assert!(matches!(judge(Undecodable::Retry), Verdict::Retry(_, Some(_))));
        assert!(matches!(judge(Undecodable::Stop), Verdict::Stop(_)));
        assert!(matches!(policy.judge(1, Rules::default(), failed(), 0.5), Verdict::Retry(..)));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let says = |policy: RetryPolicy| policy.check().map_err(|error| error.to_string());
        let minute = Duration::from_secs(60);
        assert_eq!(says(RetryPolicy::new().attempts(1).jitter(0.0).pauses(minute, minute)), Ok(()));
        assert_eq!(says(RetryPolicy::new().jitter(1.0).pauses(Duration::ZERO, Duration::ZERO)), Ok(()));
        for (policy, start) in [
            (RetryPolicy::new().attempts(0), "RetryPolicy::attempts cannot be 0: "),
            (RetryPolicy::new().jitter(-0.1), "RetryPolicy::jitter cannot be -0.1: "),
            (RetryPolicy::new().jitter(1.1), "RetryPolicy::jitter cannot be 1.1: "),
            (RetryPolicy::new().jitter(f64::NAN), "RetryPolicy::jitter cannot be NaN: "),
            (
                RetryPolicy::new().pauses(minute, minute / 2),
                "the first of RetryPolicy::pauses cannot be 60s: ",
            ),
        ] {
            let refused = says(policy).unwrap_err();
            assert!(refused.starts_with(start), "{refused}");
        }
    }
}
