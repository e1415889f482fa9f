use std::fmt;

use crate::{Error, quote};

/// Names a table in an SQL text. `Display` gives the quoted name.
///
/// # Example
///
/// ```
/// use pgq_core::Table;
///
/// assert_eq!(Table::from("shop.orders"), Table::new("shop", "orders"));
/// assert_eq!(Table::new("shop.eu", "orders").to_string(), r#""shop.eu"."orders""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table(String);

impl Table {
    /// Takes the two parts of a name as they are, dots included.
    pub fn new(schema: &str, name: &str) -> Self {
        Self(format!("{}.{}", quote::ident(schema), quote::ident(name)))
    }

    /// What an error of the driver stands for that came from this statement on the table.
    pub fn error(&self, statement: &'static str, error: tokio_postgres::Error) -> Error {
        Error::Database { function: Some(statement), table: Some(self.to_string()), source: error.into() }
    }
}

/// Splits `schema.table` at the first dot, like [`quote::qualified`]. Without a dot, the `search_path` finds the table.
impl From<&str> for Table {
    fn from(name: &str) -> Self {
        Self(quote::qualified(name))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
