use crate::error::Error;
use crate::server::Server;

/// Says how a throw-away server is to differ from the usual one; made by [`Server::builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until start() is called"]
pub struct ServerBuilder {
    pub(crate) tcp: bool,
    pub(crate) settings: Vec<(String, String)>,
}

impl ServerBuilder {
    /// Listens on a free port of 127.0.0.1 as well, which [`Server::tcp_addr`] then tells.
    ///
    /// Anybody on this machine may then connect without a password.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Gives a server setting another value; a later one of the same name wins, and all win over ours.
    ///
    /// Ours are `fsync=off`, `full_page_writes=off`, `max_connections=200`, `log_checkpoints=off` and
    /// `dynamic_shared_memory_type=mmap`.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// let server = pgq_testkit::Server::builder().setting("max_prepared_transactions", "10").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Like [`Server::start`], with what was asked for.
    ///
    /// # Errors
    /// Like [`Server::start`]; [`Error::Start`] also where the server does not know a setting or its value.
    pub fn start(self) -> Result<Server, Error> {
        Server::start_with(self)
    }
}
