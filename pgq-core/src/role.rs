use std::fmt;

/// A role that PgQ's functions are granted to. Grant one with ``GRANT pgq_reader TO my_user``.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Everybody may call it.
    Public,
    /// `pgq_reader`: consumes.
    Reader,
    /// `pgq_writer`: produces.
    Writer,
    /// `pgq_admin`: runs the ticker, maintains and configures; is a member of the other two.
    Admin,
}

impl Role {
    /// The name of the role in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Reader => "pgq_reader",
            Self::Writer => "pgq_writer",
            Self::Admin => "pgq_admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
