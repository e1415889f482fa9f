use crate::bed::Bed;

/// Who may call what: r is pgq_reader, w pgq_writer, a pgq_admin, p everybody.
const GRANTS: &[(&str, &str)] = &[
    ("create_queue(text)", "a"),
    ("drop_queue(text)", "a"),
    ("drop_queue(text,boolean)", "a"),
    ("set_queue_config(text,text,text)", "a"),
    ("insert_event(text,text,text)", "wa"),
    ("insert_event(text,text,text,text,text,text,text)", "wa"),
    ("insert_events(text,text[],text[],text[],text[],text[],text[])", "wa"),
    (
        "insert_event_raw(text,bigint,timestamp with time zone,integer,integer,text,text,text,text,text,text)",
        "a",
    ),
    ("current_event_table(text)", "wa"),
    ("logutriga()", "wa"),
    ("sqltriga()", "wa"),
    ("jsontriga()", "wa"),
    ("register_consumer(text,text)", "ra"),
    ("register_consumer_at(text,text,bigint)", "ra"),
    ("unregister_consumer(text,text)", "ra"),
    ("next_batch(text,text)", "ra"),
    ("next_batch_info(text,text)", "ra"),
    ("next_batch_custom(text,text,interval,integer,interval)", "ra"),
    ("get_batch_events(bigint)", "ra"),
    ("get_batch_cursor(bigint,text,integer,text)", "ra"),
    ("get_batch_cursor(bigint,text,integer)", "ra"),
    ("get_batch_info(bigint)", "ra"),
    ("event_retry(bigint,bigint,timestamp with time zone)", "ra"),
    ("event_retry(bigint,bigint,integer)", "ra"),
    ("events_retry(bigint,bigint[],integer[])", "ra"),
    ("batch_retry(bigint,integer)", "ra"),
    (
        "event_retry_raw(text,text,timestamp with time zone,bigint,timestamp with time zone,integer,text,text,text,text,text,text)",
        "a",
    ),
    ("finish_batch(bigint)", "ra"),
    ("force_tick(text)", "ra"),
    ("batch_event_sql(bigint)", "ra"),
    ("batch_event_tables(bigint)", "ra"),
    ("find_tick_helper(integer,bigint,timestamp with time zone,bigint,bigint,interval)", "ra"),
    ("ticker()", "a"),
    ("ticker(text)", "a"),
    ("ticker(text,bigint,timestamp with time zone,bigint)", "a"),
    ("maint_operations()", "a"),
    ("maint_retry_events()", "a"),
    ("maint_rotate_tables_step1(text)", "a"),
    ("maint_rotate_tables_step2()", "a"),
    ("maint_tables_to_vacuum()", "a"),
    ("tune_storage(text)", "a"),
    ("grant_perms(text)", "a"),
    ("_grant_perms_from(text,text,text,text)", "a"),
    ("upgrade_schema()", "a"),
    ("repair_restored(text)", "a"),
    ("seq_setval(text,bigint)", "a"),
    ("seq_getval(text)", "rwap"),
    ("quote_fqname(text)", "rwap"),
    ("get_queue_info()", "rwap"),
    ("get_queue_info(text)", "rwap"),
    ("get_consumer_info()", "rwap"),
    ("get_consumer_info(text)", "rwap"),
    ("get_consumer_info(text,text)", "rwap"),
    ("version()", "rwap"),
    ("portable_release()", "rwap"),
];

/// Everybody is a role without any grant.
const PREPARE: &str = "create role nobody_else; set search_path = pg_catalog";

#[test]
fn each_role_may_call_what_it_needs() {
    let mut bed = Bed::new();
    bed.db.run(&PREPARE.replace("nobody_else", "nobody_calls"));
    let mut callers = |function: &str| {
        [('r', "pgq_reader"), ('w', "pgq_writer"), ('a', "pgq_admin"), ('p', "nobody_calls")]
            .into_iter()
            .filter(|(_, role)| {
                bed.db
                    .answer(&format!("select has_function_privilege('{role}', 'pgq.{function}', 'execute')"))
                    == "t"
            })
            .map(|(letter, _)| letter)
            .collect::<String>()
    };
    for (function, expected) in GRANTS {
        assert_eq!(callers(function), *expected, "{function}");
    }
    let listed: Vec<_> = GRANTS.iter().map(|(function, _)| format!("'pgq.{function}'")).collect();
    // What triggers call is called with the rights of whoever changes the table, and writes nothing; one of them prepares a statement.
    let others = format!(
        "select oid::regprocedure from pg_proc where pronamespace = 'pgq'::regnamespace \
         and oid::regprocedure::text not in ({}) and (proname not like '\\_%' or prosecdef \
         or has_function_privilege('nobody_calls', oid, 'execute') and provolatile = 'v' \
         and proname <> '_expression_sql')",
        listed.join(", ")
    );
    assert_eq!(bed.db.answer(&others), "");
    bed.db.run("drop role nobody_calls");
}

