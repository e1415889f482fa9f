//! Rows become structs and maps, by serde.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{borrow::Cow, collections::HashMap, fmt::Debug, net::IpAddr};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use pgq_core::{Error, change::Row};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Debug, Deserialize)]
struct Column<T> {
    col: T,
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    Row::from_iter([("col", Some(text))]).deserialize::<Column<T>>().unwrap().col
}

/// The message for a column that cannot become a `T`; it never holds the value.
fn refuse<T: DeserializeOwned + Debug>(text: Option<&str>) -> String {
    let error = Row::from_iter([("col", text)]).deserialize::<Column<T>>().unwrap_err();
    let Error::Deserialize { column, message, .. } = error else { panic!("{error}") };
    assert_eq!(column.as_deref(), Some("col"));
    assert!(text.is_none_or(|text| !message.contains(text)), "{message}");
    message
}

#[test]
fn numbers() {
    assert_eq!(read::<i8>("-128"), i8::MIN);
    assert_eq!(read::<i16>("-5"), -5);
    assert_eq!(read::<i32>("7"), 7);
    assert_eq!(read::<i64>("-9223372036854775808"), i64::MIN);
    assert_eq!(read::<i128>("-9223372036854775809"), i128::from(i64::MIN) - 1);
    assert_eq!(read::<u8>("255"), u8::MAX);
    assert_eq!(read::<u16>("65535"), u16::MAX);
    assert_eq!(read::<u32>("42"), 42);
    assert_eq!(read::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(read::<u128>("18446744073709551616"), u128::from(u64::MAX) + 1);
    assert_eq!(read::<f32>("0.1"), 0.1);
    assert_eq!(read::<f64>("0.30000000000000004"), 0.30000000000000004);
    assert_eq!(read::<f64>("-Infinity"), f64::NEG_INFINITY);
    assert!(read::<f64>("NaN").is_nan());
}

#[test]
fn numbers_that_do_not_fit() {
    assert_eq!(refuse::<i8>(Some("-129")), "expected i8");
    assert_eq!(refuse::<u32>(Some("-17")), "expected u32");
    assert_eq!(refuse::<i64>(Some("1.500")), "expected i64");
    assert_eq!(refuse::<f64>(Some("zwei")), "expected f64");
    assert_eq!(refuse::<i32>(None), "NULL, expected i32");
}

#[test]
fn booleans() {
    assert_eq!(["t", "true", "f", "false"].map(read::<bool>), [true, true, false, false]);
    assert_eq!(refuse::<bool>(Some("yes")), "expected a boolean");
    assert_eq!(refuse::<bool>(None), "NULL, expected a boolean");
}

#[test]
fn texts() {
    assert_eq!(read::<char>("é"), 'é');
    assert_eq!(refuse::<char>(Some("xyz")), "expected a character");
    assert_eq!(read::<String>(""), "");
    assert_eq!(refuse::<String>(None), "NULL, expected a string");
    assert_eq!(read::<Box<str>>("ab   "), "ab   ".into());
    assert_eq!(read::<IpAddr>("10.0.0.1"), IpAddr::from([10, 0, 0, 1]));
}

#[test]
fn options() {
    let row = Row::from_iter([("col", None::<&str>)]);
    assert_eq!(row.deserialize::<Column<Option<i32>>>().unwrap().col, None);
    assert_eq!(Row::default().deserialize::<Column<Option<i32>>>().unwrap().col, None);
    assert_eq!(read::<Option<i32>>("7"), Some(7));
    assert_eq!(read::<Option<String>>(""), Some(String::new()));
}

#[test]
fn names_the_absent_column() {
    let error = Row::default().deserialize::<Column<i32>>().unwrap_err();
    assert_eq!(error.to_string(), "cannot deserialize column \"col\": there is no such column");
}

#[test]
fn newtypes_and_enums() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(i64);
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Status {
        New,
        Paid,
    }
    assert_eq!(read::<Id>("7"), Id(7));
    assert_eq!((read::<Status>("new"), read::<Status>("paid")), (Status::New, Status::Paid));
    assert_eq!(refuse::<Status>(Some("stolen")), "expected one of [\"new\", \"paid\"]");
    assert_eq!(refuse::<Status>(None), "NULL, expected a variant's name");
}

