//! Quotes names and values that become part of an SQL text.
//!
//! Nearly everything goes to the server as a parameter. What cannot (the name of a cursor, a table or a trigger, the arguments of
//! a trigger, the filter of a batch) passes through here, and nowhere else.
//!
//! A NUL character is left as it is: no PostgreSQL text can hold one, and the driver refuses the statement.

/// Turns a name into an identifier: always in double quotes, so case, blanks, dots and keywords keep.
///
/// # Example
///
/// ```
/// assert_eq!(pgq_core::quote::ident("select"), r#""select""#);
/// assert_eq!(pgq_core::quote::ident(r#"7" disks"#), r#""7"" disks""#);
/// ```
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Turns `schema.table` into a qualified identifier.
///
/// The first dot separates, as in `pgq.quote_fqname`. Unlike there, a name without a dot gets no schema `public`: the
/// `search_path` of the session finds it, as it finds any other name. A schema with a dot in it cannot be written this way: quote
/// its parts with [`ident`].
///
/// # Example
///
/// ```
/// use pgq_core::quote;
///
/// assert_eq!(quote::qualified("shop.Orders"), r#""shop"."Orders""#);
/// assert_eq!(quote::qualified("shop.orders.2026"), r#""shop"."orders.2026""#);
/// assert_eq!(quote::qualified("orders"), r#""orders""#);
/// ```
pub fn qualified(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", ident(schema), ident(table)),
        None => ident(name),
    }
}

/// Turns a text into a string literal that means the same whatever `standard_conforming_strings` is.
///
/// # Example
///
/// ```
/// assert_eq!(pgq_core::quote::literal("it's"), "'it''s'");
/// assert_eq!(pgq_core::quote::literal(r"a\b"), r"E'a\\b'");
/// ```
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Reads quoted texts back as the server's lexer does, so that tests can tell whether nothing slips out of the quotes.
#[cfg(test)]
pub(crate) mod lexer {
    /// Every text of up to four of the characters that matter to a lexer, and a few longer ones.
    pub(crate) fn nasty() -> impl Iterator<Item = String> {
        const PARTS: [&str; 10] = ["'", "\\", "\"", ";", "--", "/*", "$$", "E", "é", "\n"];
        let up_to_four = (0..=4).flat_map(|length| {
            (0..PARTS.len().pow(length)).map(move |mut number| {
                let mut text = String::new();
                for _ in 0..length {
                    text.push_str(PARTS[number % PARTS.len()]);
                    number /= PARTS.len();
                }
                text
            })
        });
        let longer =
            ["'; drop table x; --", r"\'; drop table x; --", "日本 🦀 it''s", r"C:\new\x41\u0041", "a, b"];
        up_to_four.chain(longer.map(String::from))
    }

    /// The value of the literal at the start, and what follows it; `None` if there is no whole literal.
    pub(crate) fn literal(sql: &str, standard_conforming_strings: bool) -> Option<(String, &str)> {
        let (body, escapes) = match sql.strip_prefix("E'") {
            Some(body) => (body, true),
            None => (sql.strip_prefix('\'')?, !standard_conforming_strings),
        };
        quoted(body, '\'', escapes)
    }

    /// The name in the identifier at the start, and what follows it; `None` if there is no whole identifier.
    pub(crate) fn ident(sql: &str) -> Option<(String, &str)> {
        quoted(sql.strip_prefix('"')?, '"', false)
    }

    fn quoted(body: &str, quote: char, escapes: bool) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut chars = body.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            if char == quote && chars.next_if(|&(_, next)| next == quote).is_none() {
                return Some((value, &body[at + quote.len_utf8()..]));
            }
            if char == '\\' && escapes {
                // Nothing else than a doubled backslash may follow one: `\n` or `\'` would be another text than was given.
                chars.next_if(|&(_, next)| next == '\\')?;
            }
            value.push(char);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_any_text() {
        for text in lexer::nasty() {
            let sql = literal(&text) + " AND";
            for standard_conforming_strings in [true, false] {
                let read = lexer::literal(&sql, standard_conforming_strings);
                assert_eq!(read, Some((text.clone(), " AND")), "{sql}");
            }
        }
    }

    #[test]
    fn identifiers_hold_any_name() {
        for name in lexer::nasty() {
            let sql = ident(&name) + " FOR";
            assert_eq!(lexer::ident(&sql), Some((name, " FOR")), "{sql}");
        }
    }

    #[test]
    fn first_dot_separates_schema_and_table() {
        assert_eq!(qualified("a.b.c"), r#""a"."b.c""#);
        assert_eq!(qualified("A b.C\"d"), r#""A b"."C""d""#);
        assert_eq!(qualified(".x"), "\"\".\"x\"");
        assert_eq!(qualified("x."), r#""x"."""#);
        assert_eq!(qualified(""), r#""""#);
    }
}
