//! Decoding of the row changes that PgQ's triggers write as events.
//!
//! [`Change::decode`] takes what the trigger wrote, be it `logutriga`, `jsontriga` or `sqltriga`, and gives a [`Change`]: what was
//! done ([`Op`]), where ([`TableName`]), and to what ([`Row`]). [`Row::deserialize`] makes the row a struct of yours.

mod array;
mod deserialize;
mod json;
mod op;
mod row;
mod table_name;
mod timestamp;
mod urlencoded;

pub use op::Op;
pub use row::{Row, RowIter};
pub use table_name::TableName;

use crate::{Error, Result};

/// A change of a row, or the TRUNCATE of a table.
///
/// ```
/// use pgq_core::change::{Change, Op};
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: i64,
///     note: Option<String>,
/// }
///
/// // type, data, extra1 and extra2 of an event that `logutriga` wrote with its option `backup`
/// let change = Change::decode(Some("U:id"), Some("id=1&note"), Some("public.orders"), Some("id=1&note=call+back"))?;
/// assert_eq!(change.op, Op::Update);
/// assert_eq!(change.table.as_deref(), Some("public.orders"));
/// assert_eq!(change.key, ["id"]);
/// assert_eq!(change.changed_columns(), Some(vec!["note"]));
///
/// let order: Order = change.row.deserialize()?;
/// assert_eq!((order.id, order.note), (1, None));
/// # Ok::<(), pgq_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What was done.
    pub op: Op,

    /// The table, from `ev_extra1`, or from the type of a `jsontriga` event; `None` if the trigger was told to leave it out.
    pub table: Option<TableName>,

    /// The names of the key columns, from the primary key or the trigger's option `pkey=`; empty without either.
    ///
    /// `logutriga` joins them by commas without quotes, so there a column called `a,b` is taken for two. `sqltriga` does not tell them.
    pub key: Vec<String>,

    /// The complete row after an insert or update, or before a delete; without the columns that the trigger ignores.
    ///
    /// Empty after TRUNCATE, and for `sqltriga` (see [`sql`](Self::sql)).
    pub row: Row,

    /// The complete row before an update, if the trigger has the option `backup`.
    ///
    /// `ev_extra2` is this row if its columns are those of [`row`](Self::row); for `sqltriga`, if it has the form of a row. Anything
    /// else there was put there by `ev_extra2=`, and is no row: `None`.
    pub old: Option<Row>,

    /// What `sqltriga` wrote: the rest of a statement that repeats the change, to follow `INSERT INTO table`, `UPDATE table SET` or
    /// `DELETE FROM table WHERE`; `None` for the other triggers and TRUNCATE.
    pub sql: Option<String>,
}

impl Change {
    /// Decodes the change from type, data, extra1 and extra2 of an event.
    ///
    /// The type tells which trigger wrote it: `I:id`, `U:id`, `D:id` are `logutriga`, a JSON object with `op`, `table` and `pkey` is
    /// `jsontriga`, `I`, `U`, `D` are `sqltriga`, and `R`, a TRUNCATE, is `logutriga` or `sqltriga`.
    ///
    /// # Errors
    ///
    /// [`Error::NotAChange`] for any other type, and [`Error::Malformed`] if the data, or the old row, is not what the trigger writes.
    pub fn decode(
        event_type: Option<&str>,
        data: Option<&str>,
        extra1: Option<&str>,
        extra2: Option<&str>,
    ) -> Result<Self> {
        let not_a_change = || Error::NotAChange { event: None, event_type: event_type.map(str::to_owned) };
        let event_type = event_type.ok_or_else(not_a_change)?;
        if event_type.starts_with('{') {
            let head = json::Head::decode(event_type).ok_or_else(not_a_change)?;
            return Self::from_jsontriga(head, data, extra2);
        }
        let (letter, key) =
            event_type.split_once(':').map_or((event_type, None), |(op, key)| (op, Some(key)));
        let op = Op::from_letter(letter).ok_or_else(not_a_change)?;
        let table = extra1.map(TableName::from_text);
        match (op, key) {
            (Op::Truncate, None) => Ok(Self { table, ..Self::new(op) }),
            (Op::Truncate, Some(_)) => Err(not_a_change()),
            (_, Some(key)) => Ok(Self { table, ..Self::from_logutriga(op, key, data, extra2)? }),
            (_, None) => Ok(Self { table, ..Self::from_sqltriga(op, data, extra2)? }),
        }
    }

