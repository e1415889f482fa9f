use super::binary;
use crate::model::{Kind, Row, SqlError, Status};

/// Appends a message of this type.
fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let start = out.len();
    out.extend([0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap();
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(0);
}

pub(super) fn welcome(out: &mut Vec<u8>, process: i32) {
    message(out, b'R', |out| out.extend(0_i32.to_be_bytes()));
    let parameters = [
        ("server_version", "18.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("integer_datetimes", "on"),
        ("TimeZone", "UTC"),
        ("default_transaction_read_only", "off"),
        ("in_hot_standby", "off"),
    ];
    for (name, value) in parameters {
        message(out, b'S', |out| {
            text(out, name);
            text(out, value);
        });
    }
    message(out, b'K', |out| {
        out.extend(process.to_be_bytes());
        out.extend(process.to_be_bytes());
    });
}

pub(super) fn ready(out: &mut Vec<u8>, status: Status) {
    let status = match status {
        Status::Idle => b'I',
        Status::InTransaction => b'T',
        Status::Failed => b'E',
    };
    message(out, b'Z', |out| out.push(status));
}

/// One of the messages that have no body.
pub(super) fn plain(out: &mut Vec<u8>, kind: u8) {
    message(out, kind, |_| {});
}

pub(super) fn complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| text(out, tag));
}

pub(super) fn parameters(out: &mut Vec<u8>, types: &[u32]) {
    message(out, b't', |out| {
        out.extend(i16::try_from(types.len()).unwrap().to_be_bytes());
        out.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    });
}

/// The columns; `format` is 0 for texts, 1 for binary.
pub(super) fn columns(out: &mut Vec<u8>, columns: &[Kind], format: i16) {
    message(out, b'T', |out| {
        out.extend(i16::try_from(columns.len()).unwrap().to_be_bytes());
        for kind in columns {
            text(out, "column");
            out.extend(0_i32.to_be_bytes());
            out.extend(0_i16.to_be_bytes());
            out.extend(binary::oid(*kind).to_be_bytes());
            out.extend((-1_i16).to_be_bytes());
            out.extend((-1_i32).to_be_bytes());
            out.extend(format.to_be_bytes());
        }
    });
}

pub(super) fn row(out: &mut Vec<u8>, row: &Row) {
    message(out, b'D', |out| {
        out.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
        row.iter().for_each(|value| binary::encode(value, out));
    });
}

pub(super) fn error(out: &mut Vec<u8>, error: &SqlError) {
    let severity = if error.is_fatal() { "FATAL" } else { "ERROR" };
    let fields = [(b'S', severity), (b'V', severity), (b'C', error.state), (b'M', &error.message)];
    message(out, b'E', |out| {
        for (field, value) in fields {
            out.push(field);
            text(out, value);
        }
        out.push(0);
    });
}

pub(super) fn notification(out: &mut Vec<u8>, payload: &str) {
    message(out, b'A', |out| {
        out.extend(1_i32.to_be_bytes());
        text(out, "pgq_tick");
        text(out, payload);
    });
}
