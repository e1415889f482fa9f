use std::fmt;

use crate::files::{self, File};

/// One of the schemas of PgQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Schema {
    /// `pgq`: queues, their events, ticks and consumers. This is the one that an [`Engine`](crate::Engine) stands for.
    Pgq,
    /// `pgq_coop`: several subconsumers that share the batches of one consumer. Needs [`Schema::Pgq`], of either engine.
    PgqCoop,
    /// `pgq_ext`: what consumers have done in this database, for those whose queue is in another one. Needs nothing else.
    PgqExt,
    /// `pgq_dead`: the events that consumers gave up. Needs [`Schema::Pgq`], of either engine. Only installed where it is asked for.
    PgqDead,
}

impl Schema {
    /// All of them, in the order in which they are installed.
    pub const ALL: [Self; 4] = [Self::Pgq, Self::PgqCoop, Self::PgqExt, Self::PgqDead];

    /// Those that PgQ consists of everywhere: what a [`Setup`](crate::Setup) is about, unless it is told otherwise.
    pub const USUAL: [Self; 3] = [Self::Pgq, Self::PgqCoop, Self::PgqExt];

    /// The name of the schema in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pgq => "pgq",
            Self::PgqCoop => "pgq_coop",
            Self::PgqExt => "pgq_ext",
            Self::PgqDead => "pgq_dead",
        }
    }

    /// The schema of this name, if it is one of these.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// The release that this library installs: what `portable_release()` of the schema returns then.
    pub fn release(self) -> i32 {
        match self {
            Self::Pgq | Self::PgqCoop | Self::PgqExt | Self::PgqDead => 1,
        }
    }

    /// The schema that it does not work without.
    pub(crate) fn needs(self) -> Option<Self> {
        match self {
            Self::PgqCoop | Self::PgqDead => Some(Self::Pgq),
            Self::Pgq | Self::PgqExt => None,
        }
    }

    pub(crate) fn files(self) -> &'static [File] {
        match self {
            Self::Pgq => files::PGQ,
            Self::PgqCoop => files::PGQ_COOP,
            Self::PgqExt => files::PGQ_EXT,
            Self::PgqDead => files::PGQ_DEAD,
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
