use std::fmt;

/// What is there of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A schema with nothing in it, which somebody with more rights may have made for us.
    Empty,
    /// An extension of the schema's name.
    #[non_exhaustive]
    Extension {
        /// Its version, such as `3.5`.
        version: String,
    },
    /// The portable one of this library.
    #[non_exhaustive]
    Portable {
        /// Its release.
        release: i32,
    },
    /// Something of this name that neither an extension nor this library made, such as an SQL-only script of PgQ.
    Unknown,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Empty => f.write_str("an empty schema"),
            Self::Extension { version } => write!(f, "the extension, version {version}"),
            Self::Portable { release } => write!(f, "the portable engine, release {release}"),
            Self::Unknown => f.write_str("something of unknown origin"),
        }
    }
}
