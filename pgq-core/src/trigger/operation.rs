/// A change of rows that a trigger can fire on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A row is inserted.
    Insert,
    /// A row is updated, also by `INSERT ... ON CONFLICT DO UPDATE`.
    Update,
    /// A row is deleted.
    Delete,
}

impl Operation {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}
