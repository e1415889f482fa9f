use crate::bed::{Bed, drain, tick, until};

const TABLE: &str =
    "select queue_cur_table, queue_switch_step2 is null from pgq.queue where queue_name = 'q'";
const STEP1: &str = "select pgq.maint_rotate_tables_step1('q')";
const STEP2: &str = "select pgq.maint_rotate_tables_step2()";

#[test]
fn rotates_in_two_steps() {
    let mut bed = Bed::new();
    bed.pass_rotation();
    bed.db.check(&[
        ("select pgq.maint_rotate_tables_step1('none'), pgq.maint_rotate_tables_step1(null)", "0|0"),
        (STEP1, "0"),
        (TABLE, "1|t"),
        // Not again before step 2.
        (STEP1, "0"),
        (TABLE, "1|t"),
        (STEP2, "0"),
        (TABLE, "1|f"),
        ("select queue_switch_step2 > queue_switch_step1, queue_switch_time <= now() from pgq.queue", "t|t"),
        (STEP2, "0"),
        ("select pgq.set_queue_config('q', 'rotation_period', '1h')", "1"),
    ]);
    bed.pass_rotation();
    bed.db.check(&[(STEP1, "0"), (TABLE, "1|f")]);
}

/// An id from before step 1 was committed says nothing about who has learned of the rotation.
#[test]
fn step_2_takes_a_transaction_of_its_own() {
    let refused = "25001 step 2 of a rotation needs a transaction of its own";
    let mut bed = Bed::new();
    bed.pass_rotation();
    let mut old = bed.session();
    old.run("begin; select txid_current()");
    bed.db.run(STEP1);
    assert_eq!(old.answer(STEP2), refused);
    bed.db.check(&[
        (TABLE, "1|t"),
        ("begin", ""),
        (STEP1, "0"),
        (STEP2, "0"),
        ("commit", ""),
        (TABLE, "1|f"),
    ]);
    old.run("rollback");
    bed.pass_rotation();
    bed.db.check(&[("begin", ""), (STEP1, "0"), (STEP2, refused), ("rollback", ""), (TABLE, "1|f")]);
}

/// Two step 2 at once, and one beside a step 1 that is not committed.
#[test]
fn step_2_beside_others() {
    let mut bed = Bed::new();
    bed.pass_rotation();
    bed.db.run(STEP1);
    let mut other = bed.session();
    bed.db.run("begin");
    bed.db.run(STEP2);
    assert_eq!(bed.db.keeps_waiting(&mut other, STEP2, "commit"), "0");
    bed.pass_rotation();
    bed.db.run("begin");
    bed.db.run(STEP1);
    other.check(&[(STEP2, "0"), (TABLE, "1|f")]);
    bed.db.run("commit");
    bed.db.check(&[(TABLE, "2|t")]);
}

/// Everything that may still be asked for is kept, and what reads keeps rotation off without making anybody wait.
#[test]
fn gives_up_while_something_is_in_the_way() {
    let mut bed = Bed::new();
    bed.pass_rotation();
    bed.rotate();
    bed.db.run("select pgq.insert_event('q', 'number', '1')");
    bed.tick();
    // The consumer has not yet passed the last rotation.
    bed.db.check(&[(STEP1, "0"), (TABLE, "1|f")]);
    assert_eq!(bed.drain(), ["1"]);
    bed.pass_rotation();
    let mut reader = bed.session();
    reader.run("begin; select count(*) from pgq.event_1");
    bed.db.check(&[(STEP1, "0"), (TABLE, "1|f")]);
    // An open transaction with an id from before the rotation keeps snapshots back.
    reader.run("commit; begin; select txid_current()");
    bed.db.check(&[(STEP1, "0"), (TABLE, "2|t"), (STEP2, "0")]);
    bed.tick();
    bed.drain();
    bed.db.check(&[(STEP1, "0"), (TABLE, "2|f")]);
    reader.run("commit");
    bed.pass_rotation();
    bed.db.check(&[(STEP1, "0"), (TABLE, "0|t"), (STEP2, "0")]);
}

/// A producer does not wait for a rotation that is not committed, nor a rotation for a tick.
#[test]
fn makes_nobody_wait() {
    let mut bed = Bed::new();
    bed.pass_rotation();
    let mut other = bed.session();
    other.run("set lock_timeout = '10s'");
    bed.db.run("begin");
    bed.db.run(STEP1);
    other.check(&[
        ("begin", ""),
        ("select pgq.insert_event('q', 'number', '1') > 0", "t"),
        ("select pgq.current_event_table('q')", "pgq.event_1_0"),
        ("commit", ""),
        ("select pgq.register_consumer('q', 'late')", "1"),
    ]);
    bed.db.run("commit");
    bed.db.run(STEP2);
    bed.tick();
    assert_eq!(bed.drain(), ["1"]);
    assert_eq!(drain(&mut bed.db, "late"), ["1"]);
}

