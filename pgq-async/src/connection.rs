use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pgq_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, Socket};

/// Makes connections, and cancels what runs on them.
#[derive(Clone)]
pub(crate) struct Dial(Arc<dyn Dialling>);

/// A client and the line that its statements go over.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) line: Line,
}

/// The network side of a client. What waits for an answer is to be [driven](Self::drive) by it.
pub(crate) struct Line {
    /// Until its end: what waits for an answer learns of that when it is dropped.
    connection: Option<Box<dyn Messages>>,
    error: Option<tokio_postgres::Error>,
    heard: Vec<String>,
}

trait Dialling: Send + Sync {
    fn connect(&self) -> BoxFuture<'_, Result<Link, tokio_postgres::Error>>;

    fn cancel(&self, token: CancelToken) -> BoxFuture<'_, ()>;
}

struct By<T> {
    config: Config,
    tls: T,
}

#[cfg(feature = "fault-points")]
struct Over<F> {
    config: Config,
    streams: F,
}

/// A connection, whatever it runs over.
trait Messages: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>;
}

impl Dial {
    const CONNECT_LIMIT: Duration = Duration::from_secs(15);
    const CANCEL_LIMIT: Duration = Duration::from_secs(1);

    pub(crate) fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Self(Arc::new(By { config, tls }))
    }

    /// Over streams that come from there.
    #[cfg(feature = "fault-points")]
    pub(crate) fn over<F, S>(config: Config, streams: F) -> Self
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self(Arc::new(Over { config, streams }))
    }

    pub(crate) async fn connect(&self) -> Result<Link> {
        Ok(limited(Self::CONNECT_LIMIT, self.0.connect()).await??)
    }

    /// Asks the server to end the statement that runs now, if one does. Whether it is done shows in the statement.
    pub(crate) async fn cancel(&self, token: CancelToken) {
        let _ = timeout(Self::CANCEL_LIMIT, self.0.cancel(token)).await;
    }
}

impl<T> Dialling for By<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self) -> BoxFuture<'_, Result<Link, tokio_postgres::Error>> {
        let connected = self.config.connect(self.tls.clone());
        let link = |(client, connection)| Link { client, line: Line::new(connection) };
        connected.map(move |connected| connected.map(link)).boxed()
    }

    fn cancel(&self, token: CancelToken) -> BoxFuture<'_, ()> {
        let tls = self.tls.clone();
        async move { drop(token.cancel_query(tls).await) }.boxed()
    }
}

#[cfg(feature = "fault-points")]
impl<F, S> Dialling for Over<F>
where
    F: Fn() -> S + Send + Sync,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect(&self) -> BoxFuture<'_, Result<Link, tokio_postgres::Error>> {
        let link = |(client, connection)| Link { client, line: Line::new(connection) };
        let stream = (self.streams)();
        let connected = self.config.connect_raw(stream, tokio_postgres::NoTls);
        connected.map(move |connected| connected.map(link)).boxed()
    }

    fn cancel(&self, token: CancelToken) -> BoxFuture<'_, ()> {
        let stream = (self.streams)();
        async move { drop(token.cancel_query_raw(stream, tokio_postgres::NoTls).await) }.boxed()
    }
}

impl<S, T> Messages for Connection<S, T>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>> {
        self.poll_message(cx)
    }
}

impl Link {
    const CLOSE_LIMIT: Duration = Duration::from_secs(1);

    /// Says good-bye to the server, which takes that for more orderly than a connection that breaks.
    pub(crate) async fn close(self) {
        let Self { client, mut line } = self;
        drop(client);
        let _ = timeout(Self::CLOSE_LIMIT, line.ended()).await;
    }
}

impl Line {
    fn new<S, T>(connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self { connection: Some(Box::new(connection)), error: None, heard: Vec::new() }
    }

    /// Carries what the work says to the server, and the answers back, until the work is done. All of it goes with this future.
    pub(crate) async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.carry(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Waits for the end of the connection.
    pub(crate) async fn ended(&mut self) {
        poll_fn(|cx| {
            self.carry(cx);
            if self.has_ended() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits for a notification, or the end of the connection.
    pub(crate) async fn news(&mut self) {
        poll_fn(|cx| {
            self.carry(cx);
            if self.has_ended() || !self.heard.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The notifications that came, each text once.
    pub(crate) fn take_heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    /// Whether the connection is at its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.is_none()
    }

    /// What the connection ended with, once: what the server said at last tells more than that it is gone.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take().map(Error::from)
    }

    fn carry(&mut self, cx: &mut Context<'_>) {
        while let Some(connection) = &mut self.connection {
            match connection.poll(cx) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(news)))) => self.hear(news.payload()),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => (self.connection, self.error) = (None, Some(error)),
                Poll::Ready(None) => self.connection = None,
                Poll::Pending => break,
            }
        }
    }

    fn hear(&mut self, payload: &str) {
        if !self.heard.iter().any(|heard| heard == payload) {
            self.heard.push(payload.to_owned());
        }
    }
}

/// The future's output, unless it takes too long: its connection is to be given up then.
pub(crate) async fn limited<F: Future>(limit: Duration, future: F) -> Result<F::Output> {
    timeout(limit, future).await.map_err(|_| Error::NoAnswerInTime { waited: limit })
}
