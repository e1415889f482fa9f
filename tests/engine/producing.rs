use std::io::Write;
use std::thread;

use pgq_testkit::postgres::{Client, NoTls};

use crate::bed::{Bed, wait_for_waiters};

/// Each way to insert one event with data `1`.
const INSERTS: [&str; 4] = [
    "select pgq.insert_event('q', 'number', '1')",
    "select pgq.insert_event('q', 'number', '1', null, null, null, 'x')",
    "select pgq.insert_event_raw('q', null, null, null, null, 'number', '1', null, null, null, null)",
    "select pgq.insert_events('q', array['number'], array['1'], null, null, null, null)",
];

const ROTATED: &str =
    "40001 could not serialize access: the event tables of queue \"q\" were rotated meanwhile";

/// A snapshot from before a rotation names the wrong table, whether that was one or two rotations ago.
#[test]
fn repeatable_read_across_rotations() {
    for rotations in [1, 2] {
        for isolation in ["repeatable read", "serializable"] {
            let mut bed = Bed::new();
            bed.pass_rotation();
            let mut producers: Vec<_> = INSERTS
                .into_iter()
                .chain(["select pgq.current_event_table('q')"])
                .map(|insert| (bed.session(), insert))
                .collect();
            for (producer, _) in &mut producers {
                producer.run(&format!("begin isolation level {isolation}; select count(*) from pgq.queue"));
            }
            for _ in 0..rotations {
                bed.rotate_away();
            }
            for (producer, insert) in &mut producers {
                assert_eq!(producer.answer(insert), ROTATED, "{insert}");
                producer.run("rollback");
                producer.run(&format!("begin isolation level {isolation}"));
                assert_ne!(producer.answer(insert), ROTATED, "{insert} the second time");
                producer.run("commit");
            }
            bed.tick();
            assert_eq!(bed.drain(), ["1"; INSERTS.len()]);
        }
    }
}

/// A transaction that has its id from before the rotation is waited for, so it need not be refused.
#[test]
fn repeatable_read_with_an_id_from_before() {
    for insert in INSERTS {
        let mut bed = Bed::new();
        bed.pass_rotation();
        let mut producer = bed.session();
        producer.run("begin isolation level repeatable read; select txid_current()");
        bed.rotate_away();
        producer.run(insert);
        producer.run("commit");
        bed.tick();
        assert_eq!(bed.drain(), ["1"], "{insert}");
    }
}

/// The insert knows its table, waits for it, and writes into it after it was rotated away.
#[test]
fn waits_for_a_lock_across_a_rotation() {
    for insert in INSERTS {
        let mut bed = Bed::new();
        bed.pass_rotation();
        // The first number that is taken of a sequence is logged, for which the transaction gets an id; the next ones are not.
        bed.db.run("begin; select pgq.insert_event('q', 'number', '0'); rollback");
        let mut holder = bed.session();
        let table = holder.answer("select pgq.current_event_table('q')");
        holder.run(&format!("begin; lock table {table} in share mode"));
        let mut producer = bed.session();
        let bed = &mut bed;
        // By value, so that a failed assertion lets go of the lock before the producer is waited for.
        thread::scope(move |scope| {
            let mut holder = holder;
            let inserted = scope.spawn(move || producer.run(insert));
            wait_for_waiters(&mut bed.db, 1);
            bed.rotate_away();
            holder.run("commit");
            inserted.join().unwrap();
            bed.tick();
            assert_eq!(bed.drain(), ["1"], "{insert}");
        });
    }
}

/// The transaction has its id before it learns the table, so the rotation does not leave it behind.
#[test]
fn copies_across_a_rotation() -> crate::Result {
    let mut bed = Bed::new();
    bed.pass_rotation();
    let mut client = Client::connect(bed.database.conninfo(), NoTls)?;
    let mut transaction = client.transaction()?;
    let table: String = transaction.query_one("SELECT pgq.current_event_table('q')", &[])?.get(0);
    bed.rotate_away();
    let mut copy = transaction.copy_in(&format!("COPY {table} (ev_time, ev_data) FROM STDIN"))?;
    copy.write_all(b"2026-01-01\t1\n2026-01-01\t2\n")?;
    copy.finish()?;
    transaction.commit()?;
    bed.tick();
    assert_eq!(bed.drain(), ["1", "2"]);
    Ok(())
}

/// A limit takes the way without static statements, which must store the same.
#[test]
fn stores_the_same_on_both_ways() {
    let mut bed = Bed::new();
    let event = "select ev_time = now(), ev_txid = txid_current(), ev_owner, ev_retry, \
         ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.event_1 where ev_id = ";
    for (limit, id) in [("null", 1), ("100", 3)] {
        bed.db.run(&format!("select pgq.set_queue_config('q', 'per_tx_limit', {limit}::text); begin"));
        bed.db.check(&[
            ("select pgq.insert_event('q', 'a', 'b', 'c', '', null, 'f')", &id.to_string()),
            ("select pgq.insert_event('q', null, null)", &(id + 1).to_string()),
            (&format!("{event} {id}"), "t|t|~|~|a|b|c||~|f"),
            (&format!("{event} {id} + 1"), "t|t|~|~|~|~|~|~|~|~"),
        ]);
        bed.db.run("commit");
    }
}

