use std::path::PathBuf;
use std::{fmt, io};

/// Says why a throw-away server or database could not be had, and what to do about it.
///
/// The cause, where there is one, is in [`source`](std::error::Error::source) and not repeated in the message. `Debug` has both: it is
/// what `unwrap` in a test, and `?` in a `main`, show.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder with both `initdb` and `postgres` was found.
    #[error(
        "no PostgreSQL server binaries found in {}; install them \
         (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), \
         or set PGQ_TEST_PG_BIN to the folder of initdb and postgres, \
         or set PGQ_TEST_DATABASE to use a running server",
        list(.looked_in)
    )]
    #[non_exhaustive]
    NoBinaries {
        /// The folders that were looked at.
        looked_in: Vec<PathBuf>,
    },

    /// `PGQ_TEST_PG_BIN` names a folder without `initdb` or `postgres`.
    #[error(
        "PGQ_TEST_PG_BIN is {}, which has no {missing}; set it to the folder of initdb and postgres, or unset it",
        .folder.display()
    )]
    #[non_exhaustive]
    WrongBinaries {
        /// The folder that the variable names.
        folder: PathBuf,
        /// The program that is not there.
        missing: &'static str,
    },

    /// The tests run as root, which PostgreSQL refuses, and there is no other account to run it under.
    #[error(
        "PostgreSQL refuses to run as root and /etc/passwd has no account postgres or nobody; add one, or run as another user"
    )]
    NoAccount,

    /// `initdb` failed.
    #[error("initdb failed: {stderr}")]
    #[non_exhaustive]
    Initdb {
        /// The end of what it wrote to its standard error.
        stderr: String,
    },

    /// The server ended, or did not accept connections in time.
    #[error("the PostgreSQL server did not start; check the settings asked for; the end of its log: {log}")]
    #[non_exhaustive]
    Start {
        /// The end of its log.
        log: String,
    },

    /// The server did not stop in time.
    #[error("the PostgreSQL server did not stop in time; the end of its log: {log}")]
    #[non_exhaustive]
    Stop {
        /// The end of its log.
        log: String,
    },

    /// The server has no files of the `pgq` extension.
    #[error(
        "the PostgreSQL {version} server has no pgq extension; install postgresql-{version}-pgq3 \
         (Debian, Ubuntu, PGDG), elsewhere pgq from its sources, or take the portable engine"
    )]
    #[non_exhaustive]
    NoExtension {
        /// The server's major version.
        version: u32,
        /// What the server said.
        source: postgres::Error,
    },

    /// `PGQ_TEST_ENGINE` is not an engine.
    #[error("PGQ_TEST_ENGINE is {value:?}; set it to portable or extension, or unset it")]
    #[non_exhaustive]
    WrongEngine {
        /// What it is set to.
        value: String,
    },

    /// The server was not started here, so it cannot be stopped, killed or started here.
    #[error(
        "the server that PGQ_TEST_DATABASE names is not ours to stop or start; use Server::start() for that"
    )]
    NotOwned,

    /// `PGQ_TEST_DATABASE` is not a connection string.
    #[error(
        "PGQ_TEST_DATABASE is not a connection string; write it like host=/run/postgresql user=me dbname=postgres"
    )]
    #[non_exhaustive]
    Conninfo {
        /// What is wrong with it.
        source: postgres::Error,
    },

    /// This machine has no program or no right for that; [`available`](crate::available()) skips the test then.
    #[error("this machine cannot do that: {why}")]
    #[non_exhaustive]
    Unavailable {
        /// What is missing.
        why: String,
    },

    /// A program that the tests were to use failed.
    #[error("{program} failed: {output}")]
    #[non_exhaustive]
    Program {
        /// The program.
        program: &'static str,
        /// The end of what it wrote.
        output: String,
    },

    /// The server refused a connection or a statement.
    #[error("could not {doing}")]
    #[non_exhaustive]
    Database {
        /// What was being done.
        doing: String,
        /// What the server or the connection said.
        source: postgres::Error,
    },

    /// The operating system refused something.
    #[error("could not {doing}")]
    #[non_exhaustive]
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
