use pgq_testkit::Database;

use crate::session::{Session, on_each_engine};

/// A database with queue `q`, its consumers `c` and `d`, and three events in an open batch 1 of `c`.
fn everywhere(case: impl Fn(&Database, &mut Session)) {
    on_each_engine(|_, database| {
        let mut db = Session::new(database);
        db.run("select pgq.create_queue('q'); select pgq.register_consumer('q', 'c'), pgq.register_consumer('q', 'd')");
        db.produce(3);
        db.check(&[("select pgq.next_batch('q', 'c')", "1")]);
        case(database, &mut db);
    });
}

/// The data of all events that are there for a consumer, with the retry counts; finishes them.
fn drain(db: &mut Session, consumer: &str) -> String {
    let mut events = Vec::new();
    loop {
        let batch = db.answer(&format!("select pgq.next_batch('q', '{consumer}')"));
        if batch == "~" {
            return events.join(",");
        }
        let sql = format!(
            "select ev_data || ':' || coalesce(ev_retry, 0) from pgq.get_batch_events({batch}) order by ev_id"
        );
        events.push(db.first_column(&sql));
        events.retain(|data| !data.is_empty());
        db.check(&[(format!("select pgq.finish_batch({batch})").as_str(), "1")]);
    }
}

fn retry_and_tick(db: &mut Session) {
    db.run("select pgq.maint_retry_events()");
    crate::bed::tick(db, "q");
}

const LETTERS: &str = "select letter_id, queue_name, consumer_name, subconsumer_name, ev_data, reason, error, attempts \
     from pgq_dead.letter order by 1";

#[test]
fn are_made_of_events_of_the_open_batch() {
    everywhere(|_, db| {
        db.check(&[
            ("select pgq_dead.add(1, '{2,1,2}', '{first,panic,error}', '{x,NULL,y}', '{9,NULL,7}')", "2"),
            (LETTERS, "1|q|c|~|1|panic|~|1 2|q|c|~|2|error|y|7"),
            (
                "select count(*) from pgq_dead.letter l join pgq.get_batch_events(1) e using (ev_id) \
                 where (l.ev_time, l.ev_txid, l.ev_type, l.ev_data) = (e.ev_time, e.ev_txid, e.ev_type, e.ev_data) \
                 and l.ev_retry is not distinct from e.ev_retry and l.ev_extra1 is not distinct from e.ev_extra1",
                "2",
            ),
            ("select pgq_dead.add(1, '{}', '{}', '{}', '{}'), pgq_dead.add(1, null, null, null, null)", "0|0"),
            ("select pgq_dead.add(1, '{3}', '{error}', null, null)", "1"),
            ("select reason, error, attempts from pgq_dead.letter where ev_id = 3", "error|~|1"),
            ("select pgq.finish_batch(1), pgq_dead.count('q', 'c')", "1|3"),
        ]);
    });
}

#[test]
fn are_refused_for_anything_else() {
    everywhere(|_, db| {
        let lengths = "22023 there must be as many reasons, errors and attempts as events";
        db.check(&[
            ("select pgq_dead.add(1, '{1,4}', '{a,b}', null, null)", "P0001 event not found"),
            ("select pgq_dead.add(1, '{1,NULL}', '{a,b}', null, null)", "P0001 event not found"),
            ("select pgq_dead.add(2, '{1}', '{a}', null, null)", "P0001 batch not found"),
            ("select pgq_dead.add(null, '{1}', '{a}', null, null)", "P0001 batch not found"),
            ("select pgq_dead.add(1, '{1,2}', '{a}', null, null)", lengths),
            ("select pgq_dead.add(1, '{1,2}', null, null, null)", lengths),
            ("select pgq_dead.add(1, '{1}', '{a}', '{a,b}', null)", lengths),
            ("select pgq_dead.add(1, '{1}', '{a}', null, '{}')", lengths),
            ("select pgq.finish_batch(1)", "1"),
            ("select pgq_dead.add(1, '{1}', '{a}', null, null)", "P0001 batch not found"),
            ("select count(*) from pgq_dead.letter", "0"),
        ]);
    });
}

