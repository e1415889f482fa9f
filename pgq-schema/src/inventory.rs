use std::collections::BTreeMap;

use pgq_core::Call;

use crate::{Difference, Schema};

/// What a database has in the schemas, down to columns, bodies of functions and grants. Queues and their tables do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    schemas: BTreeMap<String, Items>,
}

/// The definition of each item, such as `column pgq.queue.queue_name` or `grant select on table pgq.queue to public`.
type Items = BTreeMap<String, String>;

const ROLES: &str = "roles";

impl Inventory {
    /// Reads the catalogs; takes no lock and no right. The answer depends on settings of the session:
    /// [`Setup::pin`](crate::Setup::pin) comes first, in the same transaction.
    pub fn ask() -> Call<'static, Self> {
        Call::texts("inventory", include_str!("inventory.sql")).map(|rows| {
            let mut inventory = Self::default();
            for row in rows {
                let mut columns = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || columns.next().unwrap_or_default();
                let (schema, item, definition) = (next(), next(), next());
                inventory.schemas.entry(schema).or_default().insert(item, definition);
            }
            inventory
        })
    }

    /// The inventory of a schema as text: a line for each item, `item: definition`. What this library expects is such a text too.
    pub fn text(&self, schema: Schema) -> String {
        let items = self.schemas.get(schema.name()).into_iter().flatten();
        items.map(|(item, definition)| format!("{item}: {definition}").trim_end().to_owned() + "\n").collect()
    }

    pub(crate) fn differences(&self, schema: Schema, roles: bool) -> Vec<Difference> {
        let nothing = Items::new();
        let found = self.schemas.get(schema.name()).unwrap_or(&nothing);
        let wanted = |item: &str| roles || !is_granted_to_role(item);
        compare(found, &expected(schema)).into_iter().filter(|difference| wanted(difference.item())).collect()
    }

    pub(crate) fn role_differences(&self) -> Vec<Difference> {
        let there = |item: &str| self.schemas.get(ROLES).is_some_and(|items| items.contains_key(item));
        let wanted = [
            "role pgq_reader",
            "role pgq_writer",
            "role pgq_admin",
            "membership pgq_admin in pgq_reader",
            "membership pgq_admin in pgq_writer",
        ];
        wanted.into_iter().filter(|item| !there(item)).map(Difference::missing).collect()
    }
}

fn compare(found: &Items, expected: &Items) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (item, definition) in expected {
        match found.get(item) {
            None => differences.push(Difference::missing(item.as_str())),
            Some(other) if other != definition => {
                differences.push(Difference::changed(item, definition, other))
            }
            Some(_) => {}
        }
    }
    let unexpected = found.keys().filter(|item| !expected.contains_key(*item) && matters(item, expected));
    differences.extend(unexpected.map(Difference::unexpected));
    differences
}

/// What somebody added beside ours matters where it changes how ours works: not an index, or a function of another name.
fn matters(item: &str, expected: &Items) -> bool {
    match item.split_once(' ') {
        Some(("function", name)) => {
            let overloaded = format!("function {}(", name.split('(').next().unwrap_or_default());
            starts_one(expected, &overloaded)
        }
        Some(("column", name)) => {
            let table = name.rsplit_once('.').map_or(name, |(table, _)| table);
            expected.contains_key(&format!("table {table}"))
        }
        Some(("constraint" | "trigger", name)) => {
            let table = name.rsplit_once(" on ").map_or(name, |(_, table)| table);
            expected.contains_key(&format!("table {table}"))
        }
        Some(("grant", grant)) => {
            let object = grant.split_once(" on ").and_then(|(_, rest)| rest.rsplit_once(" to "));
            object.is_some_and(|(object, _)| expected.contains_key(object))
        }
        _ => false,
    }
}

fn starts_one(expected: &Items, start: &str) -> bool {
    expected.range(start.to_owned()..).next().is_some_and(|(item, _)| item.starts_with(start))
}

fn is_granted_to_role(item: &str) -> bool {
    item.starts_with("grant ") && !item.ends_with(" to public")
}

fn expected(schema: Schema) -> Items {
    let line = |line: &str| {
        let (item, definition) = line.split_once(':').unwrap_or((line, ""));
        (item.to_owned(), definition.trim_start().to_owned())
    };
    expected_text(schema).lines().map(line).collect()
}

fn expected_text(schema: Schema) -> &'static str {
    match schema {
        Schema::Pgq => include_str!("../sql/pgq/inventory.txt"),
        Schema::PgqCoop => include_str!("../sql/pgq_coop/inventory.txt"),
        Schema::PgqExt => include_str!("../sql/pgq_ext/inventory.txt"),
        Schema::PgqDead => include_str!("../sql/pgq_dead/inventory.txt"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(texts: &[&str]) -> Items {
        texts
            .iter()
            .map(|text| text.split_once(": ").unwrap_or((text, "")))
            .map(|(a, b)| (a.into(), b.into()))
            .collect()
    }

    #[test]
    fn what_is_missing_changed_or_in_the_way_differs() {
        let expected = items(&[
            "table s.t: table permanent",
            "column s.t.a: 1 text",
            "function s.f(text): body 1",
            "schema s",
        ]);
        let found = items(&[
            "table s.t: table permanent",
            "column s.t.a: 1 integer",
            "schema s",
            "column s.t.b: 2 text",
            "function s.f(text, text): body 2",
            "trigger x on s.t: ...",
            "grant select on table s.t to public",
            // These are nobody's business.
            "function s.mine(text): body 3",
            "table s.mine: table permanent",
            "column s.mine.a: 1 text",
            "index s.t_mine: ...",
            "grant select on table s.mine to public",
        ]);
        let differences: Vec<_> = compare(&found, &expected).iter().map(ToString::to_string).collect();
        assert_eq!(
            differences,
            [
                "column s.t.a is `1 integer`, and should be `1 text`",
                "function s.f(text) is missing",
                "column s.t.b should not be there",
                "function s.f(text, text) should not be there",
                "grant select on table s.t to public should not be there",
                "trigger x on s.t should not be there",
            ]
        );
        assert_eq!(compare(&expected, &expected), []);
    }

    #[test]
    fn every_release_is_expected_to_say_so() {
        for schema in Schema::ALL {
            assert!(
                expected(schema).contains_key(&format!("function {schema}.portable_release()")),
                "{schema}"
            );
            assert!(expected(schema).keys().any(|item| is_granted_to_role(item)), "{schema}");
        }
    }
}
