use std::error::Error as StdError;
use std::time::Duration;

use super::Failure;

/// What became of an event, as its handler says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an outcome says what becomes of the event"]
pub enum Outcome {
    /// It is done.
    #[default]
    Done,
    /// It is to be handled again after that time, however often it was: a wish, not a failure. PgQ counts whole seconds.
    Retry(Duration),
    /// It is given up and becomes a dead letter, for this reason.
    Dead(String),
}

/// What a handler may return: `()`, an [`Outcome`], or a `Result` of one of them with any error that is `Send + Sync`:
/// `Box<dyn Error + Send + Sync>` rather than `Box<dyn Error>`. An error is a failure, and follows the
/// [`RetryPolicy`](super::RetryPolicy). In a closure with `?` the last line names the error: `Ok::<_, pgq_core::Error>(())`.
pub trait IntoOutcome {
    /// The outcome, or the failure.
    ///
    /// # Errors
    /// What the handler returned as an error.
    fn into_outcome(self) -> Result<Outcome, Failure>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<Outcome, Failure> {
        Ok(Outcome::Done)
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Result<Outcome, Failure> {
        Ok(self)
    }
}

impl<T, E> IntoOutcome for Result<T, E>
where
    T: IntoOutcome,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn into_outcome(self) -> Result<Outcome, Failure> {
        self.map_err(Failure::error)?.into_outcome()
    }
}