    /// The names of the columns whose values an update changed, in the table's order; `None` if the old row is not known.
    ///
    /// Values are compared as text, so `1.0` became another value when it became `1.00`.
    pub fn changed_columns(&self) -> Option<Vec<&str>> {
        let old = self.old.as_ref().filter(|_| self.sql.is_none())?;
        let changed = |&(index, (name, value)): &(usize, (&str, Option<&str>))| {
            // The rows have the same columns, unless somebody took some away; only then it is worth a search.
            let same_place = old.columns.get(index).filter(|(column, _)| column == name);
            same_place.map_or_else(|| old.value(name), |(_, value)| Some(value.as_deref())) != Some(value)
        };
        Some(self.row.iter().enumerate().filter(changed).map(|(_, (name, _))| name).collect())
    }

    fn new(op: Op) -> Self {
        Self { op, table: None, key: Vec::new(), row: Row::default(), old: None, sql: None }
    }

    fn from_logutriga(op: Op, key: &str, data: Option<&str>, extra2: Option<&str>) -> Result<Self> {
        let data = data.ok_or(NO_DATA)?;
        // The text of `pkey=a, b` comes as it was written, blanks included.
        let key =
            key.split(',').map(str::trim).filter(|column| !column.is_empty()).map(str::to_owned).collect();
        let row = urlencoded::decode("ev_data", data)?;
        let old = extra2.filter(|old| op == Op::Update && urlencoded::same_columns(data, old));
        let old = old.map(|old| urlencoded::decode("ev_extra2", old)).transpose()?;
        Ok(Self { key, row, old, ..Self::new(op) })
    }

    fn from_jsontriga(head: json::Head, data: Option<&str>, extra2: Option<&str>) -> Result<Self> {
        let row = json::decode("ev_data", data.ok_or(NO_DATA)?)?;
        let old = extra2.filter(|old| head.op == Op::Update && old.starts_with('{'));
        let old = old.map(|old| json::decode("ev_extra2", old)).transpose()?;
        let old = old.filter(|old| old.iter().map(|(name, _)| name).eq(row.iter().map(|(name, _)| name)));
        let table = Some(TableName::from_parts(&head.table.0, &head.table.1));
        Ok(Self { table, key: head.pkey, row, old, ..Self::new(head.op) })
    }

    fn from_sqltriga(op: Op, data: Option<&str>, extra2: Option<&str>) -> Result<Self> {
        let sql = Some(data.ok_or(NO_DATA)?.to_owned());
        let is_row = |text: &&str| op == Op::Update && text.contains('=') && urlencoded::is_encoded(text);
        let old = extra2.filter(is_row).map(|old| urlencoded::decode("ev_extra2", old)).transpose()?;
        Ok(Self { old, sql, ..Self::new(op) })
    }
}

