//! The row format of `logutriga`: `id=1&txt=a+b&note`, where `note` is NULL.

use super::Row;
use crate::{Error, Result};

pub(super) fn decode(what: &'static str, text: &str) -> Result<Row> {
    if text.is_empty() {
        return Ok(Row::default());
    }
    let mut columns = Vec::with_capacity(1 + text.bytes().filter(|&byte| byte == b'&').count());
    let mut start = 0;
    for item in text.split('&') {
        let (name, value) = split_item(item);
        if name.is_empty() {
            return Err(Error::Malformed {
                event: None,
                what,
                offset: start,
                problem: "a column without a name",
            });
        }
        let value = value.map(|value| decode_part(what, value, start + name.len() + 1)).transpose()?;
        columns.push((decode_part(what, name, start)?, value));
        start += item.len() + 1;
    }
    Ok(Row { columns })
}

pub(super) fn encode(row: &Row) -> String {
    let size = row.iter().map(|(name, value)| name.len() + value.map_or(0, str::len) + 2).sum();
    let mut text = String::with_capacity(size);
    for (index, (name, value)) in row.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        encode_part(name, &mut text);
        if let Some(value) = value {
            text.push('=');
            encode_part(value, &mut text);
        }
    }
    text
}

/// Whether two rows, not decoded yet, have the same columns.
pub(super) fn same_columns(one: &str, other: &str) -> bool {
    let names = |text| str::split(text, '&').map(|item| split_item(item).0);
    names(one).eq(names(other))
}

/// Whether a text is made of the characters that the trigger writes.
pub(super) fn is_encoded(text: &str) -> bool {
    text.bytes().all(|byte| is_unchanged(byte) || b"+%&=".contains(&byte))
}

fn split_item(item: &str) -> (&str, Option<&str>) {
    item.split_once('=').map_or((item, None), |(name, value)| (name, Some(value)))
}

fn decode_part(what: &'static str, part: &str, start: usize) -> Result<String> {
    if !part.contains(['+', '%']) {
        return Ok(part.to_owned());
    }
    let malformed = |at, problem| Error::Malformed { event: None, what, offset: start + at, problem };
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?.1).to_digit(16);
                let code = digit().and_then(|high| Some(high * 16 + digit()?));
                let code = code.and_then(|code| u8::try_from(code).ok());
                code.ok_or_else(|| malformed(at, "`%` without two hexadecimal digits"))?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|error| {
        let at = encoded_offset(part, error.utf8_error().valid_up_to());
        malformed(at, "not UTF-8 (is the database's encoding another one?)")
    })
}

/// Finds where the decoded byte number `index` stands in the encoded text.
fn encoded_offset(part: &str, index: usize) -> usize {
    let mut at = 0;
    for _ in 0..index {
        at += if part.as_bytes().get(at) == Some(&b'%') { 3 } else { 1 };
    }
    at
}

fn encode_part(part: &str, text: &mut String) {
    for byte in part.bytes() {
        match byte {
            b' ' => text.push('+'),
            byte if is_unchanged(byte) => text.push(char::from(byte)),
            byte => text.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
}

fn is_unchanged(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

fn hex_digit(digit: u8) -> char {
    char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_null_from_empty() {
        let row = decode("row", "id=1&txt&note=").unwrap();
        let expected = Row::from_iter([("id", Some("1")), ("txt", None), ("note", Some(""))]);
        assert_eq!(row, expected);
        assert_eq!(encode(&row), "id=1&txt&note=");
    }

    #[test]
    fn an_empty_text_has_no_columns() {
        assert_eq!(decode("row", "").unwrap(), Row::default());
        assert_eq!(encode(&Row::default()), "");
    }

    #[test]
    fn decodes_names_and_values() {
        let row = decode("row", "my+id=%2B+%25%2520&a%26b%3dc=x=y&%d0%bf=").unwrap();
        let expected = [("my id", Some("+ %%20")), ("a&b=c", Some("x=y")), ("п", Some(""))];
        assert_eq!(row, Row::from_iter(expected));
        assert_eq!(encode(&row), "my+id=%2b+%25%2520&a%26b%3dc=x%3dy&%d0%bf=");
    }

    #[test]
    fn says_where_the_text_is_malformed() {
        for (text, at, what) in [
            ("a=1&b=%", 6, "hexadecimal"),
            ("a=1&b=%4", 6, "hexadecimal"),
            ("a=1&b=x%zz", 7, "hexadecimal"),
            ("a=%+1", 2, "hexadecimal"),
            ("a=%é", 2, "hexadecimal"),
            ("%4=1", 0, "hexadecimal"),
            ("a=é+%20%e9+", 8, "UTF-8"),
            ("a=%c3", 2, "UTF-8"),
            ("a=1&&b=2", 4, "without a name"),
            ("a=1&", 4, "without a name"),
            ("=1", 0, "without a name"),
            ("&", 0, "without a name"),
        ] {
            let Err(Error::Malformed { what: "row", offset, problem, .. }) = decode("row", text) else {
                panic!("{text} is malformed")
            };
            assert_eq!(offset, at, "{text}");
            assert!(problem.contains(what), "{text}: {problem}");
        }
    }

    #[test]
    fn compares_columns_without_decoding() {
        assert!(same_columns("id=1&a%2cb=%zz", "id=2&a%2cb"));
        assert!(!same_columns("id=1&a", "id=1"));
        assert!(!same_columns("id=1", "mine"));
    }
}
