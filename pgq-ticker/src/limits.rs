//! Limits for the connection of a ticker, where the caller's configuration has none.

use std::time::Duration;

/// For how long a call may take, unless the caller says otherwise.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);

const CONNECT: Duration = Duration::from_secs(5);
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
const APPLICATION: &str = "pgq ticker";

/// For how long the server waits to be asked something before it ends the session of a ticker that is gone without a word.
pub(crate) fn silence(answer: Duration) -> Duration {
    answer / 4
}

/// For how long to wait for an answer: a little longer than the server works on one, whose error says more.
#[cfg(feature = "async")]
pub(crate) fn patience(answer: Duration) -> Duration {
    answer.saturating_add(answer / 6)
}

/// Only to a server that can be written to: on another one nothing can be ticked.
#[cfg(feature = "sync")]
pub(crate) fn sync(mut config: pgq_sync::postgres::Config) -> pgq_sync::postgres::Config {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
    config.keepalives_idle(config.get_keepalives_idle().min(UNACKNOWLEDGED));
    config.keepalives_interval(config.get_keepalives_interval().unwrap_or(PROBE));
    config.keepalives_retries(config.get_keepalives_retries().unwrap_or(PROBES));
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION);
    }
    config.target_session_attrs(pgq_sync::postgres::config::TargetSessionAttrs::ReadWrite);
    config
}

/// Like [`sync`].
#[cfg(feature = "async")]
pub(crate) fn aio(mut config: pgq_async::tokio_postgres::Config) -> pgq_async::tokio_postgres::Config {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
    config.keepalives_idle(config.get_keepalives_idle().min(UNACKNOWLEDGED));
    config.keepalives_interval(config.get_keepalives_interval().unwrap_or(PROBE));
    config.keepalives_retries(config.get_keepalives_retries().unwrap_or(PROBES));
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION);
    }
    config.target_session_attrs(pgq_async::tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    config
}
