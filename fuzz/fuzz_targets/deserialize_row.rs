//! Deserializes arbitrary texts as all types that a column can become. Text must stay as it is.
#![no_main]

use std::{borrow::Cow, collections::HashMap};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use libfuzzer_sys::fuzz_target;
use pgq_core::{Error, change::Row};
use serde::Deserialize;

#[derive(Deserialize)]
struct Column<T> {
    col: T,
}

#[derive(Deserialize)]
struct Borrowed<'a> {
    #[serde(borrow)]
    col: Cow<'a, str>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum Enum {
    A,
    B,
}

fuzz_target!(|text: &str| {
    let row = Row::from_iter([("col", Some(text))]);
    assert_eq!(row.deserialize::<Column<&str>>().unwrap().col, text);
    assert_eq!(row.deserialize::<Column<String>>().unwrap().col, text);
    assert_eq!(row.deserialize::<Borrowed<'_>>().unwrap().col, text);
    assert_eq!(row.deserialize::<HashMap<&str, &str>>().unwrap()["col"], text);

    assert_eq!(read::<i64>(&row), text.parse().ok());
    read::<u8>(&row);
    read::<f64>(&row);
    read::<bool>(&row);
    read::<char>(&row);
    read::<Enum>(&row);
    read::<NaiveDate>(&row);
    read::<NaiveTime>(&row);
    read::<NaiveDateTime>(&row);
    read::<DateTime<Utc>>(&row);
    read::<DateTime<FixedOffset>>(&row);
    read::<(i32, Option<String>)>(&row);
    read::<Vec<Vec<Option<i32>>>>(&row);
    if let Some(texts) = read::<Vec<Option<String>>>(&row) {
        let again = Row::from_iter([("col", Some(array(&texts)))]);
        assert_eq!(read::<Vec<Option<String>>>(&again), Some(texts));
    }
});

fn read<'de, T: Deserialize<'de>>(row: &'de Row) -> Option<T> {
    match row.deserialize::<Column<T>>() {
        Ok(column) => Some(column.col),
        Err(Error::Deserialize { column, .. }) => {
            assert_eq!(column.as_deref(), Some("col"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn array(texts: &[Option<String>]) -> String {
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let elements: Vec<_> = texts.iter().map(|text| text.as_ref().map_or("NULL".to_owned(), quoted)).collect();
    format!("{{{}}}", elements.join(","))
}
