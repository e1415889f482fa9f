use std::sync::Arc;
use std::time::Duration;

use postgres::config::TargetSessionAttrs;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{CancelToken, Client, Config, Socket};

/// Makes connections, and cancels what runs on them.
#[derive(Clone)]
pub(crate) struct Dial(Arc<dyn Dialling>);

trait Dialling: Send + Sync {
    fn connect(&self, limit: Option<Duration>) -> Result<Client, postgres::Error>;

    fn cancel(&self, token: &CancelToken);
}

struct By<T> {
    config: Config,
    tls: T,
}

impl Dial {
    pub(crate) fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Self(Arc::new(By { config, tls }))
    }

    pub(crate) fn connect(&self) -> Result<Client, postgres::Error> {
        self.0.connect(None)
    }

    /// Like [`connect`](Self::connect), with this for a limit where the configuration has none.
    pub(crate) fn connect_within(&self, limit: Duration) -> Result<Client, postgres::Error> {
        self.0.connect(Some(limit))
    }

    /// Asks the server to end the statement that runs now, if one does. Whether it is done shows in the statement.
    pub(crate) fn cancel(&self, token: &CancelToken) {
        self.0.cancel(token);
    }
}

impl<T> Dialling for By<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self, limit: Option<Duration>) -> Result<Client, postgres::Error> {
        let mut config = self.config.clone();
        if let Some(limit) = limit {
            config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(limit));
            config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(limit));
        }
        config.connect(self.tls.clone())
    }

    fn cancel(&self, token: &CancelToken) {
        let _ = token.cancel_query(self.tls.clone());
    }
}

/// Only to a server that can be written to, and with limits where the caller has set none.
pub(super) fn with_limits(mut config: Config) -> Config {
    const CONNECT: Duration = Duration::from_secs(5);
    const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
    const PROBE: Duration = Duration::from_secs(5);
    const PROBES: u32 = 3;

    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
    config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
    config.keepalives_idle(config.get_keepalives_idle().min(UNACKNOWLEDGED));
    config.keepalives_interval(config.get_keepalives_interval().unwrap_or(PROBE));
    config.keepalives_retries(config.get_keepalives_retries().unwrap_or(PROBES));
    if config.get_application_name().is_none() {
        config.application_name("pgq worker");
    }
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config
}