/// The event and its retry copy, in one batch after a move back.
#[test]
fn are_one_for_an_event_that_is_there_twice() {
    everywhere(|_, db| {
        db.run("select pgq.event_retry(1, 2, 0); select pgq.finish_batch(1)");
        retry_and_tick(db);
        db.run("select pgq.register_consumer_at('q', 'c', 1)");
        db.check(&[
            ("select batch_id from pgq.next_batch_custom('q', 'c', null, 4000, null)", "2"),
            ("select count(*) from pgq.get_batch_events(2) where ev_id = 2", "2"),
            ("select pgq_dead.add(2, '{2,2}', '{a,b}', null, null)", "1"),
            ("select reason, attempts, ev_retry from pgq_dead.letter", "b|2|1"),
        ]);
    });
}

#[test]
fn name_the_member_and_its_main_consumer() {
    everywhere(|_, db| {
        for (member, batch) in [("s", 2), ("s.t", 3)] {
            db.run(&format!("select pgq_coop.register_subconsumer('q', 'm', '{member}')"));
            db.produce(1);
            db.check(&[
                (format!("select pgq_coop.next_batch('q', 'm', '{member}')").as_str(), batch.to_string().as_str()),
                (
                    format!(
                        "select pgq_dead.add({batch}, array[(select min(ev_id) from pgq.get_batch_events({batch}))], '{{a}}', null, null)"
                    )
                    .as_str(),
                    "1",
                ),
                (
                    "select consumer_name, subconsumer_name from pgq_dead.letter order by letter_id desc limit 1",
                    format!("m|{member}").as_str(),
                ),
            ]);
        }
        db.check(&[
            ("select pgq_coop.finish_batch(2), pgq_coop.finish_batch(3)", "1|1"),
            ("select pgq_dead.replay_to_consumer(array[1]::bigint[])", "1"),
        ]);
        retry_and_tick(db);
        db.check(&[
            ("select pgq_coop.next_batch('q', 'm', 's.t')", "4"),
            ("select ev_data, ev_retry from pgq.get_batch_events(4)", "1|0"),
        ]);
    });
}

#[test]
fn are_listed_page_by_page() {
    everywhere(|_, db| {
        db.run(
            "select pgq_dead.add(1, '{1,2}', '{a,b}', null, null); select pgq.next_batch('q', 'd');
             select pgq_dead.add(2, '{3}', '{c}', null, null)",
        );
        db.run("update pgq_dead.letter set queue_name = 'other' where letter_id = 1");
        let list = |arguments: &str| format!("select letter_id, reason from pgq_dead.list({arguments})");
        for (arguments, expected) in [
            ("null, null, null, null", "1|a 2|b 3|c"),
            ("null, null, null, 2", "1|a 2|b"),
            ("null, null, 2, 2", "3|c"),
            ("null, null, 3, 2", ""),
            ("'q', null, null, 9", "2|b 3|c"),
            ("'q', 'd', null, 9", "3|c"),
            ("null, 'c', 0, 9", "1|a 2|b"),
            ("'q', 'x', null, 9", ""),
            ("'q', null, null, 0", ""),
        ] {
            assert_eq!(db.answer(&list(arguments)), expected, "{arguments}");
        }
        db.check(&[(
            "select pgq_dead.count(null, null), pgq_dead.count('q', null), pgq_dead.count('q', 'd'), \
             pgq_dead.count(null, 'c'), pgq_dead.count('x', null)",
            "3|2|1|2|0",
        )]);
    });
}

/// A page costs what it has, however many letters there are.
#[test]
fn are_found_by_an_index() {
    everywhere(|_, db| {
        db.run(
            "insert into pgq_dead.letter (queue_name, consumer_name, reason, attempts, ev_id, ev_time, ev_txid)
             select 'q' || i % 200, 'c' || i % 400, '', 1, i, now(), 1 from generate_series(1, 40000) i;
             analyze pgq_dead.letter",
        );
        for arguments in ["null, null, 9000, 10", "'q7', null, 9000, 10", "'q7', 'c7', 9000, 10"] {
            db.run("begin");
            assert_eq!(db.answer(&format!("select count(*) from pgq_dead.list({arguments})")), "10");
            let read = "select seq_scan, idx_tup_fetch <= 400 from pg_stat_xact_user_tables where relname = 'letter'";
            assert_eq!(db.answer(read), "0|t", "{arguments}");
            db.run("rollback");
        }
    });
}