#[test]
fn refuses_what_the_queue_refuses() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.insert_event(null, 'a', 'b')", "P0001 Queue name must not be NULL"),
        ("select pgq.insert_event('none', 'a', 'b')", "P0001 No such queue"),
        ("select pgq.current_event_table('none')", "P0001 Event queue not found"),
        ("select pgq.current_event_table(null)", "P0001 Event queue not found"),
        ("update pgq.queue set queue_disable_insert = true", ""),
        ("select pgq.current_event_table('q')", "P0001 Writing to queue disabled"),
    ]);
    for insert in INSERTS {
        assert_eq!(bed.db.answer(insert), "P0001 Insert into queue disallowed", "{insert}");
    }
    bed.db.check(&[
        ("begin; set local session_replication_role = replica", ""),
        (INSERTS[0], "1"),
        (INSERTS[2], "2"),
        ("commit", ""),
        ("begin read only", ""),
        ("select pgq.insert_event('q', 'a', 'b')", "P0001 Insert into queue disallowed"),
        ("rollback", ""),
        ("update pgq.queue set queue_disable_insert = false", ""),
        ("begin read only", ""),
        (
            "select pgq.insert_event('q', 'a', 'b')",
            "25006 cannot execute nextval() in a read-only transaction",
        ),
        ("rollback", ""),
    ]);
}

#[test]
fn limits_the_events_of_a_transaction() {
    const EXCEEDED: &str = "P0001 Queue 'q' allows max 2 events from one TX";
    let two = "select count(*) from pgq.insert_events('q', '{a,b}', '{1,2}', null, null, null, null)";
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.create_queue('other')", "1"),
        ("select pgq.set_queue_config('q', 'per_tx_limit', '2')", "1"),
        ("begin", ""),
        ("select count(pgq.insert_event('q', 'a', 'b')) from generate_series(1, 2)", "2"),
        ("select count(pgq.insert_event('other', 'a', 'b')) from generate_series(1, 9)", "9"),
        (INSERTS[0], EXCEEDED),
        ("rollback", ""),
        ("begin", ""),
        (two, "2"),
        (INSERTS[2], EXCEEDED),
        ("rollback", ""),
        // What was rolled back to a savepoint does not count.
        ("begin", ""),
        ("select count(pgq.insert_event('q', 'a', 'b')) from generate_series(1, 1)", "1"),
        ("savepoint s", ""),
        ("select count(pgq.insert_event('q', 'a', 'b')) from generate_series(1, 1)", "1"),
        ("rollback to s", ""),
        ("select count(pgq.insert_event('q', 'a', 'b')) from generate_series(1, 1)", "1"),
        (INSERTS[1], EXCEEDED),
        ("rollback", ""),
        // Each statement is a transaction of its own.
        (two, "2"),
        (two, "2"),
        ("select pgq.set_queue_config('q', 'per_tx_limit', '0')", "1"),
        (INSERTS[0], "P0001 Queue 'q' allows max 0 events from one TX"),
        ("select pgq.set_queue_config('q', 'per_tx_limit', '-1')", "1"),
        ("select count(pgq.insert_event('q', 'a', 'b')) from generate_series(1, 9)", "9"),
        ("select pgq.set_queue_config('q', 'per_tx_limit', null)", "1"),
        ("select queue_per_tx_limit from pgq.queue where queue_name = 'q'", "~"),
    ]);
}

#[test]
fn inserts_many_events() {
    let mut bed = Bed::new();
    bed.db.check(&[
        (
            "select * from pgq.insert_events('q', '{a,NULL,c}', '{1,2,NULL}', '{x,NULL,z}', null, null, '{\"\",v,w}')",
            "1 2 3",
        ),
        (
            "select ev_id, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.event_1",
            "1|a|1|x|~|~| 2|~|2|~|~|~|v 3|c|~|z|~|~|w",
        ),
        ("select * from pgq.insert_events('q', '{}', '{}', null, null, null, null)", ""),
        (
            "select * from pgq.insert_events('q', '{a}', null, null, null, null, null)",
            "2202E the arrays of an insert of many events differ in length",
        ),
        (
            "select * from pgq.insert_events('q', '{a}', '{1}', null, '{1,2}', null, null)",
            "2202E the arrays of an insert of many events differ in length",
        ),
        (
            "select array_agg(id) = array(select generate_series(4, 5003)::bigint) from pgq.insert_events('q', \
             array(select i::text from generate_series(1, 5000) i), array(select i::text from generate_series(1, 5000) i), \
             null, null, null, null) id",
            "t",
        ),
        ("select count(*) from pgq.event_1 where ev_id > 3 and ev_data::int = ev_id - 3", "5000"),
    ]);
}

/// More queues than have static statements, and two created in one statement.
#[test]
fn creates_many_queues() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select count(pgq.create_queue('many ' || i)) from generate_series(1, 204) i", "204"),
        ("select count(pgq.insert_event(queue_name, 'a', queue_name)) from pgq.queue", "205"),
        (
            "select count(*) from pgq.event_template e join pgq.queue on queue_name = ev_data \
          where e.tableoid::regclass::text = queue_data_pfx || '_0'",
            "205",
        ),
        ("select pgq.create_queue('many 1')", "0"),
        ("select pgq.create_queue(null)", "P0001 Invalid NULL value"),
    ]);
}

/// The second of two that create the same queue waits, and finds it.
#[test]
fn creates_a_queue_at_the_same_time() {
    let mut bed = Bed::new();
    for name in ["same", "other"] {
        let mut second = bed.session();
        bed.db.run("begin; select pgq.create_queue('same')");
        let answer =
            bed.db.keeps_waiting(&mut second, &format!("select pgq.create_queue('{name}')"), "commit");
        assert_eq!(answer, if name == "same" { "0" } else { "1" });
        bed.db.check(&[
            ("select pgq.insert_event('same', 'a', 'b')", "1"),
            ("select pgq.drop_queue('same')", "1"),
        ]);
    }
    bed.db.check(&[("select pgq.insert_event('other', 'a', 'b')", "1")]);
}
