use std::sync::Arc;
use std::time::Duration;

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
