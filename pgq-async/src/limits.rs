use pgq_core::limits::{CONNECT, PROBE, PROBES, UNACKNOWLEDGED};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

/// Only to a server that can be written to, and with limits and a name where the caller has set none.
pub fn with_limits(mut config: Config, application: &str) -> Config {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
    config.keepalives_idle(config.get_keepalives_idle().min(UNACKNOWLEDGED));
    config.keepalives_interval(config.get_keepalives_interval().unwrap_or(PROBE));
    config.keepalives_retries(config.get_keepalives_retries().unwrap_or(PROBES));
    if config.get_application_name().is_none() {
        config.application_name(application);
    }
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config
}
