use std::vec;

use serde::Deserialize;

use super::{deserialize, json, urlencoded};
use crate::Result;

/// The columns of a row with their values, in the table's order.
///
/// A value is the text that PostgreSQL prints for it, or NULL. The text follows the settings of the session that changed the row
/// (`DateStyle`, `TimeZone`, `bytea_output`, ...). Booleans are `t` and `f`, whichever trigger wrote them.
///
/// ```
/// use pgq_core::change::Row;
///
/// let row = Row::from_urlencoded("id=1&note=&total")?;
/// assert_eq!(row.get("id"), Some("1"));
/// assert_eq!(row.get("note"), Some(""));
/// assert!(row.is_null("total"));
/// assert!(!row.contains("secret"));
/// # Ok::<(), pgq_core::Error>(())
/// ```
///
/// Looking a column up walks the row; to read many columns, [`iter`](Self::iter) or [`deserialize`](Self::deserialize).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Row {
    pub(super) columns: Vec<(String, Option<String>)>,
}

impl Row {
    /// Decodes a row as `logutriga` writes it, also to `ev_extra2` with its option `backup`.
    ///
    /// Columns are separated by `&`, a name from its value by `=`, and NULL has no `=`. A name that is there twice is kept twice.
    /// An empty text has no columns.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`](crate::Error::Malformed) for a broken `%` escape, a column without a name, and bytes that are not UTF-8:
    /// the trigger escapes the bytes of the database's encoding, so a `é` of a LATIN1 database cannot be read.
    pub fn from_urlencoded(text: &str) -> Result<Self> {
        urlencoded::decode("row", text)
    }

    /// Decodes a row as `jsontriga` writes it: an object of strings, numbers, booleans and nulls.
    ///
    /// The trigger writes whole numbers as numbers and all others as strings; a fraction is read as an `f64`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`](crate::Error::Malformed) for anything else.
    pub fn from_json(text: &str) -> Result<Self> {
        json::decode("row", text)
    }

    /// Encodes the row byte for byte as `logutriga` writes it in a UTF-8 database.
    ///
    /// [`from_urlencoded`](Self::from_urlencoded) reads it back, unless a column has an empty name.
    pub fn to_urlencoded(&self) -> String {
        urlencoded::encode(self)
    }

