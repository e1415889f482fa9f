use std::collections::BTreeMap;

use pgq_core::Call;

use crate::{Found, Schema};

/// What is in a database, and what the user may do there: all that a [`Plan`](crate::Plan) is made from.
///
/// Reads the catalogs only: nothing that somebody may have put into the schemas is run.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    facts: BTreeMap<(String, String), String>,
}

/// Rows of (about, key, value).
pub type Facts = Vec<Vec<Option<String>>>;

impl Survey {
    /// The question: takes no lock and no right.
    pub fn ask() -> Call<'static, Self> {
        let sql = include_str!("survey.sql").replace("{release}", &release("s.oid"));
        Call::texts("survey", sql).map(|facts| {
            let mut survey = Self::default();
            survey.add(facts);
            survey
        })
    }

    /// Adds what a further question was answered with.
    pub fn add(&mut self, facts: Facts) {
        for fact in facts {
            let mut columns = fact.into_iter().map(Option::unwrap_or_default);
            let (about, key) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
            self.facts.insert((about, key), columns.next().unwrap_or_default());
        }
    }

    /// What is there of a schema.
    pub fn found(&self, schema: Schema) -> Found {
        let name = schema.name();
        if let Some(version) = self.value(name, "extension") {
            return Found::Extension { version: version.to_owned() };
        }
        match self.value(name, "release").map(str::parse) {
            Some(Ok(release)) => Found::Portable { release },
            _ if self.is(name, "content") => Found::Unknown,
            _ if self.is(name, "owner") => Found::Empty,
            _ => Found::Nothing,
        }
    }

    /// Whether the transaction of the survey keeps its snapshot: what others commit meanwhile cannot be seen in one like it.
    pub fn keeps_snapshot(&self) -> bool {
        self.text("isolation") != "read committed"
    }

    /// Whether both surveys were made in one transaction, which a caller has begun.
    pub fn is_of_same_transaction(&self, other: &Self) -> bool {
        self.text("transaction began") == other.text("transaction began")
    }

    pub(crate) fn user(&self) -> &str {
        self.value("", "user").unwrap_or_default()
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.value("", key).unwrap_or_default()
    }

    /// Whether a fact about the session is true.
    pub(crate) fn says(&self, key: &str) -> bool {
        self.value("", key) == Some("true")
    }

    /// Whether there is this fact.
    pub(crate) fn is(&self, about: &str, key: &str) -> bool {
        self.value(about, key).is_some()
    }

    pub(crate) fn owner(&self, schema: Schema) -> Option<&str> {
        self.value(schema.name(), "owner")
    }

    /// The version of the extension that the server offers and this user may create.
    pub(crate) fn creatable_extension(&self) -> Option<&str> {
        let offered = self.value("", "extension offered")?;
        let (version, needs) = offered.split_once(' ').unwrap_or((offered, ""));
        let may = self.says("superuser") || needs != "superuser" && self.says("create schemas");
        may.then_some(version)
    }

    pub(crate) fn value(&self, about: &str, key: &str) -> Option<&str> {
        self.facts.get(&(about.to_owned(), key.to_owned())).map(String::as_str)
    }
}

/// The query for the release of a schema, which is an expression for its oid. As text; no row, or null, where it has none.
pub(crate) fn release(schema: &str) -> String {
    include_str!("release.sql").replace("{schema}", schema)
}
