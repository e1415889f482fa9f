use crate::error::Error;

/// Turns [`Error::Unavailable`] into `None`, and prints what it says, for tests that are skipped then.
///
/// # Errors
/// All others.
///
/// # Example
/// ```no_run
/// # fn main() -> Result<(), pgq_testkit::Error> {
/// use pgq_testkit::{PgBouncer, Server, available};
///
/// let Some(bouncer) = available(PgBouncer::before(Server::shared()?))? else { return Ok(()) };
/// # Ok(())
/// # }
/// ```
pub fn available<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ Error::Unavailable { .. }) => {
            println!("skipped: {error:?}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
