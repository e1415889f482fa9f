//! The installed version of PgQ.

use crate::{Call, Role};

/// The version of PgQ, such as `3.5`; `None` where it was installed without `CREATE EXTENSION`. Wraps `pgq.version()`.
///
/// # Errors
/// [`Error::NotInstalled`](crate::Error::NotInstalled).
pub fn installed() -> Call<'static, Option<String>> {
    Call::new("pgq.version", Role::Public, "SELECT pgq.version()", |answer| answer.value())
}
