use pgq_testkit::{Database, Engine};

use crate::session::{Session, on_each_engine};

/// The rows of the group of `m`: name, ticks and batch.
pub(crate) const GROUP: &str = "select co_name, sub_last_tick, sub_batch, sub_next_tick from pgq.subscription \
     join pgq.consumer on co_id = sub_consumer where co_name = 'm' or co_name like 'm.%' order by 1";

/// Subconsumer `a` has been silent for an hour.
pub(crate) const NAP: &str = "update pgq.subscription set sub_active = now() - interval '1 hour' where sub_consumer = \
     (select co_id from pgq.consumer where co_name = 'm.a')";

/// On both engines, with queue `q`, and the subconsumers `a` and `b` of `m`.
pub(crate) fn with_group(case: impl Fn(Engine, &Database, &mut Session)) {
    on_each_engine(|engine, database| {
        let mut session = Session::new(database);
        session.run("select pgq.create_queue('q')");
        session.run("select pgq_coop.register_subconsumer('q', 'm', 'a'), pgq_coop.register_subconsumer('q', 'm', 'b')");
        case(engine, database, &mut session);
    });
}

#[test]
fn registering() {
    on_each_engine(|_, database| {
        let null =
            "23502 null value in column \"co_name\" of relation \"consumer\" violates not-null constraint";
        Session::new(database).check(&[
            ("select pgq_coop.version(), pgq_coop.portable_release()", "3.4|1"),
            ("select pgq.create_queue('q')", "1"),
            ("select pgq_coop.register_subconsumer('none', 'm', 'a')", "P0001 Event queue not created yet"),
            ("select pgq_coop.register_subconsumer(null, 'm', 'a')", "P0001 Event queue not created yet"),
            ("select pgq_coop.next_batch('none', 'm', 'a')", "P0001 Event queue not created yet"),
            ("select pgq_coop.register_subconsumer('q', null, 'a')", null),
            ("select pgq_coop.register_subconsumer('q', 'm', null)", null),
            ("select pgq_coop.next_batch('q', 'm', null)", null),
            (GROUP, ""),
            ("select pgq_coop.register_subconsumer('q', 'm', 'a'), pgq_coop.register_subconsumer('q', 'm', 'a')", "1|0"),
            ("select pgq_coop.next_batch('q', 'm', 'b')", "~"),
            (GROUP, "m|1|~|~ m.a|~|~|~ m.b|~|~|~"),
            ("select count(distinct sub_id) from pgq.subscription", "1"),
        ]);
    });
}

#[test]
fn names_that_are_taken() {
    with_group(|_, _, session| {
        session.check(&[
            ("select pgq.register_consumer('q', 'm.x')", "1"),
            (
                "select pgq_coop.register_subconsumer('q', 'm', 'x')",
                "55000 consumer \"m.x\" of queue \"q\" is not a subconsumer of \"m\"",
            ),
            (
                "select pgq_coop.next_batch('q', 'm', 'x', '0')",
                "55000 consumer \"m.x\" of queue \"q\" is not a subconsumer of \"m\"",
            ),
            (
                "select pgq_coop.next_batch('q', 'm.a', 'x')",
                "55000 consumer \"m.a\" of queue \"q\" is a subconsumer of \"m\"",
            ),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'x', 1)", "0"),
            (GROUP, "m|1|~|~ m.a|~|~|~ m.b|~|~|~ m.x|1|~|~"),
        ]);
    });
}

#[test]
fn batches() {
    with_group(|_, _, session| {
        session.produce(3);
        session.produce(2);
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'a')", "1"),
            ("select pgq_coop.next_batch('q', 'm', 'b')", "2"),
            ("select pgq_coop.next_batch('q', 'm', 'c')", "~"),
            (NAP, ""),
            ("select pgq_coop.next_batch_custom('q', 'm', 'a', '1 hour', 1000, '1 hour')", "1"),
            ("select now() - sub_active < '1 minute' from pgq.subscription where sub_batch = 1", "t"),
            (GROUP, "m|3|~|~ m.a|1|1|2 m.b|2|2|3 m.c|~|~|~"),
            ("select count(*) from pgq.get_batch_events(1)", "3"),
            ("select consumer_name, prev_tick_id, tick_id from pgq.get_batch_info(2)", "m.b|2|3"),
            (
                "select consumer_name, lag is null, last_tick, pending_events from pgq.get_consumer_info('q', 'm.c')",
                "m.c|t|~|~",
            ),
            ("select pgq_coop.finish_batch(2)", "1"),
            ("select pgq_coop.finish_batch(2)", "! coop_finish_batch: batch 2 not found 0"),
            ("select pgq_coop.finish_batch(null)", "! coop_finish_batch: batch <NULL> not found 0"),
            (GROUP, "m|3|~|~ m.a|1|1|2 m.b|~|~|~ m.c|~|~|~"),
            (
                "select pgq.next_batch('q', 'm.b')",
                "P0001 PgQ corruption: Consumer m.b on queue q does not see tick <NULL>",
            ),
            ("select pgq.next_batch('q', 'm.a')", "1"),
        ]);
        session.produce(1);
        session.check(&[
            ("select pgq_coop.next_batch_custom('q', 'm', 'b', '1 hour', null, null)", "~"),
            ("select pgq_coop.next_batch_custom('q', 'm', 'b', null, 1000000, null)", "~"),
            ("select pgq_coop.next_batch_custom('q', 'm', 'b', null, 1, null)", "3"),
        ]);
    });
}