#[test]
fn dates_and_times() {
    let date = NaiveDate::from_ymd_opt(2009, 9, 19).unwrap();
    let time = date.and_hms_milli_opt(11, 59, 48, 599).unwrap();
    assert_eq!(read::<NaiveDate>("2009-09-19"), date);
    assert_eq!(read::<NaiveTime>("11:59:48.599"), time.time());
    // The first is PostgreSQL's, the second is jsontriga's.
    for text in ["2009-09-19 11:59:48.599", "2009-09-19T11:59:48.599"] {
        assert_eq!(read::<NaiveDateTime>(text), time);
        assert_eq!(read::<Option<NaiveDateTime>>(text), Some(time));
    }
    for text in [
        "2009-09-19 11:59:48.599+00",
        "2009-09-19 17:29:48.599+05:30",
        "2009-09-19 08:59:48.599-03",
        "2009-09-19T11:59:48.599+00:00",
    ] {
        assert_eq!(read::<DateTime<Utc>>(text).naive_utc(), time);
        assert_eq!(read::<DateTime<FixedOffset>>(text).naive_utc(), time);
    }
    let offset = *read::<DateTime<FixedOffset>>("2009-09-19 06:59:48-03").offset();
    assert_eq!(offset.local_minus_utc(), -3 * 3600);
    assert_eq!(read::<Vec<NaiveDateTime>>(r#"{"2009-09-19 11:59:48.599"}"#), [time]);
    assert_eq!(read::<NaiveDateTime>("12009-01-01 00:00:00").to_string(), "+12009-01-01 00:00:00");
}

#[test]
fn dates_that_are_not_iso() {
    refuse::<DateTime<Utc>>(Some("infinity"));
    refuse::<DateTime<Utc>>(Some("2009-09-19 11:59:48"));
    refuse::<NaiveDateTime>(Some("2009-09-19 11:59:48+00"));
    refuse::<NaiveDateTime>(Some("2009-13-19 11:59:48"));
    refuse::<NaiveDateTime>(Some("0044-03-15 00:00:00 BC"));
    assert_eq!(refuse::<DateTime<Utc>>(None), "NULL, expected an RFC 3339 formatted date and time string");
}

#[test]
fn text_like_a_timestamp_is_not_touched() {
    #[derive(Deserialize)]
    struct Record<'a> {
        slice: &'a str,
        #[serde(borrow)]
        borrowed: Cow<'a, str>,
        owned: String,
        array: Vec<String>,
    }
    let text = "2009-09-19 09:59:48.599+00";
    let array = format!("{{\"{text}\"}}");
    let columns = [("slice", text), ("borrowed", text), ("owned", text), ("array", &array)];
    let row = Row::from_iter(columns.map(|(name, value)| (name, Some(value))));
    let record: Record<'_> = row.deserialize().unwrap();
    assert_eq!(
        (record.slice, &*record.borrowed, &*record.owned, &*record.array[0]),
        (text, text, text, text)
    );
    assert!(matches!(record.borrowed, Cow::Borrowed(_)));
}

#[test]
fn bytes() {
    struct Bytes(Vec<u8>);
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                    Ok(Bytes(bytes))
                }
            }
            deserializer.deserialize_bytes(Visitor)
        }
    }
    assert_eq!(read::<Bytes>("\\x00Ff2041").0, [0, 255, 32, 65]);
    assert!(read::<Bytes>("\\x").0.is_empty());
    for text in ["", "00", "\\x0", "\\x0g", "\\000\\377 A", "\\xé"] {
        assert!(Row::from_iter([("col", Some(text))]).deserialize::<Column<Bytes>>().is_err(), "{text}");
    }
}

#[test]
fn maps() {
    let row = Row::from_iter([("b", Some("2")), ("a", None)]);
    let map: HashMap<String, Option<String>> = row.deserialize().unwrap();
    assert_eq!(map, HashMap::from([("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))]));
    assert_eq!(row.deserialize::<HashMap<&str, Option<i32>>>().unwrap()["b"], Some(2));
    assert_eq!(row.deserialize::<Option<HashMap<&str, Option<i32>>>>().unwrap().unwrap().len(), 2);
    let error = row.deserialize::<HashMap<String, i32>>().unwrap_err();
    assert_eq!(error.to_string(), "cannot deserialize column \"a\": NULL, expected i32");
    let value: serde_json::Value = row.deserialize().unwrap();
    assert_eq!(value, serde_json::json!({"a": null, "b": "2"}));
}

#[test]
fn unknown_and_repeated_columns() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[serde(rename = "Id")]
        id: i32,
    }
    assert_eq!(Row::from_iter([("Id", Some("7"))]).deserialize::<Strict>().unwrap().id, 7);
    let error = Row::from_iter([("Id", Some("7")), ("x", Some("8"))]).deserialize::<Strict>().unwrap_err();
    let message = "cannot deserialize column \"x\": the type has no such field, only [\"Id\"]";
    assert_eq!(error.to_string(), message);
    let error = Row::from_iter([("Id", Some("7")), ("Id", Some("8"))]).deserialize::<Strict>().unwrap_err();
    assert_eq!(error.to_string(), "cannot deserialize column \"Id\": it is there twice");
}

#[test]
fn flatten_takes_strings() {
    #[derive(Deserialize)]
    struct Record {
        id: i64,
        created: NaiveDateTime,
        #[serde(flatten)]
        rest: HashMap<String, Option<String>>,
    }
    let columns =
        [("id", Some("7")), ("x", None), ("created", Some("2009-09-19 11:59:48")), ("y", Some("2"))];
    let row = Row::from_iter(columns);
    let record: Record = row.deserialize().unwrap();
    assert_eq!((record.id, record.created.to_string().as_str()), (7, "2009-09-19 11:59:48"));
    assert_eq!(record.rest, HashMap::from([("x".to_owned(), None), ("y".to_owned(), Some("2".to_owned()))]));
}

#[test]
fn a_column_is_no_struct() {
    let message = refuse::<Column<i32>>(Some("{\"col\":1}"));
    assert_eq!(message, "expected struct Column");
    assert!(Row::default().deserialize::<i32>().is_err());
}
