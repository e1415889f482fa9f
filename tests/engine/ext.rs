use pgq_schema::{Schema, Setup};
use pgq_testkit::{Database, Server};

use crate::session::{Session, on_each_engine};

/// Without schema `pgq`, beside the portable engine, and beside the extension.
fn everywhere(case: impl Fn(&Database)) {
    let database = Server::shared().unwrap().empty_database().unwrap();
    Session::new(&database).run(&Setup::new().only([Schema::PgqExt]).sql());
    case(&database);
    on_each_engine(|_, database| case(database));
}

#[test]
fn ticks() {
    everywhere(|database| {
        Session::new(database).check(&[
            ("select pgq_ext.get_last_tick('c')", "~"),
            ("select pgq_ext.set_last_tick('c', 5)", "1"),
            ("select pgq_ext.set_last_tick('c', 5)", "1"),
            ("select pgq_ext.get_last_tick('c'), pgq_ext.get_last_tick('c', ''), pgq_ext.get_last_tick('c', 's')", "5|5|~"),
            ("select pgq_ext.set_last_tick('c', 's', 9), pgq_ext.set_last_tick('c', 3)", "1|1"),
            ("select pgq_ext.get_last_tick('c'), pgq_ext.get_last_tick('c', 's')", "3|9"),
            ("select pgq_ext.set_last_tick('c', 's', null), pgq_ext.set_last_tick('c', 's', null)", "1|1"),
            ("select pgq_ext.get_last_tick('c', 's'), pgq_ext.get_last_tick(null), pgq_ext.get_last_tick('c', null)", "~|~|~"),
            ("select pgq_ext.set_last_tick(null, null)", "1"),
            ("select count(*) from pgq_ext.completed_tick", "1"),
        ]);
        refuses_null_names(database, "set_last_tick", "1", "completed_tick");
    });
}

#[test]
fn batches() {
    everywhere(|database| {
        Session::new(database).check(&[
            ("select pgq_ext.is_batch_done('c', 1), pgq_ext.is_batch_done('c', null)", "f|f"),
            ("select pgq_ext.set_batch_done('c', 5)", "t"),
            ("select pgq_ext.set_batch_done('c', 5), pgq_ext.set_batch_done('c', '', 5)", "f|f"),
            ("select pgq_ext.is_batch_done('c', 5), pgq_ext.is_batch_done('c', 's', 5)", "t|f"),
            ("select pgq_ext.is_batch_done('c', 1), pgq_ext.is_batch_done('c', null)", "f|~"),
            ("select pgq_ext.set_batch_done('c', 3), pgq_ext.is_batch_done('c', 3), pgq_ext.is_batch_done('c', 5)", "t|t|f"),
            ("select pgq_ext.set_batch_done('c', 0), pgq_ext.set_batch_done('c', -1), pgq_ext.set_batch_done('c', null)", "t|t|t"),
            ("select pgq_ext.set_batch_done(null, 0), pgq_ext.is_batch_done('c', 3)", "t|t"),
            ("select pgq_ext.is_batch_done(null, 3), pgq_ext.is_batch_done('c', null, 3)", "f|f"),
        ]);
        refuses_null_names(database, "set_batch_done", "1", "completed_batch");
    });
}

#[test]
fn events() {
    everywhere(|database| {
        Session::new(database).check(&[
            ("select pgq_ext.is_event_done('c', 1, 1)", "f"),
            ("select pgq_ext.set_event_done('c', 1, 1), pgq_ext.set_event_done('c', 1, 2)", "t|t"),
            ("select pgq_ext.set_event_done('c', 1, 1), pgq_ext.set_event_done('c', '', 1, 1)", "f|f"),
            ("select pgq_ext.is_event_done('c', 1, 1), pgq_ext.is_event_done('c', 1, 3)", "t|f"),
            ("select pgq_ext.set_event_done('c', 's', 1, 1)", "t"),
            ("select pgq_ext.set_batch_done('c', 1), pgq_ext.is_event_done('c', 1, 1)", "t|t"),
            ("select pgq_ext.set_event_done('c', 2, 1)", "t"),
            ("select pgq_ext.is_event_done('c', 1, 1), pgq_ext.is_event_done('c', 's', 1, 1)", "f|t"),
            ("select pgq_ext.set_event_done('c', 1, 1)", "t"),
            ("select pgq_ext.is_event_done('c', 2, 1), pgq_ext.is_event_done('c', null, 1)", "f|f"),
            ("select pgq_ext.is_event_done(null, 1, 1), pgq_ext.is_event_done('c', 1, null)", "f|f"),
            ("select batch_id, event_id from pgq_ext.completed_event order by subconsumer_id", "1|1 1|1"),
            ("select cur_batch_id from pgq_ext.partial_batch order by subconsumer_id", "1 1"),
        ]);
        refuses_null_names(database, "set_event_done", "1, 1", "partial_batch");
    });
}