#[test]
fn not_while_the_main_consumer_works() {
    with_group(|_, _, session| {
        session.produce(1);
        session.check(&[
            ("select pgq.next_batch('q', 'm')", "1"),
            ("select pgq_coop.next_batch('q', 'm', 'a')", "P0001 main consumer has batch open?"),
            ("select pgq.finish_batch(1)", "1"),
            ("select pgq_coop.next_batch('q', 'm', 'a')", "~"),
        ]);
    });
}

#[test]
fn registering_at_once() {
    on_each_engine(|_, database| {
        let (mut first, mut second) = (Session::new(database), Session::new(database));
        first.run("select pgq.create_queue('q')");
        first.run("begin");
        first.check(&[("select pgq_coop.next_batch('q', 'm', 'a')", "~")]);
        let next = "select pgq_coop.next_batch('q', 'm', 'b')";
        assert_eq!(first.keeps_waiting(&mut second, next, "commit"), "~");
        first.run("begin");
        first.check(&[("select pgq_coop.register_subconsumer('q', 'm', 'c')", "1")]);
        let register = "select pgq_coop.register_subconsumer('q', 'm', 'c')";
        assert_eq!(first.keeps_waiting(&mut second, register, "commit"), "0");
        first.check(&[
            (GROUP, "m|1|~|~ m.a|~|~|~ m.b|~|~|~ m.c|~|~|~"),
            ("select count(distinct sub_id) from pgq.subscription", "1"),
        ]);
    });
}

#[test]
fn unregistering() {
    with_group(|_, _, session| {
        session.produce(2);
        let busy = "P0001 subconsumer has active batch";
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'a')", "1"),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', 0)", busy),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', 2)", busy),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', -1)", busy),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', null)", busy),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'b', 0)", "1"),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'b', 0)", "0"),
            ("select pgq_coop.unregister_subconsumer('q', 'none', 'a', 1)", "0"),
            ("select pgq_coop.unregister_subconsumer('none', 'm', 'a', 1)", "0"),
            ("select pgq_coop.unregister_subconsumer(null, null, null, null)", "0"),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', 1)", "1"),
            (GROUP, "m|2|~|~"),
            ("select string_agg(co_name, ' ' order by co_name) from pgq.consumer", "m m.a m.b"),
            ("select pgq.maint_retry_events()", "2"),
        ]);
        session.produce(0);
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'b')", "2"),
            ("select ev_data, ev_retry from pgq.get_batch_events(2)", "1|1 2|1"),
        ]);
    });
}

#[test]
fn unregistering_through_pgq() {
    with_group(|engine, _, session| {
        session.produce(2);
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'a')", "1"),
            ("select pgq.unregister_consumer('q', 'm.b')", "1"),
            (GROUP, "m|2|~|~ m.a|1|1|2"),
            ("select pgq.unregister_consumer('q', 'm.a')", "1"),
            (GROUP, "m|2|~|~"),
            ("select count(*) from pgq.retry_queue", if engine == Engine::Portable { "2" } else { "0" }),
            ("select pgq_coop.next_batch('q', 'm', 'a'), pgq_coop.next_batch('q', 'm', 'b')", "~|~"),
            ("select pgq.unregister_consumer('q', 'm')", "3"),
            (GROUP, ""),
            ("select count(*) from pgq.retry_queue", "0"),
            ("select string_agg(co_name, ' ' order by co_name) from pgq.consumer", "m.a m.b"),
        ]);
    });
}

#[test]
fn the_wrong_finish() {
    with_group(|engine, _, session| {
        session.produce(1);
        session.check(&[
            ("select pgq.register_consumer_at('q', 'plain', 1)", "1"),
            ("select pgq.next_batch('q', 'plain')", "1"),
            ("select pgq_coop.finish_batch(1)", "1"),
            ("select last_tick, current_batch from pgq.get_consumer_info('q', 'plain')", "2|~"),
            ("select pgq_coop.finish_batch(1)", "! coop_finish_batch: batch 1 not found 0"),
            ("select pgq_coop.next_batch('q', 'm', 'a')", "2"),
        ]);
        if engine == Engine::Portable {
            session.check(&[
                ("select pgq.finish_batch(2)", "1"),
                (GROUP, "m|2|~|~ m.a|~|~|~ m.b|~|~|~"),
                ("select pgq.finish_batch(2)", "! finish_batch: batch 2 not found 0"),
            ]);
        }
    });
}

#[test]
fn a_plain_call_that_read_the_position_before_the_group_moved_on() {
    let database = crate::bed::portable();
    let (mut group, mut plain) = (Session::new(&database), Session::new(&database));
    group.run("select pgq.create_queue('q')");
    group.run("select pgq_coop.register_subconsumer('q', 'm', 'a')");
    group.produce(1);
    group.produce(1);
    group.run("begin; select pgq_coop.next_batch('q', 'm', 'a')");
    let next = "select cur_tick_id, prev_tick_id from pgq.next_batch_info('q', 'm')";
    assert_eq!(group.keeps_waiting(&mut plain, next, "commit"), "3|2");
}

#[test]
fn for_readers() {
    with_group(|_, _, session| {
        session.check(&[
            ("set role pgq_reader; select pgq_coop.next_batch('q', 'm', 'a', '1 hour')", "~"),
            ("select pgq_coop.next_batch_custom('q', 'm', 'a', '0', 1, '1 hour')", "~"),
            ("select pgq_coop.unregister_subconsumer('q', 'm', 'a', 0), pgq_coop.version()", "1|3.4"),
            (
                "select pgq_coop._join_group('q', 'm', 'x')",
                "42501 permission denied for function _join_group",
            ),
            ("set role pgq_writer; select pgq_coop.version(), pgq_coop.portable_release()", "3.4|1"),
            ("select pgq_coop.next_batch('q', 'm', 'a')", "42501 permission denied for function next_batch"),
        ]);
    });
}
