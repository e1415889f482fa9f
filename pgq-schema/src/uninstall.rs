use pgq_core::{Installation, Result};

use crate::{Found, Plan, Schema, Setup, Step, Survey, rights, settings};

impl Setup {
    /// Plans the removal of what is there, in reverse order. The roles stay: they belong to the whole cluster, and other databases may use
    /// them. An empty schema stays too.
    ///
    /// # Errors
    /// Those of [`Installation`]: something is in use, is not ours, or the user lacks a right.
    pub fn uninstall(&self, survey: &Survey) -> Result<Plan> {
        let mut plan = Plan::new();
        for schema in self.schemas().rev() {
            let found = survey.found(schema);
            let decision = match &found {
                Found::Nothing | Found::Empty => "left as it is",
                Found::Unknown => return Err(Installation::UnknownOrigin { schema: schema.name() }.into()),
                Found::Extension { .. } | Found::Portable { .. } => {
                    self.refuse_users(schema, survey)?;
                    plan.push(self.drop(schema, &found, survey)?);
                    "to be dropped"
                }
            };
            plan.decide(schema, found, decision);
        }
        Ok(plan.between(settings::pin(), settings::restore(survey)))
    }

    fn refuse_users(&self, schema: Schema, survey: &Survey) -> Result<()> {
        let stays = |other: &Schema| {
            other.needs() == Some(schema)
                && !self.schemas().any(|dropped| dropped == *other)
                && !matches!(survey.found(*other), Found::Nothing | Found::Empty)
        };
        let users = match Schema::ALL.into_iter().find(stays) {
            Some(other) => Some(format!("schema {other}")),
            None if self.data => None,
            None => survey.value(schema.name(), "used by").map(str::to_owned),
        };
        users.map_or(Ok(()), |users| Err(Installation::InUse { schema: schema.name(), users }.into()))
    }

    fn drop(&self, schema: Schema, found: &Found, survey: &Survey) -> Result<Step> {
        if !matches!(found, Found::Extension { .. }) {
            rights::own(survey, schema)?;
            return Ok(Step::new(
                format!("{schema}: drop the schema"),
                format!("drop schema {schema} cascade;\n"),
            ));
        }
        if !survey.is(schema.name(), "may drop extension") {
            let remedy = format!("let one who may run `DROP EXTENSION {schema}`");
            return Err(rights::lack(survey, format!("the owner of the extension {schema}"), remedy));
        }
        let cascade = if self.data { " cascade" } else { "" };
        Ok(Step::new(format!("{schema}: drop the extension"), format!("drop extension {schema}{cascade};\n")))
    }
}
