use pgq_core::{Installation, Result};

use crate::{Engine, Found, Plan, Schema, Setup, Step, Survey, portable, rights, session};

impl Setup {
    /// Plans the installation of what is not there. What is there is kept as it is, of whichever release.
    ///
    /// # Errors
    /// Those of [`Installation`]: another engine, something of unknown origin, or a right that the user lacks.
    pub fn install(&self, survey: &Survey) -> Result<Plan> {
        let mut plan = Plan::new();
        let mut grants = false;
        for schema in self.schemas() {
            let found = self.found(schema, survey)?;
            let decision = match &found {
                Found::Nothing | Found::Empty => match self.engine_for(schema, &found, survey) {
                    Engine::Extension => create_extension(&found, survey, &mut plan)?,
                    Engine::Portable => {
                        portable::install(self, schema, survey, &mut plan)?;
                        grants = true;
                        format!("new: the portable engine, release {}", schema.release())
                    }
                },
                Found::Portable { release } => {
                    let age = age(schema, *release);
                    let is_known = *release <= schema.release();
                    if self.roles && is_known && !survey.is(schema.name(), "granted") {
                        portable::grant(schema, survey, &mut plan)?;
                        grants = true;
                        format!("grants to the roles{age}")
                    } else {
                        format!("kept{age}")
                    }
                }
                Found::Extension { .. } | Found::Unknown => "kept".to_owned(),
            };
            plan.decide(schema, found, decision);
        }
        self.finish(plan, grants, survey)
    }

    /// Puts the roles in front, if something is granted to them, and the settings of the session around it all.
    pub(crate) fn finish(&self, mut plan: Plan, grants: bool, survey: &Survey) -> Result<Plan> {
        if grants && self.roles {
            if let Some(roles) = rights::roles(survey)? {
                plan.push_first(roles);
            }
        }
        Ok(plan.between(session::pin(), session::restore(survey)))
    }

    fn engine_for(&self, schema: Schema, found: &Found, survey: &Survey) -> Engine {
        let offered = *found == Found::Nothing && survey.creatable_extension().is_some();
        match (schema, self.engine) {
            (Schema::Pgq, Some(engine)) => engine,
            (Schema::Pgq, None) if offered => Engine::Extension,
            _ => Engine::Portable,
        }
    }
}

fn create_extension(found: &Found, survey: &Survey, plan: &mut Plan) -> Result<String> {
    let problem = if !survey.is("", "extension offered") {
        Some(
            "the server does not have it: install its package (Debian, Ubuntu: postgresql-<version>-pgq3), or take the portable engine",
        )
    } else if *found == Found::Empty {
        Some("it makes its schema itself: drop the empty schema pgq")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(Installation::NoExtension { problem }.into());
    }
    let Some(version) = survey.creatable_extension() else {
        let remedy = "let one run `CREATE EXTENSION pgq`, or take the portable engine";
        return Err(rights::lack(survey, "create the extension pgq", "a superuser", remedy));
    };
    plan.push(Step::new("pgq: the extension", "create extension pgq;\n"));
    Ok(format!("new: the extension, version {version}"))
}

fn age(schema: Schema, release: i32) -> &'static str {
    match release.cmp(&schema.release()) {
        std::cmp::Ordering::Less => "; an upgrade is possible",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "; it is newer than this library",
    }
}
