use super::reading::Reading;
use crate::model::{Kind, Value};

const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const FLOAT8: u32 = 701;
const TEXT_ARRAY: u32 = 1009;
const INT8_ARRAY: u32 = 1016;
const TIMESTAMPTZ: u32 = 1184;

pub(super) fn oid(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => BOOL,
        Kind::Int4 => INT4,
        Kind::Int8 => INT8,
        Kind::Float8 => FLOAT8,
        Kind::Text => TEXT,
        Kind::Time => TIMESTAMPTZ,
    }
}

pub(super) fn decode(oid: u32, bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    let mut reading = Reading::new(bytes);
    match oid {
        BOOL => Value::Bool(reading.byte() == 1),
        INT4 => Value::Int4(reading.int4()),
        INT8 => Value::Int8(reading.int8()),
        FLOAT8 => Value::Float8(f64::from_bits(reading.int8() as u64)),
        TEXT => Value::Text(String::from_utf8(bytes.to_vec()).expect("UTF-8")),
        TIMESTAMPTZ => Value::Time(reading.int8()),
        INT8_ARRAY => Value::Int8s(elements(reading, |bytes| Reading::new(bytes.unwrap()).int8())),
        TEXT_ARRAY => Value::Texts(elements(reading, |bytes| {
            bytes.map(|bytes| String::from_utf8(bytes.to_vec()).expect("UTF-8"))
        })),
        other => panic!("the model knows no parameter of type {other}"),
    }
}

fn elements<T>(mut reading: Reading<'_>, element: fn(Option<&[u8]>) -> T) -> Vec<T> {
    let dimensions = reading.int4();
    reading.bytes(8);
    if dimensions == 0 {
        return Vec::new();
    }
    let count = reading.int4();
    reading.bytes(4);
    (0..count).map(|_| element(reading.value())).collect()
}

/// Appends a value with its length.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    let mut put = |bytes: &[u8]| {
        out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Null => out.extend((-1_i32).to_be_bytes()),
        Value::Bool(value) => put(&[u8::from(*value)]),
        Value::Int4(number) => put(&number.to_be_bytes()),
        Value::Int8(number) | Value::Time(number) => put(&number.to_be_bytes()),
        Value::Float8(number) => put(&number.to_be_bytes()),
        Value::Text(text) => put(text.as_bytes()),
        other => panic!("the model answers with no {other:?}"),
    }
}
