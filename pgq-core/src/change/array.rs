use std::borrow::Cow;

use serde::de::{DeserializeSeed, Error as _, SeqAccess};

use super::deserialize::ValueDeserializer;
use crate::{Error, Result};

/// The elements of an array as PostgreSQL prints it: `{1,NULL,"a \"b\"",{2,3}}`.
pub(super) struct Array<'de> {
    /// What follows the elements read so far, up to the closing brace; `None` after the last one.
    rest: Option<&'de str>,
}

impl<'de> Array<'de> {
    pub(super) fn new(text: &'de str) -> Option<Self> {
        // `[2:3]={a,b}` does not start at 1; there are no such arrays in Rust.
        let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
        let elements = text.strip_prefix('{')?.strip_suffix('}')?;
        Some(Self { rest: Some(elements).filter(|elements| !elements.is_empty()) })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.rest.is_none()
    }

    /// The next element, if the array is well-formed.
    fn element(&mut self, rest: &'de str) -> Option<Option<Cow<'de, str>>> {
        let end = element_end(rest)?;
        let (element, rest) = rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(',');
        Some(match element.strip_prefix('"') {
            Some(quoted) => Some(unescape(quoted.strip_suffix('"')?)),
            None if element == "NULL" => None,
            None if element.is_empty() => return None,
            None => Some(Cow::Borrowed(element)),
        })
    }
}

impl<'de> SeqAccess<'de> for Array<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(rest) = self.rest else { return Ok(None) };
        let element = self.element(rest).ok_or_else(|| Error::custom("expected an array"))?;
        seed.deserialize(ValueDeserializer::new(element)).map(Some)
    }
}

/// Finds the comma after the first element; commas inside of quotes and braces are part of it.
fn element_end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    (depth == 0 && !quoted && !escaped).then_some(text.len())
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        unescaped.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    Cow::Owned(unescaped)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::change::Row;

    fn decode<'de, T: Deserialize<'de>>(row: &'de mut Row, text: &str) -> crate::Result<T> {
        #[derive(Deserialize)]
        struct Record<T> {
            array: T,
        }
        *row = Row::from_iter([("array", Some(text))]);
        row.deserialize().map(|Record { array }| array)
    }

    #[test]
    fn reads_arrays() {
        let row = &mut Row::default();
        assert!(decode::<Vec<i32>>(row, "{}").unwrap().is_empty());
        assert_eq!(decode::<Vec<Option<i32>>>(row, "{1,2,NULL}").unwrap(), [Some(1), Some(2), None]);
        assert_eq!(decode::<(bool, char)>(row, "{t,é}").unwrap(), (true, 'é'));
        assert_eq!(decode::<Vec<i32>>(row, "[0:1]={7,8}").unwrap(), [7, 8]);
        assert_eq!(decode::<Vec<Vec<i32>>>(row, "{{1,2},{3}}").unwrap(), [vec![1, 2], vec![3]]);
        let texts =
            [Some("a b"), Some("q\"q"), Some(""), None, Some("NULL"), Some("c,d"), Some("\\"), Some("{")];
        let texts = texts.map(|text| text.map(str::to_owned));
        let text = r#"{"a b","q\"q","",NULL,"NULL","c,d","\\","{"}"#;
        assert_eq!(decode::<Vec<Option<String>>>(row, text).unwrap(), texts);
        assert_eq!(decode::<Vec<&str>>(row, r#"{a,"b c"}"#).unwrap(), ["a", "b c"]);
    }

    #[test]
    fn refuses_what_is_no_array() {
        let row = &mut Row::default();
        for text in [
            "", "1", "{", "}", "{1", "{,}", "{1,}", "{\"}", "{\"a\"b}", "{{}", "{}}", "{}{", "{\\}", "[1={",
            "\\x00",
        ] {
            let error = decode::<Vec<String>>(row, text).unwrap_err();
            assert_eq!(error.to_string(), "cannot deserialize column \"array\": expected an array", "{text}");
        }
        let error = decode::<(i32, i32)>(row, "{1,2,3}").unwrap_err();
        assert!(error.to_string().ends_with("the array has too many elements"));
    }
}
