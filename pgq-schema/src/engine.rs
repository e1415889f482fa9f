use std::fmt;

/// What stands behind schema `pgq`. Both have the same functions, so programs work alike on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The extension of the server's packages, partly in C. To create it takes a superuser, as a rule.
    Extension,
    /// Plain SQL and PL/pgSQL of this library. Takes no superuser and nothing that is not in PostgreSQL 14.
    Portable,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extension => "the extension",
            Self::Portable => "the portable engine",
        })
    }
}
