//! The data format "a row of texts" for serde.

use std::{borrow::Cow, str::FromStr};

use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::{Row, array::Array, row::RowIter, timestamp};
use crate::{Error, Result};

/// Deserializes a row, as a map from names to values.
pub(super) struct RowDeserializer<'de> {
    columns: RowIter<'de>,
    current: Option<(&'de str, Option<&'de str>)>,
}

impl<'de> RowDeserializer<'de> {
    pub(super) fn new(row: &'de Row) -> Self {
        Self { columns: row.iter(), current: None }
    }
}

impl<'de> Deserializer<'de> for RowDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for RowDeserializer<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.current = self.columns.next();
        self.current.map(|(name, _)| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let Some((name, value)) = self.current else {
            return Err(Error::custom("a value is asked for before its name"));
        };
        seed.deserialize(ValueDeserializer::new(value.map(Cow::Borrowed))).map_err(|error| match error {
            Error::Deserialize { event, column: None, message } => {
                Error::Deserialize { event, column: Some(name.to_owned()), message }
            }
            other => other,
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.len())
    }
}

/// Deserializes the value of a column, or an element of an array.
pub(super) struct ValueDeserializer<'de> {
    text: Option<Cow<'de, str>>,
}

impl<'de> ValueDeserializer<'de> {
    pub(super) fn new(text: Option<Cow<'de, str>>) -> Self {
        Self { text }
    }

    fn text(self, expected: &str) -> Result<Cow<'de, str>> {
        self.text.ok_or_else(|| Error::custom(format_args!("NULL, expected {expected}")))
    }

    fn parse<T: FromStr>(self, expected: &str) -> Result<T> {
        self.text(expected)?.parse().map_err(|_| Error::custom(format_args!("expected {expected}")))
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.text {
            Some(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Some(Cow::Owned(text)) => visitor.visit_string(text),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &*self.text("a boolean")? {
            "t" | "true" => visitor.visit_bool(true),
            "f" | "false" => visitor.visit_bool(false),
            _ => Err(Error::custom("expected a boolean")),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i8(self.parse("i8")?)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i16(self.parse("i16")?)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i32(self.parse("i32")?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i64(self.parse("i64")?)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i128(self.parse("i128")?)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.parse("u8")?)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u16(self.parse("u16")?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u32(self.parse("u32")?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u64(self.parse("u64")?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u128(self.parse("u128")?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(self.parse("f32")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(self.parse("f64")?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_char(self.parse("a character")?)
    }

    /// A `&str`, or a type that is parsed from text, such as those of chrono; a `String` asks for [`deserialize_string`].
    ///
    /// [`deserialize_string`]: Deserializer::deserialize_string
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        Self { text: self.text.map(|text| timestamp::for_visitor(text, &visitor)) }.deserialize_any(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let expected = "bytea in hexadecimal format";
        match decode_hex(&self.text(expected)?) {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => Err(Error::custom(format_args!("expected {expected}"))),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.text.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let array = match self.text("an array")? {
            Cow::Borrowed(text) => Array::new(text),
            // An array inside of a quoted text is not an array of PostgreSQL.
            Cow::Owned(_) => None,
        };
        let mut array = array.ok_or_else(|| Error::custom("expected an array"))?;
        let value = visitor.visit_seq(&mut array)?;
        if array.is_finished() { Ok(value) } else { Err(Error::custom("the array has too many elements")) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let text: CowStrDeserializer<'de, Error> = self.text("a variant's name")?.into_deserializer();
        visitor.visit_enum(text)
    }

    forward_to_deserialize_any! { string unit unit_struct map struct identifier ignored_any }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            u8::try_from(char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?).ok()
        }
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}
