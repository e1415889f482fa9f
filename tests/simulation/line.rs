use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pgq_async::tokio_postgres::{Client, Config, Error, NoTls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bed::Bed;
use crate::server::{Heard, LineId};

/// A connection in memory: what is written runs at once, on the writer's thread.
pub(crate) struct Line {
    bed: Bed,
    id: LineId,
}

impl Bed {
    /// A line to the server.
    pub(crate) fn line(&self) -> Line {
        Line { bed: self.clone(), id: self.server().connect() }
    }

    /// Connects under a name; takes a `LocalSet`.
    pub(crate) async fn connect(&self, name: &str) -> Result<Client, Error> {
        let line = self.line();
        let mut config = Config::new();
        config.user("sim").dbname("sim").application_name(name);
        let (client, connection) = config.connect_raw(line, NoTls).await?;
        tokio::task::spawn_local(connection);
        Ok(client)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut server = self.bed.server();
        match server.send(self.id, buffer.remaining()) {
            Heard::Bytes(bytes) => buffer.put_slice(&bytes),
            Heard::End => {}
            Heard::Nothing => {
                server.wake(self.id, cx.waker().clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let is_open = self.bed.server().receive(self.id, bytes);
        Poll::Ready(if is_open { Ok(bytes.len()) } else { Err(io::ErrorKind::BrokenPipe.into()) })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bed.server().hang_up(self.id);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.bed.server().hang_up(self.id);
        }
    }
}
