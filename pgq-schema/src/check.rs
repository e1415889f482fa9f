use std::fmt;

use pgq_core::Result;

use crate::{Found, Inventory, Setup, Survey};

/// Something that is not as this library would install it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    item: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    Unexpected,
    Changed { expected: String, found: String },
}

impl Difference {
    pub(crate) fn missing(item: impl Into<String>) -> Self {
        Self { item: item.into(), kind: Kind::Missing }
    }

    pub(crate) fn unexpected(item: impl Into<String>) -> Self {
        Self { item: item.into(), kind: Kind::Unexpected }
    }

    pub(crate) fn changed(item: impl Into<String>, expected: &str, found: &str) -> Self {
        let (expected, found) = (expected.to_owned(), found.to_owned());
        Self { item: item.into(), kind: Kind::Changed { expected, found } }
    }

    /// What it is about, such as `function pgq.next_batch(text, text)` or `grant select on table pgq.queue to public`.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// What is there instead of what was expected; `None` where the item is missing, or should not be there.
    pub fn found(&self) -> Option<&str> {
        match &self.kind {
            Kind::Changed { found, .. } => Some(found),
            Kind::Missing | Kind::Unexpected => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = &self.item;
        match &self.kind {
            Kind::Missing => write!(f, "{item} is missing"),
            Kind::Unexpected => write!(f, "{item} should not be there"),
            Kind::Changed { expected, found } => write!(f, "{item} is `{found}`, and should be `{expected}`"),
        }
    }
}

impl Setup {
    /// Compares what is there with what this library would install. An extension is not looked into.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): something newer, of another engine or of unknown origin.
    pub fn check(&self, survey: &Survey, inventory: &Inventory) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        let mut ours = false;
        for schema in self.schemas() {
            match self.found(schema, survey)? {
                Found::Portable { release } => {
                    self.refuse_newer(schema, release)?;
                    differences.extend(inventory.differences(schema, self.roles));
                    ours = true;
                }
                Found::Nothing | Found::Empty => {
                    differences.push(Difference::missing(format!("schema {schema}")))
                }
                Found::Extension { .. } | Found::Unknown => {}
            }
        }
        if ours && self.roles {
            differences.extend(inventory.role_differences());
        }
        Ok(differences)
    }
}