#[test]
fn are_replayed_to_their_consumer_alone() {
    everywhere(|_, db| {
        assert_eq!(drain(db, "d"), "1:0,2:0,3:0");
        db.run("create temp table before as select ev_id, ev_time from pgq.get_batch_events(1)");
        db.run("select pgq.event_retry(1, 3, 0); select pgq_dead.add(1, '{1,2}', '{a,b}', null, '{5,5}'); select pgq.finish_batch(1)");
        db.check(&[
            ("select pgq_dead.replay_to_consumer('{2,2,99}')", "1"),
            ("select pgq_dead.replay_to_consumer('{2}'), pgq_dead.replay_to_consumer(null)", "0|0"),
            ("select letter_id from pgq_dead.letter", "1"),
        ]);
        retry_and_tick(db);
        let batch = db.answer("select pgq.next_batch('q', 'c')");
        db.check(&[
            (format!("select ev_id, ev_retry from pgq.get_batch_events({batch})").as_str(), "2|0 3|1"),
            (
                format!(
                    "select count(*) from pgq.get_batch_events({batch}) join before using (ev_id, ev_time)"
                )
                .as_str(),
                "2",
            ),
            // It can be retried and die again, and its attempts start anew.
            (format!("select pgq_dead.add({batch}, '{{2}}', '{{again}}', null, null)").as_str(), "1"),
            ("select attempts from pgq_dead.letter where reason = 'again'", "1"),
        ]);
        assert_eq!(drain(db, "d"), "");
    });
}

#[test]
fn of_one_event_are_replayed_once() {
    everywhere(|_, db| {
        db.run("select pgq_dead.add(1, '{1}', '{a}', null, null); select pgq.finish_batch(1)");
        db.run("select pgq.register_consumer_at('q', 'c', 1); select pgq.next_batch('q', 'c')");
        db.run("select pgq_dead.add(2, '{1}', '{b}', null, null); select pgq.finish_batch(2)");
        db.check(&[
            ("select pgq_dead.replay_to_consumer('{1,2}')", "2"),
            ("select pgq_dead.count(null, null)", "0"),
        ]);
        retry_and_tick(db);
        assert_eq!(drain(db, "c"), "1:0");
    });
}

/// Another event may have the id when the queue was made anew.
#[test]
fn of_two_events_with_one_id_are_not_mixed_up() {
    everywhere(|_, db| {
        db.run("select pgq_dead.add(1, '{1,2}', '{a,b}', null, null); update pgq_dead.letter set ev_id = 1, ev_time = now()::date + letter_id::integer");
        let answer = db.answer("select pgq_dead.replay_to_consumer('{1,2}')");
        assert!(answer.starts_with("23505 "), "{answer}");
        db.check(&[
            ("select pgq_dead.count(null, null)", "2"),
            ("select count(*) from pgq.retry_queue", "0"),
        ]);
    });
}

#[test]
fn are_replayed_to_all_as_new_events() {
    everywhere(|_, db| {
        db.run("select pgq.insert_event('q', null, 'x', 'e1', null, 'e3', ''); select pgq.finish_batch(1)");
        crate::bed::tick(db, "q");
        db.check(&[
            ("select pgq.next_batch('q', 'c')", "2"),
            ("select pgq_dead.add(2, array_agg(ev_id), '{a}', null, null) from pgq.get_batch_events(2)", "1"),
            ("select pgq.finish_batch(2)", "1"),
        ]);
        assert_eq!(drain(db, "d"), "1:0,2:0,3:0,x:0");
        db.check(&[
            ("begin isolation level repeatable read", ""),
            (
                "select pgq_dead.replay_as_new('{1}')",
                "0A000 letters cannot be replayed as new events in a transaction that keeps its snapshot",
            ),
            ("rollback", ""),
            ("select pgq_dead.replay_as_new('{1,1,99}'), pgq_dead.replay_as_new(null)", "1|0"),
            ("select pgq_dead.count(null, null)", "0"),
        ]);
        crate::bed::tick(db, "q");
        for consumer in ["c", "d"] {
            let batch = db.answer(&format!("select pgq.next_batch('q', '{consumer}')"));
            let events = format!(
                "select ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.get_batch_events({batch})"
            );
            assert_eq!(db.answer(&events), "~|~|x|e1|~|e3|");
        }
    });
}

