use std::{fmt, ops::Deref};

/// The table that changed, as `schema.table`; it dereferences to that text.
///
/// The triggers write both names without any quotes, so `My S.T.b l` can be split in more than one way. [`schema`](Self::schema) and
/// [`name`](Self::name) answer where there is only one (the text has one dot, or `jsontriga` wrote both names apart). A row of a
/// partitioned table names its partition.
///
/// ```
/// use pgq_core::change::Change;
///
/// let change = Change::decode(Some("I:id"), Some("id=1"), Some("public.orders"), None)?;
/// assert_eq!(change.table.as_deref(), Some("public.orders"));
///
/// let table = change.table.unwrap();
/// assert_eq!((table.schema(), table.name()), (Some("public"), Some("orders")));
/// # Ok::<(), pgq_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    text: String,
    dot: Option<usize>,
}

impl TableName {
    pub(super) fn from_text(text: &str) -> Self {
        let dot =
            text.split_once('.').filter(|(_, name)| !name.contains('.')).map(|(schema, _)| schema.len());
        Self { text: text.to_owned(), dot }
    }

    pub(super) fn from_parts(schema: &str, name: &str) -> Self {
        Self { text: format!("{schema}.{name}"), dot: Some(schema.len()) }
    }

    /// The schema, if it can be told from the table's name.
    pub fn schema(&self) -> Option<&str> {
        self.text.get(..self.dot?)
    }

    /// The table's name without the schema, if it can be told from it.
    pub fn name(&self) -> Option<&str> {
        self.text.get(self.dot? + 1..)
    }
}

impl Deref for TableName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_only_at_a_single_dot() {
        for (text, schema, name) in [
            ("s.t", Some("s"), Some("t")),
            ("pg_temp_4.t", Some("pg_temp_4"), Some("t")),
            ("My S.T.b l", None, None),
            ("4", None, None),
            ("", None, None),
        ] {
            let table = TableName::from_text(text);
            assert_eq!((&*table, table.schema(), table.name()), (text, schema, name));
        }
    }

    #[test]
    fn keeps_dots_inside_of_known_parts() {
        let table = TableName::from_parts("My S", "T.b");
        assert_eq!((&*table, table.schema(), table.name()), ("My S.T.b", Some("My S"), Some("T.b")));
    }
}
