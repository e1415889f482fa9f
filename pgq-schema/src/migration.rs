use crate::Schema;

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
pub(crate) fn after(
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
        let sql = |installed| after(HISTORY, Schema::Pgq, installed).map(|m| m.sql).collect::<Vec<_>>();
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