#[test]
fn stay_where_they_cannot_be_replayed() {
    everywhere(|_, db| {
        db.run("select pgq_dead.add(1, '{1,2}', '{a,b}', null, null); select pgq.finish_batch(1)");
        db.run("update pgq_dead.letter set consumer_name = 'gone' where letter_id = 2");
        db.check(&[
            ("select pgq_dead.replay_to_consumer('{1,2}')", "P0001 Not subscriber to queue: q/gone"),
            ("select count(*) from pgq.retry_queue", "0"),
            ("update pgq.queue set queue_disable_insert = true", ""),
        ]);
        let answer = db.answer("select pgq_dead.replay_as_new('{1,2}')");
        assert!(answer.contains("disallowed") || answer.contains("disabled"), "{answer}");
        db.check(&[
            ("update pgq_dead.letter set queue_name = 'gone' where letter_id = 2", ""),
            ("update pgq.queue set queue_disable_insert = false", ""),
            ("select pgq_dead.replay_as_new('{1,2}')", "P0001 No such queue: gone"),
            ("select pgq_dead.replay_to_consumer('{2}')", "P0001 Not subscriber to queue: gone/gone"),
            ("select pgq.drop_queue('q', true)", "1"),
            ("select pgq_dead.replay_to_consumer('{1}')", "P0001 Not subscriber to queue: q/c"),
            ("select count(*) from pgq_dead.letter", "2"),
        ]);
    });
}

#[test]
fn of_two_who_replay_one_does_it() {
    everywhere(|database, db| {
        db.run("select pgq_dead.add(1, '{1,2}', '{a,b}', null, null); select pgq.finish_batch(1)");
        let mut other = Session::new(database);
        for (replay, letter) in [("replay_to_consumer", 1), ("replay_as_new", 2)] {
            let sql = format!("select pgq_dead.{replay}('{{{letter}}}')");
            db.run("begin");
            assert_eq!(db.answer(&sql), "1");
            assert_eq!(db.keeps_waiting(&mut other, &sql, "commit"), "0");
        }
        retry_and_tick(db);
        assert_eq!(drain(db, "c"), "1:0,2:0");
    });
}

#[test]
fn are_not_there_when_it_is_rolled_back() {
    everywhere(|_, db| {
        db.run(
            "begin; select pgq_dead.add(1, '{1}', '{a}', null, null); select pgq.finish_batch(1); rollback",
        );
        db.check(&[
            ("select count(*) from pgq_dead.letter", "0"),
            ("select pgq.next_batch('q', 'c')", "1"),
            ("select pgq_dead.add(1, '{1}', '{a}', null, null), pgq.finish_batch(1)", "1|1"),
        ]);
        db.run("begin; select pgq_dead.replay_to_consumer('{2}'); rollback");
        db.run("begin; select pgq_dead.replay_as_new('{2}'); rollback");
        db.check(&[
            ("select letter_id from pgq_dead.letter", "2"),
            ("select count(*) from pgq.retry_queue", "0"),
        ]);
    });
}

