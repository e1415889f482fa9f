use crate::session::Session;

/// A session with queue `q` and consumer `c`, whose batch 1 lies between these two snapshots.
fn batch_between(last: &str, current: &str) -> Session {
    let mut session = Session::portable();
    session.run(&format!(
        "select pgq.create_queue('q'), pgq.register_consumer('q', 'c');
         insert into pgq.tick (tick_queue, tick_id, tick_snapshot, tick_event_seq) values (1, 2, '{current}', 9);
         update pgq.tick set tick_snapshot = '{last}' where tick_id = 1;
         select pgq.next_batch('q', 'c')"
    ));
    session
}

#[test]
fn old_transactions_are_found_by_their_ids() {
    for (last, current, range, list) in [
        ("10:10:", "20:20:", "10 and 20", None),
        ("10:20:12", "30:30:", "12 and 30", None),
        ("10:20:12", "12:30:12", "20 and 30", None),
        ("1093:1533:1093,1099,1105,1411,1472", "1105:1537:1105", "1411 and 1537", Some("1099, 1093")),
        ("100:400:100,200,300", "500:500:", "100 and 500", None),
        ("100:400:100,200,299", "500:500:", "400 and 500", Some("299, 200, 100")),
        ("100:400:100,250,300", "500:500:", "250 and 500", Some("100")),
    ] {
        let mut session = batch_between(last, current);
        let sql = session.answer("select pgq.batch_event_sql(1)");
        assert!(sql.contains(&format!("between {range} ")), "{last} to {current}: {sql}");
        match list {
            Some(list) => assert!(sql.contains(&format!("in ({list})")), "{last} to {current}: {sql}"),
            None => assert!(!sql.contains("in ("), "{last} to {current}: {sql}"),
        }
    }
}

/// Whatever the query looks like, it finds what the two snapshots say.
#[test]
fn what_the_snapshots_say() {
    for (last, current) in [
        ("10:10:", "20:20:"),
        ("10:20:12,15", "15:30:15,25"),
        ("1093:1533:1093,1099,1105,1411,1472", "1105:1537:1105"),
        ("100:400:100,150,200,299,300,310", "150:500:150,450"),
        ("900:900:", "900:900:"),
    ] {
        let mut session = batch_between(last, current);
        session.run(
            "insert into pgq.event_1_0 (ev_id, ev_time, ev_txid, ev_owner)
             select 4000 - i, now(), i, nullif(i % 7, 0) from generate_series(1, 2000) i;
             insert into pgq.event_1_2 (ev_id, ev_time, ev_txid, ev_owner)
             select 8000 - i, now(), i, nullif(i % 7, 0) from generate_series(1, 2000) i",
        );
        let expected = session.answer(&format!(
            "select ev_id, ev_txid from pgq.event_1 where coalesce(ev_owner, 1) = 1 \
             and txid_visible_in_snapshot(ev_txid, '{current}') and not txid_visible_in_snapshot(ev_txid, '{last}') \
             order by ev_id"
        ));
        session.run("update pgq.queue set queue_switch_step1 = 1, queue_switch_step2 = 5000");
        session.check(&[("select ev_id, ev_txid from pgq.get_batch_events(1)", expected.as_str())]);
    }
}

#[test]
fn tables_of_a_batch() {
    for (step1, step2, tables) in [
        ("31", "40", "pgq.event_1_2"),
        ("30", "40", "pgq.event_1_2 pgq.event_1_0"),
        ("30", "null", "pgq.event_1_2 pgq.event_1_0"),
        ("31", "null", "pgq.event_1_2"),
        ("5", "10", "pgq.event_1_2 pgq.event_1_0"),
        ("5", "9", "pgq.event_1_0"),
        ("5", "null", "pgq.event_1_2 pgq.event_1_0"),
    ] {
        let mut session = batch_between("10:20:10", "25:30:25");
        session
            .run(&format!("update pgq.queue set queue_switch_step1 = {step1}, queue_switch_step2 = {step2}"));
        session.check(&[
            ("select pgq.batch_event_tables(1)", tables),
            ("select pgq.batch_event_tables(9)", "P0001 Cannot find data for batch 9"),
            ("select pgq.batch_event_tables(null)", "P0001 Cannot find data for batch <NULL>"),
            ("select pgq.batch_event_sql(9)", "P0001 batch not found"),
            ("select pgq.batch_event_sql(null)", "P0001 batch not found"),
        ]);
    }
}

/// A session with batch 1 of five events.
fn five() -> Session {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    session.produce(5);
    session.run("select pgq.next_batch('q', 'c')");
    session
}

