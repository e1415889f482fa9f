use std::fmt;

use serde::Deserialize;

/// What was done to the table.
///
/// Nothing will be added: PostgreSQL fires triggers for these four and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Op {
    /// A row was inserted.
    Insert,
    /// A row was updated, also if it is the same as before, and also by `INSERT ... ON CONFLICT DO UPDATE`.
    Update,
    /// A row was deleted.
    Delete,
    /// All rows of the table were removed at once.
    Truncate,
}

impl Op {
    pub(super) fn from_letter(letter: &str) -> Option<Self> {
        match letter {
            "I" => Some(Self::Insert),
            "U" => Some(Self::Update),
            "D" => Some(Self::Delete),
            "R" => Some(Self::Truncate),
            _ => None,
        }
    }
}

/// Writes the SQL command, as `TG_OP` does: `INSERT`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        })
    }
}
