//! Limits for the connection of a ticker, where the caller's configuration has none.

use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
const APPLICATION: &str = "pgq ticker";

/// Only to a server that can be written to: on another one nothing can be ticked.
#[cfg(feature = "sync")]
pub(crate) fn sync(mut config: pgq_sync::postgres::Config) -> pgq_sync::postgres::Config {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
    config.keepalives_idle(UNACKNOWLEDGED);
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
    config.keepalives_idle(UNACKNOWLEDGED);
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION);
    }
    config.target_session_attrs(pgq_async::tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    config
}
