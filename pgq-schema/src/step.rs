use std::borrow::Cow;
use std::fmt;

use pgq_core::{DatabaseError, Error, Installation};

/// A part of a [`Plan`](crate::Plan): some statements and what they are for.
///
/// `Debug` leaves the statements out.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    title: Cow<'static, str>,
    sql: Cow<'static, str>,
}

impl Step {
    pub(crate) fn new(title: impl Into<Cow<'static, str>>, sql: impl Into<Cow<'static, str>>) -> Self {
        Self { title: title.into(), sql: sql.into() }
    }

    /// What it is for, such as `pgq: tables`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What the title begins with: the name of a schema, `roles` or `session`.
    pub(crate) fn part(&self) -> &str {
        self.title.split(':').next().unwrap_or_default()
    }

    /// The statements, separated by semicolons.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The error for a step that failed with `source`.
    pub fn error(&self, source: impl Into<DatabaseError>) -> Error {
        let title = self.title.clone().into_owned();
        Installation::Step { title, source: source.into() }.into()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.title).finish()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}
