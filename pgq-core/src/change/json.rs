//! The formats of `jsontriga`: the head of a change in `ev_type`, and the row.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::{Op, Row};
use crate::{Error, Result};

/// `{"op":"INSERT","table":["public","orders"],"pkey":["id"]}`
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) op: Op,
    pub(super) table: (String, String),
    pub(super) pkey: Vec<String>,
}

impl Head {
    pub(super) fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

pub(super) fn decode(what: &'static str, text: &str) -> Result<Row> {
    serde_json::from_str(text).map(|Object(row)| row).map_err(|error| Error::Malformed {
        event: None,
        what,
        offset: offset(text, &error),
        problem: match error.classify() {
            Category::Eof => "the JSON ends too early",
            Category::Data => "a JSON object of strings, numbers, booleans and nulls is expected",
            Category::Syntax | Category::Io => "not valid JSON",
        },
    })
}

fn offset(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    (lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1)).min(text.len())
}

struct Object(Row);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut columns = Vec::new();
        while let Some((name, Scalar(value))) = map.next_entry()? {
            columns.push((name, value));
        }
        Ok(Object(Row { columns }))
    }
}

struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, number, boolean or null")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(Some(if value { "t" } else { "f" }.to_owned())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scalars_in_order() {
        let text = r#"{"z":1,"b":true,"c":false,"n":null,"big":-9223372036854775808,"f":1.5,"s":"a\"b\\c\n\u0001é🦀/"}"#;
        let expected = [
            ("z", Some("1")),
            ("b", Some("t")),
            ("c", Some("f")),
            ("n", None),
            ("big", Some("-9223372036854775808")),
            ("f", Some("1.5")),
            ("s", Some("a\"b\\c\n\u{1}é🦀/")),
        ];
        assert_eq!(decode("row", text).unwrap(), Row::from_iter(expected));
        assert!(decode("row", "{}").unwrap().is_empty());
    }

    #[test]
    fn says_where_the_text_is_malformed() {
        for (text, at, what) in [
            ("", 0, "too early"),
            (r#"{"a":1"#, 6, "too early"),
            (r#"{"a":x}"#, 5, "not valid"),
            ("{\n\"é\":1,\n\"b\":]}", 14, "not valid"),
            (r#"{"a":1} x"#, 8, "not valid"),
            (r#"{"a":[1]}"#, 5, "object of strings"),
            ("[1]", 0, "object of strings"),
        ] {
            let Err(Error::Malformed { what: "row", offset, problem, .. }) = decode("row", text) else {
                panic!("{text} is malformed")
            };
            assert!(problem.contains(what), "{text}: {problem}");
            assert_eq!(offset, at, "{text}");
        }
    }
}