const NO_DATA: Error =
    Error::Malformed { event: None, what: "ev_data", offset: 0, problem: "NULL instead of a change" };

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(event_type: &str, data: &str, extra2: Option<&str>) -> Result<Change> {
        Change::decode(Some(event_type), Some(data), Some("s.t"), extra2)
    }

    #[test]
    fn decodes_logutriga() {
        let change = decode("I:nr, col1", "nr=1&col1=k", None).unwrap();
        assert_eq!(
            (change.op, change.key.as_slice()),
            (Op::Insert, &["nr".to_owned(), "col1".to_owned()][..])
        );
        assert_eq!((change.row.get("col1"), &change.sql), (Some("k"), &None));
        assert!(decode("D:", "", None).unwrap().key.is_empty());
    }

    #[test]
    fn decodes_jsontriga() {
        let head = r#"{"op":"DELETE","table":["a.b","c"],"pkey":["x,y"]}"#;
        let change = Change::decode(Some(head), Some(r#"{"x,y":1}"#), None, None).unwrap();
        assert_eq!((change.op, change.key.as_slice()), (Op::Delete, &["x,y".to_owned()][..]));
        assert_eq!(change.table.as_ref().and_then(TableName::schema), Some("a.b"));
        assert_eq!(change.row.get("x,y"), Some("1"));
    }

    #[test]
    fn keeps_the_sql_of_sqltriga() {
        let change = decode("U", "b='2' where id='1'", Some("id=1&b")).unwrap();
        assert_eq!(change.sql.as_deref(), Some("b='2' where id='1'"));
        assert!(change.row.is_empty());
        assert!(change.old.as_ref().is_some_and(|old| old.is_null("b")));
        assert_eq!(change.changed_columns(), None);
        // The variant of PgQ without C writes SQL here.
        assert_eq!(decode("U", "b='2' where id='1'", Some("b='1' where id='1'")).unwrap().old, None);
    }

    #[test]
    fn decodes_truncate() {
        for event_type in ["R", r#"{"op":"TRUNCATE","table":["s","t"],"pkey":["id"]}"#] {
            let change = decode(event_type, if event_type == "R" { "" } else { "{}" }, None).unwrap();
            assert_eq!((change.op, change.table.as_deref(), change.sql), (Op::Truncate, Some("s.t"), None));
            assert!(change.row.is_empty());
        }
    }

    #[test]
    fn other_types_are_not_changes() {
        for event_type in
            ["", "X:id", "i:id", "II:id", "R:id", "order.created", "{}", r#"{"op":"INSERT"}"#, ":"]
        {
            let error = decode(event_type, "", None).unwrap_err();
            assert!(
                matches!(error, Error::NotAChange { event_type: Some(t), .. } if t == event_type),
                "{event_type}"
            );
        }
        let error = Change::decode(None, Some("id=1"), None, None).unwrap_err();
        assert!(matches!(error, Error::NotAChange { event_type: None, .. }));
    }

    #[test]
    fn refuses_null_as_data() {
        for event_type in ["I:id", "I", r#"{"op":"INSERT","table":["s","t"],"pkey":["id"]}"#] {
            let error = Change::decode(Some(event_type), None, None, None).unwrap_err();
            assert!(matches!(error, Error::Malformed { what: "ev_data", offset: 0, .. }), "{event_type}");
        }
    }

    #[test]
    fn an_old_row_has_the_columns_of_the_new_one() {
        let json = r#"{"op":"UPDATE","table":["s","t"],"pkey":["id"]}"#;
        for (event_type, data, extra2, old) in [
            ("U:id", "id=1&b", "id=1&b=2", Some("2")),
            ("U:id", "id=1&b", "mine", None),
            ("U:id", "id=1&b", "100%", None),
            ("U:id", "id=1&b", "b=2&id=1", None),
            ("I:id", "id=1&b", "id=1&b=2", None),
            (json, r#"{"id":1,"b":null}"#, r#"{"id":1,"b":2}"#, Some("2")),
            (json, r#"{"id":1,"b":null}"#, r#"{"id":1}"#, None),
            (json, r#"{"id":1,"b":null}"#, "mine", None),
        ] {
            let change = decode(event_type, data, Some(extra2)).unwrap();
            assert_eq!(change.old.as_ref().and_then(|row| row.get("b")), old, "{extra2}");
            assert_eq!(change.old.is_some(), old.is_some(), "{extra2}");
        }
    }

    #[test]
    fn says_which_row_is_malformed() {
        for (data, extra2, field) in [("id=%", "id=1", "ev_data"), ("id=1", "id=%e9", "ev_extra2")] {
            let error = decode("U:id", data, Some(extra2)).unwrap_err();
            assert!(matches!(error, Error::Malformed { what, offset: 3, .. } if what == field), "{error}");
        }
    }

    #[test]
    fn finds_changed_columns() {
        let mut change = decode("U:id", "id=1&a=&b=2&c&d=4", Some("id=1&a&b=2&c=3&d=5")).unwrap();
        assert_eq!(change.changed_columns(), Some(vec!["a", "c", "d"]));
        change.old = Some(Row::from_iter([("d", Some("4")), ("id", Some("1"))]));
        assert_eq!(change.changed_columns(), Some(vec!["a", "b", "c"]));
        change.old = None;
        assert_eq!(change.changed_columns(), None);
    }
}
