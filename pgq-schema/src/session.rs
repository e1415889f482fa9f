use pgq_core::quote;

use crate::{Schema, Setup, Step, Survey};

/// What the session is set to while a plan runs, so that names and defaults are read, and shown, as they were written.
const PINNED: &[(&str, &str)] = &[
    ("search_path", "pg_catalog, pg_temp"),
    ("intervalstyle", "postgres"),
    ("quote_all_identifiers", "off"),
];

/// The key of the advisory lock that installations of one database take turns by: `pgq inst` in ASCII.
const LOCK: i64 = 0x7067_7120_696e_7374;

impl Setup {
    /// The first step of a transaction that installs or upgrades: waits until no other one does. What is there must be surveyed again
    /// after it.
    pub fn lock(&self) -> Step {
        Step::new("lock", format!("do $$ begin {} end $$;\n", take_lock()))
    }

    /// The first step of a transaction that uninstalls: like [`lock`](Self::lock), and then waits for everybody who works with the
    /// tables, and makes new ones wait.
    pub fn lock_tables(&self) -> Step {
        let tables = |schema: Schema| {
            format!(
                "    for v_table in
        select c.oid
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '{schema}' and c.relkind = 'r'
        order by c.oid
    loop
        execute format('lock table %s in access exclusive mode', v_table);
    end loop;
"
            )
        };
        let tables: String = self.schemas().map(tables).collect();
        Step::new(
            "lock the tables",
            format!("do $$\ndeclare\n    v_table regclass;\nbegin\n    {}\n{tables}end\n$$;\n", take_lock()),
        )
    }
}

/// Pins the settings until the end of the transaction.
pub(crate) fn pin() -> Step {
    let set = |&(name, value): &(&str, &str)| set_local(name, value);
    Step::new("session: pin the settings", PINNED.iter().map(set).collect::<String>())
}

/// Sets them back, for what the caller does in the same transaction.
pub(crate) fn restore(survey: &Survey) -> Step {
    let set = |&(name, _): &(&str, &str)| set_local(name, survey.text(name));
    Step::new("session: set them back", PINNED.iter().map(set).collect::<String>())
}

/// Does what follows as another role.
pub(crate) fn act_as(role: &str) -> Step {
    Step::new(format!("session: act as role {role}"), set_local("role", role))
}

/// Ends that.
pub(crate) fn act_as_before(survey: &Survey) -> Step {
    Step::new("session: act as before", set_local("role", survey.text("role")))
}

fn set_local(name: &str, value: &str) -> String {
    format!("select pg_catalog.set_config({}, {}, true);\n", quote::literal(name), quote::literal(value))
}

/// What takes that lock, in PL/pgSQL.
pub(crate) fn take_lock() -> String {
    format!("perform pg_catalog.pg_advisory_xact_lock({LOCK});")
}
