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

macro_rules! files {
    ($folder:literal: $($name:literal)*) => {
        &[$(File { name: $name, sql: include_str!(concat!("../sql/", $folder, "/", $name, ".sql")) }),*]
    };
}

// In the order in which they run.
pub(crate) const PGQ: &[File] = files!("pgq":
    "schema" "tables" "version" "names" "insert_static" "insert" "insert_many" "ticker" "queue" "queue_tables" "consumer" "batch"
    "events" "retry" "info" "rotation" "maintenance" "repair" "trigger_values" "trigger_expressions" "trigger_table" "trigger_setup"
    "trigger_changes" "logutriga" "jsontriga" "sqltriga" "privileges" "grants");
pub(crate) const PGQ_COOP: &[File] =
    files!("pgq_coop": "schema" "version" "subconsumer" "batch" "privileges" "grants");
pub(crate) const PGQ_EXT: &[File] =
    files!("pgq_ext": "schema" "tables" "version" "tick" "batch" "event" "privileges" "grants");

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
            let mut listed: Vec<_> = schema.files().iter().map(|file| format!("{}.sql", file.name)).collect();
            listed.push("inventory.txt".to_owned());
            listed.sort();
            assert_eq!(listed, names_in(folder(schema.name())), "{schema}");
        }
        assert_eq!(names_in(folder("")), ["pgq", "pgq_coop", "pgq_ext", "roles.sql"]);
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
