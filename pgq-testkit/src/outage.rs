use std::thread;
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::client;
use crate::cluster::{PATIENCE, POLL};
use crate::error::Error;
use crate::processes::Signal;
use crate::server::Server;

/// How [`Server::restart`] stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// Rolls back what is open, disconnects everybody and writes all to disk.
    Fast,
    /// Drops everything as it is, so that the next start has to recover.
    Immediate,
}

/// How a server goes away and comes back.
impl Server {
    /// Kills every process of the server with SIGKILL, as the out-of-memory killer or a power cut would.
    ///
    /// Returns when none is left. What was committed survives; [`Server::start_again`] recovers it.
    /// Does nothing when the server is down.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, [`Error::Stop`] and [`Error::Io`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::start()?;
    /// let database = server.database()?;
    /// server.kill()?;
    /// server.start_again()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(&self) -> Result<(), Error> {
        self.cluster()?.kill()
    }

    /// Starts the server again after [`Server::kill`], at the same address with the same data.
    ///
    /// Returns when it takes connections. Does nothing when the server runs.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, [`Error::Start`] and [`Error::Io`].
    pub fn start_again(&self) -> Result<(), Error> {
        self.cluster()?.start()
    }

    /// Stops the server and starts it again at the same address with the same data.
    ///
    /// Disconnects everybody; returns when the server takes connections again.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, [`Error::Stop`], [`Error::Start`] and [`Error::Io`].
    pub fn restart(&self, how: Shutdown) -> Result<(), Error> {
        let mut cluster = self.cluster()?;
        cluster.stop(match how {
            Shutdown::Fast => Signal::Interrupt,
            Shutdown::Immediate => Signal::Quit,
        })?;
        cluster.start()
    }

    /// Starts the server again like [`Server::start_again`], without waiting.
    ///
    /// [`Server::wait_until_accepting`] does that, so that a test can look at what happens before, and take the time.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, and [`Error::Io`].
    pub fn launch(&self) -> Result<(), Error> {
        self.cluster()?.launch()
    }

    /// Waits until the server takes connections, and tells how long that took.
    ///
    /// Connects again and again, every few milliseconds, and so takes a session for a moment.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here; [`Error::Start`] where it is down, or does not
    /// take connections within a minute.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::start()?;
    /// server.kill()?;
    /// server.launch()?;
    /// println!("recovered within {:?}", server.wait_until_accepting()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_accepting(&self) -> Result<Duration, Error> {
        let start = Instant::now();
        while client::off_runtime(|| self.config().connect(NoTls)).is_err() {
            let mut cluster = self.cluster()?;
            if cluster.has_ended() || start.elapsed() > PATIENCE {
                return Err(Error::Start { log: cluster.log() });
            }
            drop(cluster);
            thread::sleep(POLL);
        }
        Ok(start.elapsed())
    }

    /// Stops every process of the server where it stands, by SIGSTOP, until the guard is dropped.
    ///
    /// Connections stay open and nothing answers, as on a machine that hangs. New connections are made by the
    /// operating system, and hang as well.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, and [`Error::Io`].
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::start()?;
    /// let paused = server.pause()?;
    /// // Nothing answers now.
    /// drop(paused);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self) -> Result<Paused<'_>, Error> {
        let paused = Paused { server: self };
        self.cluster()?.pause()?;
        Ok(paused)
    }
}

/// A server that stands still, until this is dropped; made by [`Server::pause`].
///
/// [`Server::kill`], [`Server::restart`] and the drop of the server work all the same.
#[derive(Debug)]
#[must_use = "the server goes on when this is dropped"]
pub struct Paused<'s> {
    server: &'s Server,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let _ = self.server.cluster().and_then(|mut cluster| cluster.resume());
    }
}
