use std::collections::BTreeSet;

use pgq_core::{Installation, Result};

use crate::{Engine, Found, Schema, Survey};

/// What is to be installed, and how. Makes [`Plan`](crate::Plan)s and scripts of it.
///
/// The schemas `pgq`, `pgq_coop` and `pgq_ext`, with the roles, unless it is told otherwise; and the extension where the server offers
/// it and the user may create it, else the portable engine. `pgq_dead` comes by [`only`](Self::only) alone: `only(Schema::ALL)` is
/// everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Setup {
    schemas: BTreeSet<Schema>,
    pub(crate) engine: Option<Engine>,
    pub(crate) roles: bool,
    pub(crate) data: bool,
}

impl Setup {
    /// The usual: see [`Setup`].
    pub fn new() -> Self {
        Self { schemas: Schema::USUAL.into(), engine: None, roles: true, data: false }
    }

    /// Insists on an engine.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Is about these schemas and no others.
    pub fn only(mut self, schemas: impl IntoIterator<Item = Schema>) -> Self {
        self.schemas = schemas.into_iter().collect();
        self
    }

    /// Leaves out the roles `pgq_reader`, `pgq_writer` and `pgq_admin`, which belong to the whole cluster and take the right to create
    /// roles. Only the owner of the schemas, and superusers, can work with PgQ then. The extension makes its roles in any case.
    pub fn without_roles(mut self) -> Self {
        self.roles = false;
        self
    }

    /// Lets an uninstallation drop queues with their events, recorded positions, dead letters, and what in other schemas depends on PgQ, such as
    /// triggers.
    pub fn with_data(mut self) -> Self {
        self.data = true;
        self
    }

    /// The schemas that it is about, in the order in which they are installed.
    pub fn schemas(&self) -> impl DoubleEndedIterator<Item = Schema> + '_ {
        self.schemas.iter().copied()
    }

    /// What is there of a schema, if it is something that can be worked with.
    pub(crate) fn found(&self, schema: Schema, survey: &Survey) -> Result<Found> {
        let name = schema.name();
        let other = |found: &Found, wanted| {
            let found = found.to_string();
            Installation::OtherEngine { schema: name, found, wanted }.into()
        };
        match (survey.found(schema), self.engine) {
            (Found::Unknown, _) => Err(Installation::UnknownOrigin { schema: name }.into()),
            (found @ Found::Extension { .. }, engine)
                if engine == Some(Engine::Portable) || schema != Schema::Pgq =>
            {
                Err(other(&found, "the portable engine"))
            }
            (found @ Found::Portable { .. }, Some(Engine::Extension)) if schema == Schema::Pgq => {
                Err(other(&found, "the extension"))
            }
            (found, _) => Ok(found),
        }
    }

    pub(crate) fn names(&self) -> String {
        self.schemas().map(Schema::name).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}
