use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};

/// A bound value of a [`Call`](crate::Call), with the PostgreSQL type it is sent as.
///
/// `Debug` shows ids, numbers and times, but of a text only its length: payloads don't belong in logs.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Param<'a> {
    /// `text`
    Text(Option<Cow<'a, str>>),
    /// `text[]`
    Texts(Vec<Option<Cow<'a, str>>>),
    /// `boolean`
    Bool(bool),
    /// `integer`
    Int(Option<i32>),
    /// `bigint`
    BigInt(Option<i64>),
    /// `bigint[]`
    BigInts(Vec<i64>),
    /// `double precision`; durations travel as seconds
    Float(Option<f64>),
    /// `double precision[]`
    Floats(Vec<f64>),
    /// `timestamptz`
    Time(Option<DateTime<Utc>>),
}

impl Param<'_> {
    /// The type the value is sent as.
    pub fn sql_type(&self) -> Type {
        match self {
            Self::Text(_) => Type::TEXT,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Bool(_) => Type::BOOL,
            Self::Int(_) => Type::INT4,
            Self::BigInt(_) => Type::INT8,
            Self::BigInts(_) => Type::INT8_ARRAY,
            Self::Float(_) => Type::FLOAT8,
            Self::Floats(_) => Type::FLOAT8_ARRAY,
            Self::Time(_) => Type::TIMESTAMPTZ,
        }
    }

    /// The value as the driver takes it.
    pub fn value(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Text(value) => value,
            Self::Texts(value) => value,
            Self::Bool(value) => value,
            Self::Int(value) => value,
            Self::BigInt(value) => value,
            Self::BigInts(value) => value,
            Self::Float(value) => value,
            Self::Floats(value) => value,
            Self::Time(value) => value,
        }
    }
}

impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(Some(text)) => write!(f, "text of {} bytes", text.len()),
            Self::Texts(texts) => write!(f, "{} texts", texts.len()),
            Self::Bool(value) => value.fmt(f),
            Self::Int(Some(value)) => value.fmt(f),
            Self::BigInt(Some(value)) => value.fmt(f),
            Self::BigInts(values) => write!(f, "{} bigints", values.len()),
            Self::Float(Some(value)) => value.fmt(f),
            Self::Floats(values) => write!(f, "{} floats", values.len()),
            Self::Time(Some(value)) => value.fmt(f),
            Self::Text(None)
            | Self::Int(None)
            | Self::BigInt(None)
            | Self::Float(None)
            | Self::Time(None) => f.write_str("NULL"),
        }
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl<'a> From<Option<&'a str>> for Param<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value.map(Into::into))
    }
}

impl From<String> for Param<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Self::BigInt(Some(value))
    }
}

impl From<i32> for Param<'_> {
    fn from(value: i32) -> Self {
        Self::Int(Some(value))
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<DateTime<Utc>> for Param<'_> {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Time(Some(value))
    }
}

impl From<Option<std::time::Duration>> for Param<'_> {
    fn from(value: Option<std::time::Duration>) -> Self {
        Self::Float(value.map(|duration| duration.as_secs_f64()))
    }
}

impl From<std::time::Duration> for Param<'_> {
    fn from(value: std::time::Duration) -> Self {
        Some(value).into()
    }
}