/// The tick of the consumer stays as long as there is one, and the others go two rotations later.
#[test]
fn keeps_the_ticks_that_are_needed() {
    let mut bed = Bed::new();
    for _ in 0..5 {
        tick(&mut bed.db, "q");
    }
    bed.pass_rotation();
    bed.rotate();
    bed.db.check(&[("select count(*) > 5 from pgq.tick", "t")]);
    bed.pass_rotation();
    bed.rotate();
    bed.db.check(&[
        ("select count(*) from pgq.tick where tick_id <= 5", "0"),
        ("select count(*) from pgq.tick join pgq.subscription on sub_last_tick = tick_id", "1"),
    ]);
    bed.db.run("delete from pgq.tick; update pgq.subscription set sub_last_tick = 1");
    bed.db.check(&[(STEP1, "P0001 queue q maint failure: tick 1 not found")]);
}

/// Events whose queue refuses inserts wait; those of others go on, ten at a time.
#[test]
fn moves_retries_past_a_disabled_queue() {
    let mut bed = Bed::new();
    bed.db.run("select pgq.create_queue('shut'), pgq.register_consumer('shut', 'c')");
    for (queue, count) in [("shut", 15), ("q", 12)] {
        bed.db.run(&format!(
            "select pgq.event_retry_raw('{queue}', 'c', now() - interval '1h', null, now(), 1, 'number', i::text, null, null, null, null) \
             from generate_series(1, {count}) i"
        ));
    }
    bed.db.check(&[
        ("update pgq.queue set queue_disable_insert = true where queue_name = 'shut'", ""),
        ("update pgq.queue set queue_per_tx_limit = 0 where queue_name = 'q'", ""),
        ("select pgq.maint_retry_events()", "10"),
        ("select pgq.maint_retry_events()", "2"),
        ("select pgq.maint_retry_events()", "0"),
        ("select count(*) from pgq.retry_queue", "15"),
        ("update pgq.queue set queue_disable_insert = false", ""),
        ("select pgq.maint_retry_events()", "10"),
        ("select ev_id, ev_owner = 1, ev_retry from pgq.event_1 order by ev_id limit 2", "1|t|1 2|t|1"),
    ]);
    bed.tick();
    assert_eq!(bed.drain().len(), 12);
}

#[test]
fn lists_what_is_to_be_done() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.create_queue('a')", "1"),
        ("update pgq.queue set queue_extra_maint = '{x.y,z}' where queue_name = 'a'", ""),
        ("update pgq.queue set queue_extra_maint = '{}' where queue_name = 'q'", ""),
        (
            "select * from pgq.maint_operations()",
            "pgq.maint_rotate_tables_step1|q pgq.maint_rotate_tables_step2|~ x.y|a z|a",
        ),
        ("select pgq.set_queue_config('q', 'rotation_period', '1h')", "1"),
        ("update pgq.queue set queue_extra_maint = null", ""),
        ("select * from pgq.maint_operations()", ""),
        ("update pgq.queue set queue_switch_step2 = null where queue_name = 'a'", ""),
        ("select * from pgq.maint_operations()", "pgq.maint_rotate_tables_step2|~"),
        ("select pgq.upgrade_schema()", "0"),
    ]);
}

/// Dropping waits for whoever reads or writes, and takes everything with it.
#[test]
fn drops_a_queue() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.drop_queue('none')", "P0001 No such event queue"),
        ("select pgq.drop_queue(null), pgq.tune_storage(null)", "~|~"),
        ("select pgq.drop_queue('q')", "P0001 cannot drop queue, consumers still attached"),
        ("select pgq.drop_queue('q', null)", "P0001 cannot drop queue, consumers still attached"),
        (
            "select pgq.event_retry_raw('q', 'c', now(), null, now(), 1, 'a', 'b', null, null, null, null)",
            "1",
        ),
    ]);
    let mut producer = bed.session();
    producer.run("begin; select pgq.insert_event('q', 'number', '1')");
    assert_eq!(producer.keeps_waiting(&mut bed.db, "select pgq.drop_queue('q', true)", "commit"), "1");
    bed.db.check(&[
        ("select count(*) from pg_class where relname like 'event\\_1%'", "0"),
        (
            "select (select count(*) from pgq.tick), (select count(*) from pgq.retry_queue), (select count(*) from pgq.consumer)",
            "0|0|0",
        ),
        ("select pgq.create_queue('q')", "1"),
    ]);
    until("the new queue works", || bed.db.answer("select pgq.insert_event('q', 'a', 'b')") == "1");
}

#[test]
fn changes_the_settings() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.set_queue_config(null, 'x', '1')", "P0001 Invalid NULL value"),
        ("select pgq.set_queue_config('none', 'x', '1')", "P0001 No such event queue"),
        ("select pgq.set_queue_config('q', 'disable_insert', '1')", "P0001 cannot change parameter \"disable_inserts\""),
        ("select pgq.set_queue_config('q', 'ticker_max_lag', null)", "22004 query string argument of EXECUTE is null"),
        ("select pgq.set_queue_config('q', 'ticker_max_count', 'x')", "22P02 invalid input syntax for type integer: \"x\""),
        ("select pgq.set_queue_config('q', 'ticker_max_lag', 'x')", "22007 invalid input syntax for type interval: \"x\""),
        ("select pgq.set_queue_config('q', 'ticker_max_count', '7'), pgq.set_queue_config('q', 'ticker_max_lag', '7s'), \
          pgq.set_queue_config('q', 'ticker_idle_period', '8s'), pgq.set_queue_config('q', 'external_ticker', 'on')", "1|1|1|1"),
        ("select queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period, queue_external_ticker from pgq.queue",
         "7|00:00:07|00:00:08|t"),
    ]);
}