#[test]
fn are_purged_by_age() {
    everywhere(|_, db| {
        db.run("select pgq_dead.add(1, '{1,2,3}', '{a,b,c}', null, null)");
        db.run("update pgq_dead.letter set dead_time = now() - make_interval(days => letter_id::integer)");
        db.check(&[
            ("select pgq_dead.purge('q', 'c', null), pgq_dead.purge('q', 'd', '0')", "0|0"),
            ("select pgq_dead.purge('x', null, '0'), pgq_dead.purge('q', null, '71 hours')", "0|1"),
            ("select letter_id from pgq_dead.letter order by 1", "1 2"),
            ("select pgq_dead.purge(null, 'c', '30 hours')", "1"),
            ("select pgq_dead.purge(null, null, '0')", "1"),
            ("select pgq_dead.count(null, null)", "0"),
        ]);
    });
}

#[test]
fn outlive_their_queue() {
    everywhere(|_, db| {
        db.run("select pgq_dead.add(1, '{1}', '{a}', null, null); select pgq.drop_queue('q', true)");
        db.check(&[("select queue_name, ev_data from pgq_dead.list('q', 'c', null, 9)", "q|1")]);
    });
}

/// What each role is refused, by the name of the function.
#[test]
fn are_for_who_may_read_events() {
    let calls = [
        ("add", "pgq_dead.add(1, '{1}', '{a}', null, null)"),
        ("list", "count(*) from pgq_dead.list(null, null, null, 9)"),
        ("count", "pgq_dead.count(null, null)"),
        ("replay_to_consumer", "pgq_dead.replay_to_consumer('{99}')"),
        ("replay_as_new", "pgq_dead.replay_as_new('{99}')"),
        ("discard", "pgq_dead.discard('{99}')"),
        ("purge", "pgq_dead.purge(null, null, '1 year')"),
    ];
    everywhere(|_, db| {
        db.check(&[("select pgq_dead.version(), pgq_dead.portable_release()", "1.0|1")]);
        for (role, refused) in [
            ("pgq_reader", &["replay_to_consumer", "replay_as_new", "discard", "purge"][..]),
            (
                "pgq_writer",
                &["add", "list", "count", "replay_to_consumer", "replay_as_new", "discard", "purge"],
            ),
            ("pgq_admin", &[]),
        ] {
            db.run(&format!("set role {role}"));
            for (function, call) in calls {
                let answer = db.answer(&format!("select {call}"));
                let expected = format!("42501 permission denied for function {function}");
                assert_eq!(answer == expected, refused.contains(&function), "{role}: {call}: {answer}");
                assert!(answer == expected || !answer.contains("denied"), "{role}: {call}: {answer}");
            }
            db.check(&[
                ("select pgq_dead.version()", "1.0"),
                ("select * from pgq_dead.letter", "42501 permission denied for table letter"),
                ("delete from pgq_dead.letter", "42501 permission denied for table letter"),
                (
                    "select nextval('pgq_dead.letter_letter_id_seq')",
                    "42501 permission denied for sequence letter_letter_id_seq",
                ),
            ]);
            db.run("reset role");
        }
        db.check(&[(
            "select count(*), count(*) filter (where prosecdef), count(proconfig) from pg_proc where pronamespace = 'pgq_dead'::regnamespace",
            "9|7|7",
        )]);
    });
}

/// What a caller puts in front of the catalog is not run with the owner's rights.
#[test]
fn do_not_care_for_the_search_path() {
    everywhere(|_, db| {
        db.run(
            "create schema trap; create table trap.letter (letter_id bigint);
             create function trap.starts_with(text, text) returns boolean language plpgsql as 'begin raise exception $$caught$$; end';
             create function trap.now() returns timestamptz language plpgsql as 'begin raise exception $$caught$$; end';
             create function trap.add_op(bigint, bigint) returns boolean language plpgsql as 'begin raise exception $$caught$$; end';
             create operator trap.= (function = trap.add_op, leftarg = bigint, rightarg = bigint);
             set search_path = trap, pg_catalog",
        );
        db.check(&[
            ("select pgq_dead.add(1, '{1,2}', '{a,b}', null, null)", "2"),
            ("select pgq_dead.replay_to_consumer('{1}'), pgq_dead.replay_as_new('{2}')", "1|1"),
            (
                "select pgq_dead.discard('{1,2}'), pgq_dead.count('q', 'c'), pgq_dead.purge('q', 'c', '0')",
                "0|0|0",
            ),
        ]);
    });
}
