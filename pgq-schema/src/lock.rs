use crate::{Schema, Setup, Step};

/// The key of the advisory lock that installations of one database take turns by: `pgq inst` in ASCII.
const KEY: i64 = 0x7067_7120_696e_7374;

pub(crate) fn take() -> String {
    format!("perform pg_catalog.pg_advisory_xact_lock({KEY});")
}

impl Setup {
    /// The first step of a transaction that installs or upgrades: waits until no other one does. What is there must be surveyed again
    /// after it.
    pub fn lock(&self) -> Step {
        Step::new("lock", format!("do $$ begin {} end $$;\n", take()))
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
            format!("do $$\ndeclare\n    v_table regclass;\nbegin\n    {}\n{tables}end\n$$;\n", take()),
        )
    }
}
