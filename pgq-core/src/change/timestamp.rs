//! From PostgreSQL's ISO text of a timestamp to that of ISO 8601.

use std::borrow::Cow;

use serde::de::{Expected, Visitor};

/// Turns `2009-09-19 09:59:48.599+00` into `2009-09-19T09:59:48.599+00:00` for a visitor that expects the latter.
///
/// Texts of any other shape stay as they are, and so does every text for a visitor that expects something else, such as a `&str`.
pub(super) fn for_visitor<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: &V) -> Cow<'de, str> {
    match to_iso_8601(&text) {
        Some(iso) if expects_timestamp(visitor) => Cow::Owned(iso),
        _ => text,
    }
}

/// Asks chrono's visitors what they are: they say it in the message that they would give for a wrong type.
fn expects_timestamp<'de, V: Visitor<'de>>(visitor: &V) -> bool {
    let expected = (visitor as &dyn Expected).to_string();
    ["date and time", "RFC 3339", "RFC3339"].iter().any(|words| expected.contains(words))
}

fn to_iso_8601(text: &str) -> Option<String> {
    let (date, rest) = text.split_once(' ')?;
    let (time, offset) = rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len()));
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let (year, month_and_day) = date.split_at_checked(date.len().checked_sub("-MM-DD".len())?)?;
    let is_timestamp = year.len() >= 4
        && is_digits(year)
        && has_shape(month_and_day, "-00-00")
        && has_shape(seconds, "00:00:00")
        && is_digits(fraction);
    if !is_timestamp {
        return None;
    }
    let minutes = match offset {
        offset if has_shape(offset, "+00") => ":00",
        offset if offset.is_empty() || has_shape(offset, "+00:00") => "",
        _ => return None,
    };
    // ISO 8601 wants a sign before a year of more than four digits.
    let sign = if year.len() > 4 { "+" } else { "" };
    Some(format!("{sign}{date}T{time}{offset}{minutes}"))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text looks like the pattern, where `0` is any digit and `+` is either sign.
fn has_shape(text: &str, pattern: &str) -> bool {
    let fits = |(byte, pattern): (u8, u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'+' => byte == b'+' || byte == b'-',
        literal => byte == literal,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_timestamps_of_postgresql() {
        for (text, expected) in [
            ("2009-09-19 11:59:48", "2009-09-19T11:59:48"),
            ("2009-09-19 11:59:48.599", "2009-09-19T11:59:48.599"),
            ("2009-09-19 09:59:48.599+00", "2009-09-19T09:59:48.599+00:00"),
            ("2009-09-19 15:29:48.599+05:30", "2009-09-19T15:29:48.599+05:30"),
            ("2009-09-19 06:59:48-03", "2009-09-19T06:59:48-03:00"),
            ("12009-09-19 11:59:48", "+12009-09-19T11:59:48"),
        ] {
            assert_eq!(to_iso_8601(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn knows_nothing_else() {
        for text in [
            "",
            " ",
            "infinity",
            "2009-09-19",
            "11:59:48.5",
            "2009-09-19T11:59:48",
            "2009-09-19 11:59",
            "2009-09-19 11:59:48.",
            "2009-09-19 11:59:48+5",
            "2009-09-19 11:59:48+00:19:32",
            "2009-09-19 11:59:48 UTC",
            "0044-03-15 11:59:48 BC",
            "19.09.2009 11:59:48",
            "209-09-19 11:59:48",
            "é-09-19 11:59:48",
            "2009-09-é1 11:59:48",
        ] {
            assert_eq!(to_iso_8601(text), None, "{text}");
        }
    }
}
