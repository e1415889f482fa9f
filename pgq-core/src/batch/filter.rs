use crate::{EventId, quote};

/// Chooses events of a batch by conditions that must all hold, so that the server sends no others.
///
/// The server still reads the whole batch, and finishing the batch finishes all of its events, also those that were not sent. An
/// event whose field is NULL meets no condition on it.
///
/// # Example
///
/// ```
/// use pgq_core::Filter;
///
/// let filter = Filter::new().tables(["public.orders", "public.items"]).type_prefixes(["I:"]);
/// assert_eq!(
///     filter.sql().as_deref(),
///     Some("ev_extra1 IN ('public.orders', 'public.items') AND (starts_with(ev_type, 'I:'))")
/// );
/// assert_eq!(Filter::new().sql(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Filter {
    conditions: Vec<String>,
}

impl Filter {
    /// Starts with no condition: every event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through the changes of these tables, by `ev_extra1` as PgQ's triggers fill it: `schema.table` without any quotes; for
    /// a partitioned table its partition. An empty list lets nothing through.
    pub fn tables<T: AsRef<str>>(self, tables: impl IntoIterator<Item = T>) -> Self {
        self.one_of("ev_extra1", tables)
    }

    /// Lets through events of these types. An empty list lets nothing through.
    pub fn types<T: AsRef<str>>(self, types: impl IntoIterator<Item = T>) -> Self {
        self.one_of("ev_type", types)
    }

    /// Lets through events whose type starts with one of these texts: `["I:", "U:"]` takes what `logutriga` writes for INSERT and
    /// UPDATE. An empty list lets nothing through.
    pub fn type_prefixes<T: AsRef<str>>(self, prefixes: impl IntoIterator<Item = T>) -> Self {
        let tests: Vec<_> = prefixes
            .into_iter()
            .map(|prefix| format!("starts_with(ev_type, {})", quote::literal(prefix.as_ref())))
            .collect();
        self.and(if tests.is_empty() { NOTHING.into() } else { format!("({})", tests.join(" OR ")) })
    }

    /// Lets through events with exactly this `ev_extra1`.
    pub fn extra1(self, value: &str) -> Self {
        self.one_of("ev_extra1", [value])
    }

    /// Lets through events with exactly this `ev_extra2`.
    pub fn extra2(self, value: &str) -> Self {
        self.one_of("ev_extra2", [value])
    }

    /// Lets through events with exactly this `ev_extra3`.
    pub fn extra3(self, value: &str) -> Self {
        self.one_of("ev_extra3", [value])
    }

    /// Lets through events with exactly this `ev_extra4`.
    pub fn extra4(self, value: &str) -> Self {
        self.one_of("ev_extra4", [value])
    }

    /// Lets through events with a larger id.
    pub(crate) fn after(self, event: EventId) -> Self {
        self.and(format!("ev_id > {}", event.0))
    }

    /// Gives the text for `extra_where` of `pgq.get_batch_cursor`; `None` if there is no condition.
    ///
    /// Every value is a literal in it, so that no value can become code.
    pub fn sql(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        Some(self.conditions.join(" AND "))
    }

    /// Whether there is no condition, so that every event passes.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    fn one_of<T: AsRef<str>>(self, column: &str, values: impl IntoIterator<Item = T>) -> Self {
        let literals: Vec<_> = values.into_iter().map(|value| quote::literal(value.as_ref())).collect();
        self.and(if literals.is_empty() {
            NOTHING.into()
        } else {
            format!("{column} IN ({})", literals.join(", "))
        })
    }

    fn and(mut self, condition: String) -> Self {
        self.conditions.push(condition);
        self
    }
}

const NOTHING: &str = "false";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::lexer;

    #[test]
    fn conditions_are_joined() {
        assert_eq!(Filter::new().sql(), None);
        assert!(Filter::new().is_empty());
        let filter = Filter::new().types(["a", "b"]).type_prefixes(["I:", "U:"]).extra1("1").extra2("2");
        assert_eq!(
            filter.extra3("3").extra4("4").types(["a"]).sql().unwrap(),
            "ev_type IN ('a', 'b') AND (starts_with(ev_type, 'I:') OR starts_with(ev_type, 'U:')) AND ev_extra1 IN ('1') \
             AND ev_extra2 IN ('2') AND ev_extra3 IN ('3') AND ev_extra4 IN ('4') AND ev_type IN ('a')"
        );
    }

    #[test]
    fn empty_list_lets_nothing_through() {
        let none = [""; 0];
        assert_eq!(Filter::new().types(none).sql().unwrap(), "false");
        assert!(!Filter::new().types(none).is_empty());
        assert_eq!(Filter::new().tables(none).extra4("x").sql().unwrap(), "false AND ev_extra4 IN ('x')");
        assert_eq!(Filter::new().type_prefixes(none).sql().unwrap(), "false");
    }

    #[test]
    fn no_value_gets_out_of_its_quotes() {
        for value in lexer::nasty() {
            let values = [value.as_str(), "next"];
            let filter = Filter::new().tables(values).types(values).type_prefixes(values).extra1(&value);
            let sql = filter.extra2(&value).extra3(&value).extra4(&value).sql().unwrap();
            for standard_conforming_strings in [true, false] {
                assert_eq!(
                    with_placeholders(&sql, &value, standard_conforming_strings),
                    "ev_extra1 IN (?, 'next') AND ev_type IN (?, 'next') AND (starts_with(ev_type, ?) OR \
                     starts_with(ev_type, 'next')) AND ev_extra1 IN (?) AND ev_extra2 IN (?) AND ev_extra3 IN (?) AND \
                     ev_extra4 IN (?)",
                    "{sql}"
                );
            }
        }
    }

    fn with_placeholders(mut sql: &str, value: &str, standard_conforming_strings: bool) -> String {
        let mut text = String::new();
        while let Some(next) = sql.chars().next() {
            match lexer::literal(sql, standard_conforming_strings) {
                Some((read, rest)) => {
                    text.push_str(if read == value { "?" } else { "'next'" });
                    sql = rest;
                }
                None => {
                    text.push(next);
                    sql = &sql[next.len_utf8()..];
                }
            }
        }
        text
    }
}
