use std::time::Duration;

use crate::{Error, Result};

/// Changes the configuration of a queue: only what is set here, the rest stays as it is.
///
/// The defaults in the docs are those of a new queue.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use pgq_core::QueueConfig;
///
/// # fn main() -> pgq_core::Result<()> {
/// let config = QueueConfig::new().ticker_max_lag(Duration::from_millis(500)).ticker_max_count(2_000);
/// assert_eq!(
///     config.settings()?,
///     [("ticker_max_count", "2000".to_owned()), ("ticker_max_lag", "0.5 seconds".to_owned())]
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct QueueConfig {
    ticker_max_count: Option<u32>,
    ticker_max_lag: Option<Duration>,
    ticker_idle_period: Option<Duration>,
    ticker_paused: Option<bool>,
    rotation_period: Option<Duration>,
    external_ticker: Option<bool>,
}

impl QueueConfig {
    /// Starts with nothing to change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ticks as soon as so many events are new (default: 500). At least 1.
    pub fn ticker_max_count(mut self, events: u32) -> Self {
        self.ticker_max_count = Some(events);
        self
    }

    /// Ticks when there are new events and the last tick is this old (default: 3 seconds). Zero: whenever there are new events.
    pub fn ticker_max_lag(mut self, lag: Duration) -> Self {
        self.ticker_max_lag = Some(lag);
        self
    }

    /// Ticks at least this often when nothing happens, after ever longer pauses (default: 1 minute). Zero: after
    /// every half of `ticker_max_lag`.
    pub fn ticker_idle_period(mut self, period: Duration) -> Self {
        self.ticker_idle_period = Some(period);
        self
    }

    /// Stops or resumes the ticks (default: they run). Without ticks, consumers get no new batches.
    pub fn ticker_paused(mut self, paused: bool) -> Self {
        self.ticker_paused = Some(paused);
        self
    }

    /// Switches to the next event table this often (default: 2 hours), and empties the oldest one then, once all consumers are
    /// through with it. Zero: at every maintenance.
    pub fn rotation_period(mut self, period: Duration) -> Self {
        self.rotation_period = Some(period);
        self
    }

    /// Takes the ticks from elsewhere, with their ids (default: no), as a replica of a queue in another database does. The local
    /// ticker then leaves the queue alone.
    pub fn external_ticker(mut self, external: bool) -> Self {
        self.external_ticker = Some(external);
        self
    }

    /// Gives what is set, as names and values for `pgq.set_queue_config`: one call of it for each.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for what the server takes without a word and trips over later: a count of zero, or so large that
    /// `pgq.force_tick` overflows, and durations over ten years.
    pub fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let settings = [
            ("ticker_max_count", self.ticker_max_count.map(count).transpose()?),
            ("ticker_max_lag", interval("ticker_max_lag", self.ticker_max_lag)?),
            ("ticker_idle_period", interval("ticker_idle_period", self.ticker_idle_period)?),
            ("ticker_paused", self.ticker_paused.map(|paused| paused.to_string())),
            ("rotation_period", interval("rotation_period", self.rotation_period)?),
            ("external_ticker", self.external_ticker.map(|external| external.to_string())),
        ];
        Ok(settings.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

fn count(events: u32) -> Result<String> {
    let reason = match events {
        0 => "at least one event must be new for a tick",
        TOO_MANY.. => "`pgq.force_tick` reckons with twice the count, in 32 bits",
        _ => return Ok(events.to_string()),
    };
    Err(Error::InvalidValue { name: "ticker_max_count", value: events.to_string(), reason })
}

fn interval(name: &'static str, duration: Option<Duration>) -> Result<Option<String>> {
    let Some(duration) = duration else { return Ok(None) };
    if duration > MAX_DURATION {
        let value = format!("{} seconds", duration.as_secs());
        return Err(Error::InvalidValue {
            name,
            value,
            reason: "it is over ten years: is it in another unit?",
        });
    }
    let seconds = format!("{}.{:06}", duration.as_secs(), duration.subsec_micros());
    Ok(Some(format!("{} seconds", seconds.trim_end_matches('0').trim_end_matches('.'))))
}

/// The first count that makes `count * 2 + 1000` too large for an `int4`.
const TOO_MANY: u32 = (i32::MAX as u32 - 1000) / 2 + 1;

const MAX_DURATION: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(duration: Duration) -> String {
        QueueConfig::new().ticker_max_lag(duration).settings().unwrap().remove(0).1
    }

    #[test]
    fn only_what_is_set_is_changed() {
        assert_eq!(QueueConfig::new().settings().unwrap(), []);
        let config = QueueConfig::new().external_ticker(true).ticker_paused(false);
        assert_eq!(
            config.settings().unwrap(),
            [("ticker_paused", "false".to_owned()), ("external_ticker", "true".to_owned())]
        );
        let all = config.ticker_max_count(1).ticker_max_lag(Duration::from_secs(2));
        let all = all.ticker_idle_period(Duration::from_secs(3)).rotation_period(Duration::from_secs(4));
        assert_eq!(
            all.settings().unwrap(),
            [
                ("ticker_max_count", "1".to_owned()),
                ("ticker_max_lag", "2 seconds".to_owned()),
                ("ticker_idle_period", "3 seconds".to_owned()),
                ("ticker_paused", "false".to_owned()),
                ("rotation_period", "4 seconds".to_owned()),
                ("external_ticker", "true".to_owned()),
            ]
        );
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(lag(Duration::ZERO), "0 seconds");
        assert_eq!(lag(Duration::from_millis(3_500)), "3.5 seconds");
        assert_eq!(lag(Duration::from_secs(7_200)), "7200 seconds");
        assert_eq!(lag(Duration::from_micros(1)), "0.000001 seconds");
        assert_eq!(lag(Duration::new(100, 20_000_999)), "100.02 seconds");
        assert_eq!(lag(MAX_DURATION), "315360000 seconds");
    }

    #[test]
    fn absurd_durations_are_refused() {
        let long = MAX_DURATION + Duration::from_nanos(1);
        for (config, name) in [
            (QueueConfig::new().ticker_max_lag(long), "ticker_max_lag"),
            (QueueConfig::new().ticker_idle_period(long), "ticker_idle_period"),
            (QueueConfig::new().rotation_period(Duration::MAX), "rotation_period"),
        ] {
            let problem = config.settings().unwrap_err().to_string();
            assert!(problem.starts_with(&format!("{name} cannot be ")), "{problem}");
            assert!(problem.ends_with(" seconds: it is over ten years: is it in another unit?"), "{problem}");
        }
    }

    #[test]
    fn counts_fit_what_pgq_does_with_them() {
        let settings = |count| QueueConfig::new().ticker_max_count(count).settings();
        for count in [0, TOO_MANY, u32::MAX] {
            assert!(
                settings(count)
                    .unwrap_err()
                    .to_string()
                    .starts_with(&format!("ticker_max_count cannot be {count}: "))
            );
        }
        assert_eq!(settings(1_073_741_323).unwrap(), [("ticker_max_count", "1073741323".to_owned())]);
        assert!(settings(1_073_741_324).is_err());
    }
}