#[test]
fn each_role_may_use_the_tables_it_needs() {
    let all = "SELECT,INSERT,UPDATE,DELETE,TRUNCATE";
    let mut bed = Bed::new();
    bed.db.run(&PREPARE.replace("nobody_else", "nobody_reads"));
    for (tables, grants) in [
        (
            "queue consumer tick subscription",
            [
                ("pgq_reader", "SELECT"),
                ("pgq_writer", "SELECT"),
                ("nobody_reads", "SELECT"),
                ("pgq_admin", "SELECT,INSERT,UPDATE,DELETE"),
            ],
        ),
        (
            "retry_queue",
            [
                ("pgq_reader", ""),
                ("pgq_writer", ""),
                ("nobody_reads", ""),
                ("pgq_admin", "SELECT,INSERT,UPDATE,DELETE"),
            ],
        ),
        (
            "event_template event_1 event_1_0 event_1_1 event_1_2",
            [
                ("pgq_reader", "SELECT"),
                ("pgq_writer", ""),
                ("nobody_reads", ""),
                ("pgq_admin", "SELECT,INSERT,TRUNCATE"),
            ],
        ),
    ] {
        for table in tables.split(' ') {
            for (role, expected) in grants {
                let has: Vec<_> = all
                    .split(',')
                    .filter(|privilege| {
                        let asked =
                            format!("select has_table_privilege('{role}', 'pgq.{table}', '{privilege}')");
                        bed.db.answer(&asked) == "t"
                    })
                    .collect();
                assert_eq!(has.join(","), expected, "{role} on {table}");
            }
        }
    }
    for (sequence, expected) in [
        ("event_1_id_seq", "t|t|t|f"),
        ("event_1_tick_seq", "t|f|t|f"),
        ("batch_id_seq", "f|f|f|f"),
        ("queue_queue_id_seq", "f|f|f|f"),
    ] {
        let asked = format!(
            "select has_sequence_privilege('pgq_admin', 'pgq.{sequence}', 'select'), \
             has_sequence_privilege('pgq_admin', 'pgq.{sequence}', 'usage'), \
             has_sequence_privilege('nobody_reads', 'pgq.{sequence}', 'select'), \
             has_sequence_privilege('pgq_writer', 'pgq.{sequence}', 'usage')"
        );
        assert_eq!(bed.db.answer(&asked), expected, "{sequence}");
    }
    bed.db.run("drop role nobody_reads");
}

/// The functions do for a member of a role what they are granted for, also those that run with its own rights.
#[test]
fn each_role_gets_along_with_its_rights() {
    let mut bed = Bed::new();
    let table: &[(&str, &[(&str, &str)])] = &[
        (
            "pgq_writer",
            &[
                (
                    "select pgq.insert_event('q', 'a', 'b'), pgq.insert_event('q', 'a', 'b', 'c', 'd', 'e', 'f')",
                    "1|2",
                ),
                ("select pgq.insert_events('q', '{a}', '{b}', null, null, null, null)", "3"),
                ("begin isolation level repeatable read", ""),
                ("select pgq.insert_event('q', 'a', 'b'), pgq.current_event_table('q')", "4|pgq.event_1_0"),
                ("commit", ""),
                ("select pgq.force_tick('q')", "42501 permission denied for function force_tick"),
                ("select ev_new from pgq.get_queue_info()", "4"),
            ],
        ),
        (
            "pgq_admin",
            &[
                (
                    "select pgq.insert_event_raw('q', 77, null, null, null, 'a', 'b', null, null, null, null)",
                    "77",
                ),
                ("begin isolation level repeatable read", ""),
                (
                    "select pgq.insert_event_raw('q', 78, null, null, null, 'a', 'b', null, null, null, null)",
                    "78",
                ),
                ("commit", ""),
                ("select pgq.force_tick('q'), pgq.ticker()", "1|1"),
                (
                    "select pgq.event_retry_raw('q', 'c', now(), 1, now(), 1, 'a', 'b', null, null, null, null)",
                    "1",
                ),
                ("select pgq.maint_retry_events()", "1"),
                ("select pgq.maint_rotate_tables_step1('q')", "0"),
                ("select pgq.maint_rotate_tables_step2()", "0"),
                ("select count(*) > 0 from pgq.maint_operations()", "t"),
                ("select pgq.tune_storage('q')", "42501 must be owner of table event_1_0"),
                ("select pgq.create_queue('young'), pgq.grant_perms('young'), pgq.upgrade_schema()", "1|1|0"),
                ("select pgq.drop_queue('young')", "1"),
                ("insert into pgq.event_1_1 (ev_time) values (now())", ""),
            ],
        ),
        (
            "pgq_reader",
            &[
                ("select pgq.next_batch('q', 'c')", "1"),
                ("select count(*) from pgq.get_batch_events(1)", "6"),
                ("select pgq.event_retry(1, 1, 0)", "1"),
                ("select pgq.finish_batch(1)", "1"),
                ("select pgq.unregister_consumer('q', 'c')", "1"),
                (
                    "select pgq.insert_event('q', 'a', 'b')",
                    "42501 permission denied for function insert_event",
                ),
                ("select count(*) from pgq.retry_queue", "42501 permission denied for table retry_queue"),
            ],
        ),
    ];
    for (role, calls) in table {
        bed.db.run(&format!("set role {role}"));
        bed.db.check(calls);
    }
}
