//! Decodes arbitrary events. The input is type, data, extra1 and extra2, one to a line; the last line holds all the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgq_core::{
    Error,
    change::{Change, Row},
};

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(4, '\n');
    let [event_type, data, extra1, extra2] = [(); 4].map(|()| parts.next());
    match Change::decode(event_type, data, extra1, extra2) {
        Ok(change) => {
            round_trip(&change.row);
            change.old.iter().for_each(round_trip);
            let _ = change.changed_columns();
        }
        Err(Error::Malformed { what, offset, .. }) => {
            let text = if what == "ev_data" { data } else { extra2 };
            assert!(offset <= text.unwrap_or_default().len());
        }
        Err(Error::NotAChange { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    match Row::from_urlencoded(input) {
        Ok(row) => round_trip(&row),
        Err(error) => {
            assert!(matches!(error, Error::Malformed { offset, .. } if input.is_char_boundary(offset)))
        }
    }
    if let Ok(row) = Row::from_json(input) {
        round_trip(&row);
    }
});

/// What is encoded decodes to itself; only JSON can give a column an empty name, which the encoding cannot express.
fn round_trip(row: &Row) {
    if row.iter().all(|(name, _)| !name.is_empty()) {
        assert_eq!(&Row::from_urlencoded(&row.to_urlencoded()).unwrap(), row);
    }
}
