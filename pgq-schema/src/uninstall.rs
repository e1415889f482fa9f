use pgq_core::{Call, Installation, Result};

use crate::survey::Facts;
use crate::{Found, Plan, Schema, Setup, Step, Survey, rights, session};

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
                    "removal"
                }
            };
            plan.decide(schema, found, decision);
        }
        Ok(plan.between(session::pin(), session::restore(survey)))
    }

    /// The question for what an uninstallation would destroy; its answer belongs into the survey. `None` where nothing of ours is there, or
    /// where it is to be destroyed.
    pub fn contents(&self, survey: &Survey) -> Option<Call<'static, Facts>> {
        let there = |schema: &Schema| {
            matches!(survey.found(*schema), Found::Portable { .. } | Found::Extension { .. })
        };
        let of = |schema: Schema| {
            let data = data(schema, survey);
            let dependents = include_str!("dependents.sql").replace("{schema}", schema.name());
            format!(
                "select '{schema}', 'used by', string_agg(what, ', ') from ({data} union all {dependents}) as used (what)"
            )
        };
        let sql = self.schemas().filter(there).map(of).collect::<Vec<_>>().join("\nunion all\n");
        (!sql.is_empty() && !self.data).then(|| {
            Call::texts(
                "contents",
                format!("select * from ({sql}) as facts (about, key, value) where value is not null"),
            )
        })
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
            rights::own(survey, schema, "drop")?;
            return Ok(Step::new(
                format!("{schema}: drop the schema"),
                format!("drop schema {schema} cascade;\n"),
            ));
        }
        if !survey.is(schema.name(), "may drop extension") {
            let action = format!("drop the extension {schema}");
            let remedy = format!("let one who may run `DROP EXTENSION {schema}`");
            return Err(rights::lack(survey, action, "the rights of its owner", remedy));
        }
        let cascade = if self.data { " cascade" } else { "" };
        Ok(Step::new(format!("{schema}: drop the extension"), format!("drop extension {schema}{cascade};\n")))
    }
}

fn data(schema: Schema, survey: &Survey) -> &'static str {
    match schema {
        Schema::Pgq => "select count(*) || ' queue(s)' from pgq.queue having count(*) > 0",
        Schema::PgqCoop if matches!(survey.found(Schema::Pgq), Found::Nothing | Found::Empty) => "select null where false",
        Schema::PgqCoop => {
            "select count(*) || ' subconsumer(s)' from pgq.subscription s
             where exists (select from pgq.subscription o where o.sub_id = s.sub_id and o.sub_consumer < s.sub_consumer)
             having count(*) > 0"
        }
        Schema::PgqExt => {
            "select 'the recorded positions of ' || count(*) || ' consumer(s)' from (
                 select consumer_id from pgq_ext.completed_tick union select consumer_id from pgq_ext.completed_batch
                 union select consumer_id from pgq_ext.completed_event union select consumer_id from pgq_ext.partial_batch) c
             having count(*) > 0"
        }
        Schema::PgqDead => "select count(*) || ' dead letter(s)' from pgq_dead.letter having count(*) > 0",
    }
}
