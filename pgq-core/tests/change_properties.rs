//! What holds for all rows and all texts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use pgq_core::change::{Change, Row};
use proptest::{collection::vec, option, prelude::*, string::string_regex};
use serde::Serialize;

fn rows() -> impl Strategy<Value = Row> {
    let columns = vec(("(?s).{1,12}", option::of("(?s).{0,40}")), 0..12);
    columns.prop_map(Row::from_iter)
}

/// Texts of the trigger's own characters, with names, and with escapes that are UTF-8.
fn encoded_rows() -> impl Strategy<Value = String> {
    let part = "([A-Za-z0-9_.+-]|%0a|%25|%26|%2b|%3d|%7e|%c3%a9|%e6%97%a5|%f0%9f%a6%80)";
    let item = format!("{part}{{1,8}}(={part}{{0,12}})?");
    string_regex(&format!("({item}(&{item}){{0,8}})?")).unwrap()
}

/// Texts that are nearly rows: many of the characters that mean something.
fn nearly_rows() -> impl Strategy<Value = String> {
    "(?s)([&=+%]|%[0-9a-fA-F]{0,2}|[a-z]{1,3}|.){0,40}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn decoding_reverts_encoding(row in rows()) {
        prop_assert_eq!(Row::from_urlencoded(&row.to_urlencoded()).unwrap(), row);
    }

    #[test]
    fn encoding_reverts_decoding(text in encoded_rows()) {
        prop_assert_eq!(Row::from_urlencoded(&text).unwrap().to_urlencoded(), text);
    }

    #[test]
    fn decoding_never_panics(event_type in "(?s)([IUDR]:?)?.{0,8}", data in nearly_rows(), extra in nearly_rows()) {
        let decoded = Row::from_urlencoded(&data);
        let change = Change::decode(Some(&event_type), Some(&data), Some(&extra), Some(&extra));
        if let (Ok(row), true) = (&decoded, event_type.starts_with("I:")) {
            prop_assert_eq!(&change.unwrap().row, row);
        }
        if let Err(pgq_core::Error::Malformed { offset, .. }) = decoded {
            prop_assert!(data.is_char_boundary(offset) && offset <= data.len());
        }
    }

    #[test]
    fn json_and_urlencoded_rows_are_the_same(row in rows()) {
        let item = |(name, value): (&str, Option<&str>)| format!("{}:{}", json(name), json(value));
        let items: Vec<_> = row.iter().map(item).collect();
        prop_assert_eq!(Row::from_json(&format!("{{{}}}", items.join(","))).unwrap(), row);
    }

    #[test]
    fn json_never_panics(text in "(?s)([{}:,\"\n]|null|true|[0-9.e-]|.){0,40}") {
        if let Err(pgq_core::Error::Malformed { offset, .. }) = Row::from_json(&text) {
            prop_assert!(offset <= text.len());
        }
    }

    #[test]
    fn every_row_is_a_map_of_texts(row in rows()) {
        let map: HashMap<&str, Option<&str>> = row.deserialize().unwrap();
        prop_assert_eq!(map, row.iter().collect::<HashMap<_, _>>());
    }

    #[test]
    fn changed_columns_are_those_that_differ(values in vec((option::of("[ab]?"), option::of("[ab]?")), 1..8)) {
        let names: Vec<_> = (0..values.len()).map(|index| format!("c{index}")).collect();
        let columns = || names.iter().zip(&values);
        let new = Row::from_iter(columns().map(|(name, (new, _))| (name, new.as_ref()))).to_urlencoded();
        let old = Row::from_iter(columns().map(|(name, (_, old))| (name, old.as_ref()))).to_urlencoded();
        let change = Change::decode(Some("U:c0"), Some(&new), None, Some(&old)).unwrap();
        let differ: Vec<_> = columns().filter(|(_, (new, old))| new != old).map(|(name, _)| name).collect();
        prop_assert_eq!(change.changed_columns().unwrap(), differ);
    }
}

fn json(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap()
}
