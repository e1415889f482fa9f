use std::fmt;

/// A piece of SQL that a trigger evaluates for every changed row.
///
/// It is code, run with the rights of whoever changes the row: never make it from user input. A value that must get into it passes
/// through [`quote::literal`](crate::quote::literal).
///
/// Columns are written bare and exactly as they are called: `txt` is the new value of column `txt` (the old one in a DELETE), and
/// `Mixed` is a column `"Mixed"`. PgQ's C triggers know neither `new.txt` and `old.txt` nor names in double quotes, and find out
/// when the first row is changed. Strings, subqueries and function calls work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Expression(String);

impl Expression {
    /// Takes SQL, such as `price > 100` or `'order:' || id`. It is not looked at before the server does.
    pub fn sql(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
