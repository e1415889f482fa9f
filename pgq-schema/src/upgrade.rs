use pgq_core::{Installation, Result};

use crate::{Found, Inventory, Plan, Schema, Setup, Step, Survey, portable, session};

impl Setup {
    /// The step before the question for the [`Inventory`], in the same transaction: it makes the answer independent of the session.
    pub fn pin(&self) -> Step {
        session::pin()
    }

    /// Plans the upgrade of what is there and is of an earlier release, and the repair of what is of this one and differs from what it
    /// should be. What is not there is left out; an extension is left to `ALTER EXTENSION`.
    ///
    /// # Errors
    /// Those of [`Installation`]: nothing is there, or something newer, of another engine or of unknown origin, or the user lacks a right.
    pub fn upgrade(&self, survey: &Survey, inventory: &Inventory) -> Result<Plan> {
        let mut plan = Plan::new();
        let mut grants = false;
        for schema in self.schemas() {
            let found = self.found(schema, survey)?;
            let decision = match &found {
                Found::Portable { release } if self.is_current(schema, *release, inventory)? => {
                    "kept".to_owned()
                }
                Found::Portable { release } => {
                    portable::upgrade(self, schema, *release, survey, &mut plan)?;
                    grants = true;
                    match schema.release() {
                        current if *release < current => format!("upgrade to release {current}"),
                        _ => "repair".to_owned(),
                    }
                }
                Found::Extension { .. } | Found::Unknown => "kept".to_owned(),
                Found::Nothing | Found::Empty => "left out".to_owned(),
            };
            plan.decide(schema, found, decision);
        }
        let nothing = |schema| matches!(survey.found(schema), Found::Nothing | Found::Empty);
        if self.schemas().all(nothing) {
            return Err(Installation::NothingThere { schemas: self.names() }.into());
        }
        self.finish(plan, grants, survey)
    }

    fn is_current(&self, schema: Schema, release: i32, inventory: &Inventory) -> Result<bool> {
        self.refuse_newer(schema, release)?;
        Ok(release == schema.release() && inventory.differences(schema, self.roles).is_empty())
    }

    pub(crate) fn refuse_newer(&self, schema: Schema, found: i32) -> Result<()> {
        let known = schema.release();
        if found > known {
            return Err(Installation::NewerRelease { schema: schema.name(), found, known }.into());
        }
        Ok(())
    }
}

/// What an upgrade does before it runs the files: a change of tables that `create ... if not exists` does not make.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) schema: Schema,
    /// The release that it leads to. It runs where an earlier one is installed.
    pub(crate) release: i32,
    pub(crate) sql: &'static str,
}

/// In the order in which they run. Release 1 is the first, so nothing leads to it.
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// Functions of earlier releases that are no more, as `name(argument types)`. Every upgrade drops them.
pub(crate) const REMOVED: &[(Schema, &str)] = &[];

/// Those that lead further than the installed release.
pub(crate) fn migrations_after(
    all: &'static [Migration],
    schema: Schema,
    installed: i32,
) -> impl Iterator<Item = &'static Migration> {
    all.iter().filter(move |migration| migration.schema == schema && migration.release > installed)
}

/// What drops the functions that are no more; `None` where there are none.
pub(crate) fn drop_removed(all: &[(Schema, &str)], schema: Schema) -> Option<String> {
    let functions = all.iter().filter(|(of, _)| *of == schema);
    let sql: String =
        functions.map(|(_, function)| format!("drop function if exists {schema}.{function};\n")).collect();
    (!sql.is_empty()).then_some(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: &[Migration] = &[
        Migration { schema: Schema::Pgq, release: 2, sql: "two" },
        Migration { schema: Schema::PgqExt, release: 2, sql: "other" },
        Migration { schema: Schema::Pgq, release: 3, sql: "three" },
    ];

    #[test]
    fn what_leads_further_runs_in_order() {
        let sql =
            |installed| migrations_after(HISTORY, Schema::Pgq, installed).map(|m| m.sql).collect::<Vec<_>>();
        assert_eq!(sql(1), ["two", "three"]);
        assert_eq!(sql(2), ["three"]);
        assert_eq!(sql(3), [""; 0]);
    }

    #[test]
    fn no_migration_leads_further_than_the_library() {
        let known = |migration: &Migration| (2..=migration.schema.release()).contains(&migration.release);
        assert!(MIGRATIONS.iter().all(known));
        assert!(MIGRATIONS.is_sorted_by_key(|migration| migration.release));
    }

    #[test]
    fn functions_that_are_no_more_are_dropped() {
        let removed = [(Schema::Pgq, "old(text)"), (Schema::PgqExt, "f()"), (Schema::Pgq, "older()")];
        let sql = "drop function if exists pgq.old(text);\ndrop function if exists pgq.older();\n";
        assert_eq!(drop_removed(&removed, Schema::Pgq).as_deref(), Some(sql));
        assert_eq!(drop_removed(&removed, Schema::PgqCoop), None);
    }
}