    /// The value of a column; `None` if it is NULL or there is no such column.
    ///
    /// [`is_null`](Self::is_null) and [`contains`](Self::contains) tell the two apart. Of two columns with the same name, which no
    /// table has, this is the first.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.value(column)?
    }

    /// Whether the row has the column and it is NULL.
    pub fn is_null(&self, column: &str) -> bool {
        self.value(column) == Some(None)
    }

    /// Whether the row has the column, be it NULL or not. The trigger leaves out the columns of its option `ignore=`.
    pub fn contains(&self, column: &str) -> bool {
        self.value(column).is_some()
    }

    /// How many columns the row has.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the row has no columns, as after TRUNCATE.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Visits names and values in column order.
    pub fn iter(&self) -> RowIter<'_> {
        RowIter { columns: self.columns.iter() }
    }

    /// Turns the row into a struct with a field per column, or into a map.
    ///
    /// | the field is | the column holds |
    /// |---|---|
    /// | an integer, a float | the number as text; `NaN` and `Infinity` are floats as well |
    /// | `bool` | `t`, `f`, `true`, `false` |
    /// | `String`, `&str`, `Cow<str>`, `char` | any text, unchanged |
    /// | a unit enum | the name of a variant |
    /// | `NaiveDate`, `NaiveTime` | PostgreSQL's ISO text, `2009-09-19`, `11:59:48.5` |
    /// | `NaiveDateTime`, `DateTime<Utc>`, `DateTime<FixedOffset>` | the same: `2009-09-19 11:59:48.599`, with `+00`, `-03` or `+05:30` for a `DateTime` |
    /// | `Vec<T>`, a tuple | an array, `{1,2,NULL}`, of any of these |
    /// | bytes (`serde_bytes`) | `bytea` in hexadecimal format, `\x00ff` |
    /// | `Option<T>` | NULL or any of these; a column that is not there is `None`, too |
    ///
    /// Newtypes, `#[serde(rename)]`, `default` and `deny_unknown_fields` work. With `#[serde(flatten)]`, a map works
    /// (`HashMap<String, Option<String>>`), but the fields of a flattened struct must be strings: serde hides from us what they are.
    /// The same holds for untagged enums. A `json` column is a string; decode it with `serde_json`. Dates in other formats than ISO
    /// (`DateStyle`), `infinity` and dates before Christ do not fit the types of chrono: take a string.
    ///
    /// chrono's types (with its feature `serde`) read ISO 8601, which PostgreSQL's text is only almost. They get it with the `T` and the
    /// minutes of the offset that PostgreSQL omits. This happens to no other type: only where a field says that it expects a "date and
    /// time" or "RFC 3339".
    ///
    /// # Errors
    ///
    /// [`Error::Deserialize`](crate::Error::Deserialize) names the column. It does not quote the value, which may be a secret; only an
    /// error of a field's own `Deserialize` might.
    ///
    /// # Example
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use pgq_core::change::Row;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Order<'a> {
    ///     id: i64,
    ///     customer: &'a str,
    ///     discount: Option<f64>,
    ///     paid: bool,
    ///     created: DateTime<Utc>,
    /// }
    ///
    /// let row = Row::from_urlencoded("id=7&customer=Smith&discount&paid=t&created=2009-09-19+09%3a59%3a48.599%2b00")?;
    /// let order: Order = row.deserialize()?;
    /// assert_eq!((order.id, order.customer, order.discount, order.paid), (7, "Smith", None, true));
    /// assert_eq!(order.created.timestamp_millis(), 1_253_354_388_599);
    /// # Ok::<(), pgq_core::Error>(())
    /// ```
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        T::deserialize(deserialize::RowDeserializer::new(self))
    }

    pub(super) fn value(&self, column: &str) -> Option<Option<&str>> {
        self.iter().find(|(name, _)| *name == column).map(|(_, value)| value)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, Option<V>)> for Row {
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(columns: I) -> Self {
        Self { columns: columns.into_iter().map(|(name, value)| (name.into(), value.map(V::into))).collect() }
    }
}

impl IntoIterator for Row {
    type Item = (String, Option<String>);
    type IntoIter = vec::IntoIter<(String, Option<String>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.columns.into_iter()
    }
}

impl<'a> IntoIterator for &'a Row {
    type Item = (&'a str, Option<&'a str>);
    type IntoIter = RowIter<'a>;

    fn into_iter(self) -> RowIter<'a> {
        self.iter()
    }
}

/// Visits the columns of a [`Row`] as `(name, value)`, in the table's order.
#[derive(Debug, Clone)]
pub struct RowIter<'a> {
    columns: std::slice::Iter<'a, (String, Option<String>)>,
}

impl<'a> Iterator for RowIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.columns.next().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.columns.size_hint()
    }
}

impl ExactSizeIterator for RowIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_value_null_and_absent_apart() {
        let row = Row::from_iter([("a", Some("1")), ("b", None), ("a", Some("2"))]);
        assert_eq!((row.get("a"), row.is_null("a"), row.contains("a")), (Some("1"), false, true));
        assert_eq!((row.get("b"), row.is_null("b"), row.contains("b")), (None, true, true));
        assert_eq!((row.get("c"), row.is_null("c"), row.contains("c")), (None, false, false));
    }

    #[test]
    fn keeps_the_order_of_columns() {
        let row = Row::from_iter([("b", Some("1")), ("a", None)]);
        assert_eq!(row.iter().len(), row.len());
        assert_eq!((&row).into_iter().collect::<Vec<_>>(), [("b", Some("1")), ("a", None)]);
        assert_eq!(row.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    }
}
