//! Decodes what the triggers of PgQ 3.5 were seen to write, with all their options and on many types.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use pgq_core::{
    Error,
    change::{Change, Op, Row},
};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Sample {
    sample: String,
    server_encoding: String,
    trigger: String,
    trigger_args: Vec<String>,
    statement: String,
    event: bool,
    ev_type: Option<String>,
    ev_data: Option<String>,
    ev_extra1: Option<String>,
    ev_extra2: Option<String>,
    /// The row that the change is about, as `to_json` prints it.
    row: Option<Map<String, Value>>,
    rows_before: Vec<Map<String, Value>>,
}

impl Sample {
    fn decode(&self) -> Result<Change, Error> {
        let [event_type, data] = [&self.ev_type, &self.ev_data].map(Option::as_deref);
        Change::decode(event_type, data, self.ev_extra1.as_deref(), self.ev_extra2.as_deref())
    }

    fn option(&self, name: &str) -> bool {
        self.trigger_args.iter().any(|arg| arg.starts_with(name))
    }

    /// Whether an option or a magic column of the table replaces a field of the event.
    fn replaces(&self, field: &str) -> bool {
        self.option(&format!("{field}="))
            || self.row.as_ref().is_some_and(|row| row.contains_key(&format!("_pgq_{field}")))
    }
}

fn samples() -> Vec<Sample> {
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/trigger-samples.jsonl"))
            .unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The samples with a change in them: an event, of a type that was not replaced, from a UTF-8 database.
fn changes() -> Vec<(Sample, Change)> {
    let samples =
        samples().into_iter().filter(|s| s.event && s.server_encoding == "UTF8" && !s.replaces("ev_type"));
    samples
        .map(|sample| {
            let change = sample.decode().unwrap_or_else(|error| panic!("{}: {error}", sample.sample));
            (sample, change)
        })
        .collect()
}

#[test]
fn every_sample_has_its_place() {
    let samples = samples();
    assert_eq!(samples.len(), 128);
    assert_eq!(samples.iter().filter(|sample| !sample.event).count(), 27);
    assert_eq!(changes().len(), 97);
}

#[test]
fn types_that_were_replaced_are_not_changes() {
    let mut replaced = 0;
    for sample in samples().iter().filter(|sample| sample.event && sample.replaces("ev_type")) {
        let error = sample.decode().unwrap_err();
        assert!(
            matches!(error, Error::NotAChange { event_type, .. } if event_type == sample.ev_type),
            "{}",
            sample.sample
        );
        replaced += 1;
    }
    assert_eq!(replaced, 3);
}

#[test]
fn bytes_of_another_encoding_are_refused() {
    let samples = samples();
    let [sample] =
        &samples.iter().filter(|sample| sample.server_encoding == "LATIN1").collect::<Vec<_>>()[..]
    else {
        panic!("one sample is from a LATIN1 database")
    };
    let error = sample.decode().unwrap_err();
    assert!(
        matches!(error, Error::Malformed { what: "ev_data", offset: 9, problem, .. } if problem.contains("UTF-8"))
    );
}

#[test]
fn operation_table_and_key() {
    for (sample, change) in changes() {
        let op = match sample.statement.split(' ').next().unwrap() {
            // The only one of these in the samples meets a row that is there.
            "insert" if sample.statement.contains("on conflict") => Op::Update,
            "insert" => Op::Insert,
            "update" => Op::Update,
            "delete" => Op::Delete,
            "truncate" => Op::Truncate,
            other => panic!("{other}"),
        };
        assert_eq!(change.op, op, "{}", sample.sample);
        assert_eq!(change.table.as_deref(), sample.ev_extra1.as_deref(), "{}", sample.sample);
        let has_key =
            sample.trigger != "pgq.sqltriga" && change.op != Op::Truncate && change.op != Op::Insert;
        assert!(!change.key.is_empty() || !has_key, "{}", sample.sample);
    }
}

#[test]
fn rows_are_those_of_the_table() {
    let mut compared = 0;
    for (sample, change) in changes() {
        let Some(row) = sample.row.as_ref().filter(|_| change.op != Op::Truncate && change.sql.is_none())
        else {
            assert!(change.row.is_empty() || sample.option("SKIP"), "{}", sample.sample);
            continue;
        };
        if !sample.replaces("ev_data") {
            compare(&sample, &change.row, row);
            compared += 1;
        }
    }
    assert_eq!(compared, 77);
}

#[test]
fn old_rows_are_those_before_the_update() {
    let mut compared = 0;
    for (sample, change) in changes() {
        let has_old = sample.option("backup") && change.op == Op::Update && !sample.replaces("ev_extra2");
        assert_eq!(change.old.is_some(), has_old, "{}", sample.sample);
        if let Some(old) = &change.old {
            compare(&sample, old, &sample.rows_before[0]);
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}

#[test]
fn rows_are_encoded_as_they_were() {
    let mut compared = 0;
    for (sample, change) in changes() {
        if sample.trigger == "pgq.logutriga" && !sample.replaces("ev_data") {
            assert_eq!(Some(change.row.to_urlencoded()), sample.ev_data, "{}", sample.sample);
            compared += 1;
        }
        if let Some(old) = change.old.filter(|_| sample.trigger != "pgq.jsontriga") {
            assert_eq!(Some(old.to_urlencoded()), sample.ev_extra2, "{}", sample.sample);
        }
    }
    assert_eq!(compared, 69);
}

#[test]
fn sql_is_kept() {
    for (sample, change) in changes() {
        let is_sql = sample.trigger == "pgq.sqltriga" && change.op != Op::Truncate;
        assert_eq!(change.sql, sample.ev_data.clone().filter(|_| is_sql), "{}", sample.sample);
    }
}

/// Compares names, NULLs, and those values that JSON shows as PostgreSQL prints them.
fn compare(sample: &Sample, row: &Row, json: &Map<String, Value>) {
    let ignored = |name: &str| {
        let list = sample.trigger_args.iter().rev().find_map(|arg| arg.strip_prefix("ignore="));
        list.is_some_and(|list| list.split(',').any(|column| column.trim() == name))
            || name.starts_with("_pgq_ev_")
    };
    let mut expected: Vec<_> = json.keys().map(String::as_str).filter(|name| !ignored(name)).collect();
    let mut names: Vec<_> = row.iter().map(|(name, _)| name).collect();
    expected.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, expected, "{}", sample.sample);
    for (name, value) in row {
        let same = match (&json[name], value) {
            // The trigger ran before the value was generated.
            (Value::Number(_), None) => sample.sample.contains("generated"),
            (Value::Null, None) => true,
            (Value::Bool(bool), Some(value)) => value == if *bool { "t" } else { "f" },
            (Value::Number(number), Some(value)) => number.as_f64() == value.parse().ok(),
            (Value::String(text), Some(value)) => *text == value || is_timestamp_in(sample, text, value),
            (Value::Array(_), Some(value)) => value.starts_with(['{', '[']),
            (Value::Object(_), Some(value)) => value.starts_with(['{', '(', '"']),
            _ => false,
        };
        assert!(same, "{}: {name} is {value:?}, not {}", sample.sample, json[name]);
    }
}

/// `to_json` prints timestamps as ISO 8601, whatever the `DateStyle`.
fn is_timestamp_in(sample: &Sample, iso: &str, value: &str) -> bool {
    let text = iso.replace('T', " ");
    sample.sample.contains("German") || text == value || text.strip_suffix(":00") == Some(value)
}
