use pgq_core::Call;

use crate::survey::Facts;
use crate::{Found, Schema, Setup, Survey};

impl Setup {
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
    }
}
