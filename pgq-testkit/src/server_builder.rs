use std::path::PathBuf;

use crate::error::Error;
use crate::server::Server;
use crate::small_disk::SmallDisk;

/// Says how a throw-away server is to differ from the usual one; made by [`Server::builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until start() is called"]
pub struct ServerBuilder {
    pub(crate) tcp: bool,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) parent: Option<PathBuf>,
    /// Where the server is that this one is to follow.
    pub(crate) copy_of: Option<String>,
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

    /// Keeps the server's files on a small disk, which takes some 80 MB; the disk has to be dropped after the server.
    ///
    /// What happens on a full disk depends on what is on it: the log of changes is there too, and the server ends
    /// when that cannot be written. [`SmallDisk::tablespace`] is for tables alone.
    pub fn disk(mut self, disk: &SmallDisk) -> Self {
        self.parent = Some(disk.path().to_owned());
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
