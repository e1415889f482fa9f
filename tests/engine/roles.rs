use std::sync::Barrier;
use std::thread;

use pgq_schema::{Schema, Setup};
use pgq_testkit::Server;
use pgq_testkit::postgres::{Client, NoTls};

use crate::session::Session;

const ROLES: &str = include_str!("../../pgq-schema/sql/roles.sql");

/// Sessions of several databases create them at the same moment, and none fails.
#[test]
fn are_created_by_everybody_at_once() {
    const SESSIONS: usize = 6;
    let server = Server::start().unwrap();
    let databases: Vec<_> = (0..SESSIONS).map(|_| server.new_database().empty().create().unwrap()).collect();
    let mut db = Session::new(&databases[0]);
    for round in 0..20 {
        let start = Barrier::new(SESSIONS);
        thread::scope(|scope| {
            for database in &databases {
                let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    client.batch_execute(ROLES).unwrap();
                });
            }
        });
        db.check(&[
            ("select rolname, rolcanlogin from pg_roles where rolname like 'pgq%' order by 1", "pgq_admin|f pgq_reader|f pgq_writer|f"),
            (
                "select r.rolname, m.rolname, count(*) from pg_auth_members a join pg_roles r on r.oid = roleid \
                 join pg_roles m on m.oid = member where r.rolname like 'pgq%' group by 1, 2 order by 1",
                "pgq_reader|pgq_admin|1 pgq_writer|pgq_admin|1",
            ),
        ]);
        // Only the memberships are missing in every other round.
        db.run("revoke pgq_reader, pgq_writer from pgq_admin");
        if round % 2 == 0 {
            db.run("drop role pgq_reader, pgq_writer, pgq_admin");
        }
    }
}

/// The owner of a database, who may do nothing else, has a queue that works.
#[test]
fn may_be_absent() {
    let server = Server::start().unwrap();
    let database = server.new_database().empty().create().unwrap();
    let mut db = Session::new(&database);
    db.run(&format!(
        "create role tenant login; alter database {} owner to tenant; set session authorization tenant",
        database.name()
    ));
    db.run(&Setup::new().only([Schema::Pgq]).without_roles().sql());
    db.check(&[
        ("select count(*) from pg_roles where rolname like 'pgq%'", "0"),
        ("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')", "1|1"),
        ("select pgq.set_queue_config('q', 'rotation_period', '0')", "1"),
        ("select pgq.insert_event('q', 'a', 'b')", "1"),
        ("select pgq.force_tick('q') is not null", "t"),
        ("select pgq.ticker()", "1"),
        ("select ev_data from pgq.get_batch_events(pgq.next_batch('q', 'c'))", "b"),
        ("select pgq.finish_batch(1)", "1"),
        ("select pgq.maint_rotate_tables_step1('q')", "0"),
        ("select pgq.maint_rotate_tables_step2()", "0"),
        ("select queue_cur_table from pgq.queue", "1"),
        ("select pgq.tune_storage('q'), pgq.grant_perms('q'), pgq.drop_queue('q', true)", "1|1|1"),
    ]);
}
