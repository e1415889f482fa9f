use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::account::Account;
use crate::client;
use crate::directory;
use crate::error::Error;
use crate::program;
use crate::server::Server;
use crate::sql;
use crate::watchdog::Watchdog;

/// A file system of a few megabytes in memory, for tests of what happens when it is full.
///
/// It takes root on Linux to mount one. Dropping it unmounts it, and so does a watchdog when the test's process
/// ends without that.
#[derive(Debug)]
pub struct SmallDisk {
    watchdog: Watchdog,
    account: Option<Account>,
    // After the watchdog, which empties it and must be gone first.
    directory: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many megabytes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it cannot be mounted, [`Error::NoAccount`] and [`Error::Io`].
    ///
    /// # Example
    /// A table that cannot grow, while all others can:
    /// ```no_run
    /// # fn main() -> Result<(), pgq_testkit::Error> {
    /// use pgq_testkit::{Server, SmallDisk, available};
    ///
    /// let Some(disk) = available(SmallDisk::megabytes(4))? else { return Ok(()) };
    /// let server = Server::start()?;
    /// let tablespace = disk.tablespace(&server)?;
    /// let statement = format!("CREATE TABLE small (data text) TABLESPACE {tablespace}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn megabytes(size: u32) -> Result<Self, Error> {
        let directory = directory::make().map_err(Error::io("make a temporary directory"))?;
        let mut watchdog = Watchdog::start(directory.path()).map_err(Error::io("run /bin/sh"))?;
        watchdog.mounted().map_err(Error::io("tell the watchdog about the disk"))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m,mode=0700"), "pgq-testkit"]);
        mount.arg(directory.path());
        program::run(mount, "mount").map_err(|error| Error::Unavailable {
            why: format!("it takes root on Linux to mount a disk: {error:?}"),
        })?;
        let account = Account::take_over(directory.path())?;
        Ok(Self { watchdog, account, directory })
    }

    /// Where it is mounted. It belongs to the account that servers run under.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a tablespace of a server on it, and tells its name, for `CREATE TABLE .. TABLESPACE` and the like.
    ///
    /// # Errors
    /// [`Error::NotOwned`] where the server was not started here, [`Error::Io`] and [`Error::Database`].
    pub fn tablespace(&self, server: &Server) -> Result<String, Error> {
        drop(server.cluster()?);
        let name = format!("small_{:08x}", fastrand::u32(..));
        let folder = self.path().join(&name);
        fs::create_dir(&folder).map_err(Error::io("make the tablespace's folder"))?;
        if let Some(account) = self.account {
            account.owns(&folder)?;
        }
        let location = sql::literal(&folder.to_string_lossy());
        let statement = format!("CREATE TABLESPACE {} LOCATION {location}", sql::identifier(&name));
        client::with(server.config(), "make a tablespace", |client| client.batch_execute(&statement))?;
        Ok(name)
    }

    /// Takes all the room that is left: who writes next gets "no space left on device", a server's clients SQLSTATE 53100.
    ///
    /// Files that are there keep the room they have, so a table may yet take some rows in its last page.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn fill(&self) -> Result<(), Error> {
        let doing = || "fill the disk".to_owned();
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.filling()).map_err(Error::io(doing()))?;
        let page = [0; 4096];
        loop {
            match file.write(&page) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(Error::io(doing())(error)),
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn free(&self) -> Result<(), Error> {
        match fs::remove_file(self.filling()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("free the disk")(error)),
            _ => Ok(()),
        }
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.watchdog.release();
    }
}
