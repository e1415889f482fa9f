/// A file of SQL: its name without `.sql`, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// What creates the schema itself.
pub(crate) const SCHEMA: &str = "schema";
/// What is left out where the roles are not wanted.
pub(crate) const GRANTS: &str = "grants";

pub(crate) const ROLES: &str = include_str!("../sql/roles.sql");

// In the order in which they run.
pub(crate) const PGQ: &[File] = &[
    File { name: SCHEMA, sql: include_str!("../sql/pgq/schema.sql") },
    File { name: "tables", sql: include_str!("../sql/pgq/tables.sql") },
    File { name: "version", sql: include_str!("../sql/pgq/version.sql") },
    File { name: "names", sql: include_str!("../sql/pgq/names.sql") },
    File { name: "insert_static", sql: include_str!("../sql/pgq/insert_static.sql") },
    File { name: "insert", sql: include_str!("../sql/pgq/insert.sql") },
    File { name: "insert_many", sql: include_str!("../sql/pgq/insert_many.sql") },
    File { name: "ticker", sql: include_str!("../sql/pgq/ticker.sql") },
    File { name: "queue", sql: include_str!("../sql/pgq/queue.sql") },
    File { name: "queue_tables", sql: include_str!("../sql/pgq/queue_tables.sql") },
    File { name: "consumer", sql: include_str!("../sql/pgq/consumer.sql") },
    File { name: "batch", sql: include_str!("../sql/pgq/batch.sql") },
    File { name: "events", sql: include_str!("../sql/pgq/events.sql") },
    File { name: "retry", sql: include_str!("../sql/pgq/retry.sql") },
    File { name: "info", sql: include_str!("../sql/pgq/info.sql") },
    File { name: "rotation", sql: include_str!("../sql/pgq/rotation.sql") },
    File { name: "maintenance", sql: include_str!("../sql/pgq/maintenance.sql") },
    File { name: "repair", sql: include_str!("../sql/pgq/repair.sql") },
    File { name: "trigger_values", sql: include_str!("../sql/pgq/trigger_values.sql") },
    File { name: "trigger_expressions", sql: include_str!("../sql/pgq/trigger_expressions.sql") },
    File { name: "trigger_table", sql: include_str!("../sql/pgq/trigger_table.sql") },
    File { name: "trigger_setup", sql: include_str!("../sql/pgq/trigger_setup.sql") },
    File { name: "trigger_changes", sql: include_str!("../sql/pgq/trigger_changes.sql") },
    File { name: "logutriga", sql: include_str!("../sql/pgq/logutriga.sql") },
    File { name: "jsontriga", sql: include_str!("../sql/pgq/jsontriga.sql") },
    File { name: "sqltriga", sql: include_str!("../sql/pgq/sqltriga.sql") },
    File { name: "privileges", sql: include_str!("../sql/pgq/privileges.sql") },
    File { name: GRANTS, sql: include_str!("../sql/pgq/grants.sql") },
];
pub(crate) const PGQ_COOP: &[File] = &[
    File { name: SCHEMA, sql: include_str!("../sql/pgq_coop/schema.sql") },
    File { name: "version", sql: include_str!("../sql/pgq_coop/version.sql") },
    File { name: "subconsumer", sql: include_str!("../sql/pgq_coop/subconsumer.sql") },
    File { name: "batch", sql: include_str!("../sql/pgq_coop/batch.sql") },
    File { name: "privileges", sql: include_str!("../sql/pgq_coop/privileges.sql") },
    File { name: GRANTS, sql: include_str!("../sql/pgq_coop/grants.sql") },
];
pub(crate) const PGQ_EXT: &[File] = &[
    File { name: SCHEMA, sql: include_str!("../sql/pgq_ext/schema.sql") },
    File { name: "tables", sql: include_str!("../sql/pgq_ext/tables.sql") },
    File { name: "version", sql: include_str!("../sql/pgq_ext/version.sql") },
    File { name: "tick", sql: include_str!("../sql/pgq_ext/tick.sql") },
    File { name: "batch", sql: include_str!("../sql/pgq_ext/batch.sql") },
    File { name: "event", sql: include_str!("../sql/pgq_ext/event.sql") },
    File { name: "privileges", sql: include_str!("../sql/pgq_ext/privileges.sql") },
    File { name: GRANTS, sql: include_str!("../sql/pgq_ext/grants.sql") },
];
pub(crate) const PGQ_DEAD: &[File] = &[
    File { name: SCHEMA, sql: include_str!("../sql/pgq_dead/schema.sql") },
    File { name: "tables", sql: include_str!("../sql/pgq_dead/tables.sql") },
    File { name: "version", sql: include_str!("../sql/pgq_dead/version.sql") },
    File { name: "add", sql: include_str!("../sql/pgq_dead/add.sql") },
    File { name: "list", sql: include_str!("../sql/pgq_dead/list.sql") },
    File { name: "remove", sql: include_str!("../sql/pgq_dead/remove.sql") },
    File { name: "privileges", sql: include_str!("../sql/pgq_dead/privileges.sql") },
    File { name: GRANTS, sql: include_str!("../sql/pgq_dead/grants.sql") },
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::Schema;

    fn folder(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sql").join(name)
    }

    fn names_in(folder: PathBuf) -> Vec<String> {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn the_lists_are_what_is_in_the_folders() {
        for schema in Schema::ALL {
            for file in schema.files() {
                let path = folder(schema.name()).join(format!("{}.sql", file.name));
                assert_eq!(fs::read_to_string(&path).unwrap(), file.sql, "{}", path.display());
            }
            let mut listed: Vec<_> = schema.files().iter().map(|file| format!("{}.sql", file.name)).collect();
            listed.push("inventory.txt".to_owned());
            listed.sort();
            assert_eq!(listed, names_in(folder(schema.name())), "{schema}");
        }
        assert_eq!(names_in(folder("")), ["pgq", "pgq_coop", "pgq_dead", "pgq_ext", "roles.sql"]);
    }

    #[test]
    fn the_schema_comes_first_and_the_grants_come_last() {
        for schema in Schema::ALL {
            let names: Vec<_> = schema.files().iter().map(|file| file.name).collect();
            assert_eq!(names.first(), Some(&SCHEMA), "{schema}");
            assert_eq!(names[names.len() - 2..], ["privileges", GRANTS], "{schema}");
        }
    }

    /// Databases of any encoding store it alike, psql needs to know nothing, and no migration tool finds a placeholder in it.
    #[test]
    fn the_text_is_fit_for_every_tool() {
        let files = Schema::ALL.into_iter().flat_map(Schema::files).map(|file| (file.name, file.sql));
        for (name, sql) in files.chain([("roles", ROLES)]) {
            assert!(sql.is_ascii(), "{name}");
            assert!(sql.ends_with(";\n"), "{name}");
            assert!(!sql.contains("${") && !sql.contains('\r'), "{name}");
            for line in sql.lines().map(str::trim_start) {
                let word =
                    line.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_lowercase();
                let ends_transaction =
                    matches!(word.as_str(), "commit" | "rollback") || line.eq_ignore_ascii_case("begin;");
                assert!(!line.starts_with('\\') && !ends_transaction, "{name}: {line}");
            }
        }
    }
}
