use std::fmt::Write as _;

use crate::survey::release;
use crate::{Schema, Setup, files, session, upgrade};

impl Setup {
    /// All of it as one script, of the portable engine, for a migration tool: it installs what is not there and brings what is there to the
    /// release of this library. Can be run again.
    ///
    /// Plain SQL, for a multi-statement query, in one transaction; it does not begin or end one. Fails, and says why, where something else
    /// than the portable engine is there, or a schema of another role: its functions would run, and ours would get another owner.
    pub fn sql(&self) -> String {
        let mut script =
            format!("-- PgQ, the portable engine: {}. Run it in one transaction.\n", self.names());
        for schema in self.schemas() {
            script.push_str(&guard(self, schema));
        }
        if self.roles {
            section(&mut script, "roles", files::ROLES);
        }
        for schema in self.schemas() {
            for migration in upgrade::migrations_after(upgrade::MIGRATIONS, schema, 0) {
                let title = format!("{schema}: tables of release {}", migration.release);
                section(&mut script, &title, &unless_newer(schema, migration.release, migration.sql));
            }
            if let Some(removed) = upgrade::drop_removed(upgrade::REMOVED, schema) {
                let removed = unless_newer(schema, schema.release() + 1, &removed);
                section(&mut script, &format!("{schema}: functions that are no more"), &removed);
            }
            for file in schema.files().iter().filter(|file| file.name != files::GRANTS || self.roles) {
                section(&mut script, &format!("{schema}: {}", file.name), file.sql);
            }
        }
        script
    }
}

fn section(script: &mut String, title: &str, sql: &str) {
    // Writing into a String does not fail.
    let _ = write!(script, "\n-- {title}\n\n{sql}");
}

/// Refuses what [`Setup::install`] and [`Setup::upgrade`] refuse.
fn guard(setup: &Setup, schema: Schema) -> String {
    let need = match schema.needs() {
        Some(needed) if setup.schemas().all(|wanted| wanted != needed) => format!(
            "    if pg_catalog.to_regnamespace('{needed}') is null then
        raise exception 'schema {schema} needs schema {needed}, which is not there'
            using hint = 'Install both.';
    end if;\n"
        ),
        _ => String::new(),
    };
    let (lock, known) = (session::take_lock(), schema.release());
    let find_release = find_release(schema);
    let others = match names_without(schema, setup.schemas()) {
        none if none.is_empty() => names_without(schema, Schema::USUAL),
        others => others,
    };
    format!(
        "
do $$
declare
    v_release   integer;
    v_owner     name;
begin
    {lock}
{need}    if exists (select from pg_catalog.pg_extension where extname = '{schema}') then
        raise exception 'schema {schema} is that of an extension'
            using hint = 'Keep it and leave {schema} out: print the script with `print_sql --only {others}`, or '
                'Installer::only. docs/engines.md tells how to move to the portable engine.';
    end if;
    {find_release}
    if v_release is not null then
        if v_release > {known} then
            raise exception 'schema {schema} is of release %, and this script is of release {known}', v_release
                using hint = 'Use the script of a newer library.';
        end if;
    elsif exists (
        select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace('{schema}')
        union all
        select from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('{schema}')
    ) then
        raise exception 'schema {schema} was made by neither an extension nor the portable engine'
            using hint = 'Keep it and leave {schema} out, or drain its queues, drop it and run this again.';
    end if;
    select pg_catalog.pg_get_userbyid(nspowner) into v_owner from pg_catalog.pg_namespace where nspname = '{schema}';
    if v_owner <> current_user then
        raise exception 'schema {schema} belongs to role %, and this is run by %', v_owner, current_user
            using hint = pg_catalog.format('Run it as that role: SET ROLE %I.', v_owner);
    end if;
end
$$;
"
    )
}

fn names_without(schema: Schema, schemas: impl IntoIterator<Item = Schema>) -> String {
    let others = schemas.into_iter().filter(|other| *other != schema).map(Schema::name);
    others.collect::<Vec<_>>().join(",")
}

/// Runs the statements where an earlier release is installed.
fn unless_newer(schema: Schema, release: i32, sql: &str) -> String {
    let find_release = find_release(schema);
    format!(
        "do $guard$
declare
    v_release   integer;
begin
    {find_release}
    if v_release < {release} then
        execute $migration$
{sql}
$migration$;
    end if;
end
$guard$;
"
    )
}

/// What sets `v_release`, to null where there is none.
fn find_release(schema: Schema) -> String {
    let release = release(&format!("pg_catalog.to_regnamespace('{schema}')"));
    format!("v_release := (\n{release});")
}