#[test]
fn all_at_once() {
    let mut session = five();
    let read = "select string_agg(ev_data, ',') from pgq.get_batch_events(1)";
    session.check(&[
        (read, "1,2,3,4,5"),
        (
            "select ev_id, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.get_batch_events(1) limit 1",
            "1|~|number|1|~|~|~|~",
        ),
        ("select ev_time < now(), ev_txid < txid_current() from pgq.get_batch_events(1) limit 1", "t|t"),
        ("select * from pgq.get_batch_events(9)", "P0001 batch not found"),
        ("select * from pgq.get_batch_events(null)", "P0001 batch not found"),
    ]);
    for mode in ["isolation level repeatable read read only", "isolation level serializable", "read only"] {
        session.run(&format!("begin {mode}"));
        session.check(&[
            (read, "1,2,3,4,5"),
            ("select pgq.next_batch('q', 'c')", "1"),
            ("select count(*) from pgq.get_batch_cursor(1, 'c', 3)", "3"),
        ]);
        assert_eq!(session.first_column("fetch all from c"), "4,5");
        session.run("rollback");
    }
}

#[test]
fn by_a_cursor() {
    let mut session = five();
    session.run("begin");
    session.check(&[
        ("select ev_data from pgq.get_batch_cursor(1, 'c', 2)", "1 2"),
        ("select ev_data from pgq.get_batch_cursor(1, 'C \"x\"', 0, null)", ""),
        ("select ev_data from pgq.get_batch_cursor(1, 'negative', -1)", ""),
        ("select ev_data from pgq.get_batch_cursor(1, 'some', 9, 'ev_data = ''2'' or ev_id = 4')", "2 4"),
        ("select ev_data from pgq.get_batch_cursor(1, 'joined', 9, 'ev_id in (select 6 - generate_series(1, 3))')", "3 4 5"),
        ("select ev_data from pgq.get_batch_cursor(null, 'n', 9, 'x'), pg_cursors", ""),
        ("select ev_data from pgq.get_batch_cursor(1, null, 9, 'x'), pg_cursors", ""),
        ("select ev_data from pgq.get_batch_cursor(1, 'n', null, 'x'), pg_cursors", ""),
        ("select ev_data from pgq.get_batch_cursor(1, 'n', null)", ""),
        (
            "select name, is_holdable, is_scrollable from pg_cursors order by name collate \"C\"",
            "C \"x\"|f|f c|f|f joined|f|f negative|f|f some|f|f",
        ),
    ]);
    assert_eq!(session.first_column("fetch 2 from c"), "3,4");
    assert_eq!(session.first_column("fetch all from \"C \"\"x\"\"\""), "1,2,3,4,5");
    assert_eq!(session.first_column("fetch all from negative"), "1,2,3,4,5");
    session.run("close c");
    session
        .check(&[("fetch backward 1 from negative", "55000 cursor can only scan forward"), ("commit", "")]);
}

#[test]
fn by_a_cursor_that_cannot_be() {
    let mut session = five();
    session.run("create table victim as select 1 as v");
    let open = |condition: &str| format!("select ev_id from pgq.get_batch_cursor(1, 'c', 9, '{condition}')");
    for (condition, state) in [
        ("", "42601"),
        ("ev_owner is null", "42703"),
        ("true limit 1", "42601"),
        ("true; delete from victim; select 1 as ev_id", "42P11"),
        ("true); delete from victim; --", "42601"),
        ("true union all select * from victim", "42601"),
    ] {
        let answer = session.answer(&open(condition));
        assert!(answer.starts_with(state), "{condition}: {answer}");
    }
    let twice = "select pgq.get_batch_cursor(1, 'c', 0), pgq.get_batch_cursor(1, 'c', 0)";
    assert!(session.answer(twice).starts_with("42P03 "));
    session.check(&[
        ("select v from victim", "1"),
        ("select * from pgq.get_batch_cursor(9, 'c', 0)", "P0001 batch not found"),
        ("select count(*) from pgq.get_batch_cursor(1, 'c', 9, 'true -- all')", "5"),
    ]);
}

/// A condition is the caller's: it finds what the caller's search path has, with the caller's rights.
#[test]
fn conditions_of_the_caller() {
    let mut session = five();
    session.run(
        "create schema app;
         create function app.odd(i bigint) returns boolean language sql as 'select i % 2 = 1';
         create table app.secret (id bigint);
         grant usage on schema app to pgq_reader;
         set search_path = app, public",
    );
    session.check(&[
        ("select ev_data from pgq.get_batch_cursor(1, 'c', 9, 'odd(ev_id)')", "1 3 5"),
        (
            "set role pgq_reader; select * from pgq.get_batch_cursor(1, 'c', 9, 'ev_id in (select id from secret)')",
            "42501 permission denied for table secret",
        ),
    ]);
}