fn refuses_null_names(database: &Database, setter: &str, rest: &str, table: &str) {
    for (names, column) in
        [("null", "consumer_id"), ("null, 's'", "consumer_id"), ("'c', null::text", "subconsumer_id")]
    {
        let answer = Session::new(database).answer(&format!("select pgq_ext.{setter}({names}, {rest})"));
        assert_eq!(
            answer,
            format!(
                "23502 null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
            )
        );
    }
}

#[test]
fn two_at_once_and_one_records_it() {
    everywhere(|database| {
        let (mut first, mut second) = (Session::new(database), Session::new(database));
        for call in [
            "select pgq_ext.set_batch_done('new', 1)",
            "select pgq_ext.set_batch_done('new', 2)",
            "select pgq_ext.set_event_done('new', 1, 1)",
            "select pgq_ext.set_event_done('new', 1, 2)",
        ] {
            first.run("begin");
            assert_eq!(first.answer(call), "t");
            assert_eq!(first.keeps_waiting(&mut second, call, "commit"), "f", "{call}");
        }
        let tick = "select pgq_ext.set_last_tick('new', 7)";
        first.run("begin");
        assert_eq!(first.answer(tick), "1");
        assert_eq!(first.keeps_waiting(&mut second, tick, "commit"), "1");
    });
}

#[test]
fn two_at_once_and_the_first_gives_up() {
    everywhere(|database| {
        let (mut first, mut second) = (Session::new(database), Session::new(database));
        for call in [
            "select pgq_ext.set_batch_done('new', 1)",
            "select pgq_ext.set_batch_done('new', 2)",
            "select pgq_ext.set_event_done('new', 1, 1)",
        ] {
            first.run("begin");
            assert_eq!(first.answer(call), "t");
            assert_eq!(first.keeps_waiting(&mut second, call, "rollback"), "t", "{call}");
        }
    });
}

#[test]
fn two_at_once_in_transactions_that_keep_their_snapshot() {
    everywhere(|database| {
        let (mut first, mut second) = (Session::new(database), Session::new(database));
        for call in ["select pgq_ext.set_batch_done('new', 1)", "select pgq_ext.set_event_done('new', 1, 1)"]
        {
            second.run("begin isolation level repeatable read; select count(*) from pgq_ext.completed_batch");
            first.run("begin");
            assert_eq!(first.answer(call), "t");
            let answer = first.keeps_waiting(&mut second, call, "commit");
            assert!(answer.starts_with("40001 "), "{call}: {answer}");
            second.run("rollback");
        }
    });
}

#[test]
fn events_of_one_batch_do_not_wait_for_each_other() {
    everywhere(|database| {
        let (mut first, mut second) = (Session::new(database), Session::new(database));
        first.run("select pgq_ext.set_event_done('c', 1, 1)");
        first.run("begin; select pgq_ext.set_event_done('c', 1, 2)");
        second.run("set lock_timeout = '10s'");
        assert_eq!(second.answer("select pgq_ext.set_event_done('c', 1, 3)"), "t");
        first.run("commit");
        assert_eq!(second.answer("select count(*) from pgq_ext.completed_event"), "3");
    });
}

#[test]
fn for_writers() {
    everywhere(|database| {
        let mut session = Session::new(database);
        session.check(&[
            ("select pgq_ext.version(), pgq_ext.portable_release(), pgq_ext.upgrade_schema()", "3.1|1|0"),
            ("set role pgq_writer; select pgq_ext.set_batch_done('c', 1), pgq_ext.set_event_done('c', 's', 1, 1)", "t|t"),
            ("select pgq_ext.set_last_tick('c', 1), pgq_ext.get_last_tick('c'), pgq_ext.version()", "1|1|3.1"),
            ("select * from pgq_ext.completed_batch", "42501 permission denied for table completed_batch"),
            ("set role pgq_reader; select pgq_ext.version(), pgq_ext.portable_release()", "3.1|1"),
            ("select pgq_ext.is_batch_done('c', 1)", "42501 permission denied for function is_batch_done"),
            ("select pgq_ext.set_event_done('c', 's', 1, 1)", "42501 permission denied for function set_event_done"),
        ]);
    });
}
