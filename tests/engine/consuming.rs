use crate::bed::portable;
use crate::session::Session;

/// Where consumer `c` stands.
const ROW: &str = "select sub_last_tick, sub_batch, sub_next_tick from pgq.subscription \
     join pgq.consumer on co_id = sub_consumer where co_name = 'c'";

#[test]
fn registering() {
    let mut session = Session::portable();
    let null = "23502 null value in column \"co_name\" of relation \"consumer\" violates not-null constraint";
    session.check(&[
        ("select pgq.create_queue('q'), pgq.create_queue('idle')", "1|1"),
        ("select pgq.register_consumer('none', 'c')", "P0001 Event queue not created yet"),
        ("select pgq.register_consumer(null, null)", "P0001 Event queue not created yet"),
        ("select pgq.register_consumer('q', null)", null),
        ("select pgq.register_consumer_at('q', null, 77)", null),
        ("select pgq.register_consumer_at('q', 'c', 77)", "P0001 cannot reposition, tick not found: 77"),
        ("select count(*) from pgq.consumer", "0"),
        ("select pgq.register_consumer('q', 'c'), pgq.register_consumer('q', 'c')", "1|0"),
    ]);
    session.produce(1);
    session.check(&[
        ("select pgq.register_consumer('q', 'late')", "1"),
        ("select last_tick from pgq.get_consumer_info('q', 'late')", "2"),
        ("select pgq.next_batch('q', 'c')", "1"),
        ("update pgq.subscription set sub_active = now() - interval '1 day'", ""),
        ("select pgq.register_consumer('q', 'c'), pgq.register_consumer_at('q', 'c', null)", "0|0"),
        (ROW, "1|1|2"),
        ("select last_seen >= '1 day' from pgq.get_consumer_info('q', 'c')", "t"),
        ("select pgq.register_consumer_at('q', 'c', 77)", "P0001 cannot reposition, tick not found: 77"),
        (ROW, "1|1|2"),
        ("select pgq.register_consumer_at('q', 'c', 2)", "0"),
        (ROW, "2|~|~"),
        ("select last_seen < '1 day' from pgq.get_consumer_info('q', 'c')", "t"),
        ("select pgq.finish_batch(1)", "! finish_batch: batch 1 not found 0"),
        ("select pgq.register_consumer_at('q', 'early', 1)", "1"),
        ("delete from pgq.tick where tick_queue = (select queue_id from pgq.queue where queue_name = 'idle')", ""),
        (
            "select pgq.register_consumer('idle', 'c')",
            "P0001 No ticks for this queue.  Please run ticker on database.",
        ),
    ]);
}

#[test]
fn registering_the_same_new_name_at_once() {
    let database = portable();
    let (mut first, mut second) = (Session::new(&database), Session::new(&database));
    first.run("select pgq.create_queue('q'), pgq.create_queue('other')");
    for (consumer, queue, end, expected) in
        [("c", "q", "commit", "0"), ("d", "other", "commit", "1"), ("e", "q", "rollback", "1")]
    {
        first.run("begin");
        assert_eq!(first.answer(&format!("select pgq.register_consumer('q', '{consumer}')")), "1");
        let register = format!("select pgq.register_consumer('{queue}', '{consumer}')");
        assert_eq!(first.keeps_waiting(&mut second, &register, end), expected, "{register}");
    }
}

#[test]
fn unregistering() {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.create_queue('other')");
    session.run("select pgq.register_consumer('q', 'c'), pgq.register_consumer('other', 'c')");
    session.run("select pgq.register_consumer('q', 'd')");
    session.produce(3);
    session.check(&[
        ("select pgq.unregister_consumer('q', 'none'), pgq.unregister_consumer('none', 'c')", "0|0"),
        ("select pgq.unregister_consumer(null, 'c'), pgq.unregister_consumer('q', null)", "0|0"),
        ("select pgq.next_batch('q', 'c'), pgq.next_batch('q', 'd')", "1|2"),
        ("select pgq.batch_retry(1, 0), pgq.batch_retry(2, 0)", "3|3"),
        ("select pgq.unregister_consumer('q', 'c'), pgq.unregister_consumer('q', 'c')", "1|0"),
        ("select count(*) from pgq.retry_queue", "3"),
        ("select pgq.finish_batch(1), pgq.finish_batch(2)", "! finish_batch: batch 1 not found 0|1"),
        ("select co_name from pgq.consumer order by 1", "c d"),
        ("select pgq.unregister_consumer('other', 'c')", "1"),
        ("select co_name from pgq.consumer", "d"),
    ]);
}

/// Groups are told by their names and common `sub_id`; whether the schema of their functions is there does not matter.
#[test]
fn unregistering_a_group_without_its_schema() {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'm')");
    session.produce(2);
    for member in ["m.a", "m.b", "m.finished", "m.a.b"] {
        session.run(&format!("select pgq.register_consumer('q', '{member}')"));
    }
    session.run(
        "drop schema if exists pgq_coop cascade;
         update pgq.subscription set sub_id = 1 where sub_id <= 4;
         update pgq.subscription set sub_last_tick = 1, sub_batch = 8, sub_next_tick = 2 where sub_consumer = 2;
         update pgq.subscription set sub_last_tick = null where sub_consumer = 3;",
    );
    session.check(&[
        ("select pgq.unregister_consumer('q', 'm.finished')", "1"),
        ("select pgq.unregister_consumer('q', 'm.a')", "1"),
        ("select ev_data, ev_owner from pgq.retry_queue", "1|1 2|1"),
        ("select pgq.unregister_consumer('q', 'm')", "2"),
        ("select consumer_name from pgq.get_consumer_info()", "m.a.b"),
        ("select count(*) from pgq.retry_queue", "0"),
    ]);
}

#[test]
fn opening_and_finishing() {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    session.check(&[
        ("select pgq.next_batch('q', 'none')", "P0001 Not subscriber to queue: q/none"),
        ("select pgq.next_batch(null, 'c')", "P0001 Not subscriber to queue: NULL/c"),
        ("select pgq.next_batch_info(null, null)", "P0001 Not subscriber to queue: NULL/NULL"),
        ("select pgq.next_batch('q', 'c')", "~"),
        ("select * from pgq.next_batch_info('q', 'c')", "~|~|~|~|~|~|~"),
        ("begin; select pgq.next_batch('q', 'c'); select txid_current_if_assigned()", "~"),
        ("commit", ""),
    ]);
    session.produce(5);
    session.produce(5);
    session.check(&[
        ("select * from pgq.next_batch_custom('q', 'c', '1 hour', null, null)", "~|~|~|~|~|~|~"),
        ("select * from pgq.next_batch_custom('q', 'c', null, 1000000, null)", "~|~|~|~|~|~|~"),
        ("select * from pgq.next_batch_custom('q', 'c', null, null, '1 hour')", "~|~|~|~|~|~|~"),
        ("select batch_id, cur_tick_id, prev_tick_id from pgq.next_batch_custom('q', 'c', '0', 1, '1 hour')", "1|2|1"),
        ("select batch_id, cur_tick_id from pgq.next_batch_custom('q', 'c', '1 hour', 1000000, null)", "1|2"),
        ("begin; select pgq.next_batch('q', 'c'); select txid_current_if_assigned()", "~"),
        ("commit", ""),
        (
            "select cur_tick_time > prev_tick_time, cur_tick_event_seq > prev_tick_event_seq from pgq.next_batch_info('q', 'c')",
            "t|t",
        ),
        ("select queue_name, consumer_name, prev_tick_id, tick_id from pgq.get_batch_info(1)", "q|c|1|2"),
        ("select lag = now() - batch_end, seq_end > seq_start from pgq.get_batch_info(1)", "t|t"),
        ("select * from pgq.get_batch_info(99)", "~|~|~|~|~|~|~|~|~"),
        ("select * from pgq.get_batch_info(null)", "~|~|~|~|~|~|~|~|~"),
        ("select pgq.finish_batch(1)", "1"),
        (ROW, "2|~|~"),
        ("select pgq.finish_batch(1)", "! finish_batch: batch 1 not found 0"),
        ("select pgq.finish_batch(null)", "! finish_batch: batch <NULL> not found 0"),
        ("begin; select pgq.next_batch('q', 'c')", "2"),
        ("rollback", ""),
        ("select pgq.next_batch('q', 'c')", "3"),
        ("update pgq.subscription set sub_batch = null, sub_next_tick = null, sub_last_tick = 77", ""),
        (
            "select pgq.next_batch('q', 'c')",
            "P0001 PgQ corruption: Consumer c on queue q does not see tick <NULL>",
        ),
        ("select last_tick, lag, pending_events from pgq.get_consumer_info('q', 'c')", "77|~|~"),
        ("update pgq.subscription set sub_last_tick = null", ""),
        (
            "select pgq.next_batch('q', 'c')",
            "P0001 PgQ corruption: Consumer c on queue q does not see tick <NULL>",
        ),
    ]);
}

#[test]
fn the_end_of_a_batch() {
    let mut session = Session::portable();
    session.run(
        "select pgq.create_queue('q');
         delete from pgq.tick;
         insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         select 1, i, timestamptz '2020-01-01' + i * interval '50 seconds', i * 100 from generate_series(1, 20) i",
    );
    for (min_count, min_interval, expected) in [
        ("101", "null", "3"),
        ("949", "null", "11"),
        ("950", "null", "20"),
        ("1900", "null", "20"),
        ("1901", "null", "~"),
        ("null", "'474 s'", "11"),
        ("null", "'475 s'", "20"),
        ("null", "'500 s'", "20"),
        ("null", "'951 s'", "~"),
        ("1901", "'300 s'", "7"),
        ("0", "null", "2"),
        ("-1", "null", "2"),
        ("null", "null", "~"),
    ] {
        let first = "timestamptz '2020-01-01 00:00:50', 100";
        let call = format!(
            "select next_tick_id from pgq.find_tick_helper(1, 1, {first}, {min_count}, {min_interval})"
        );
        session.check(&[(call.as_str(), expected)]);
        let last = "timestamptz '2020-01-01 00:16:40', 2000";
        let call = format!("select * from pgq.find_tick_helper(1, 20, {last}, {min_count}, {min_interval})");
        session.check(&[(call.as_str(), "~|~|~")]);
    }
}

#[test]
fn two_sessions_of_one_consumer() {
    let database = portable();
    let (mut first, mut second) = (Session::new(&database), Session::new(&database));
    first.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    first.produce(1);
    first.produce(1);
    let next = "select pgq.next_batch('q', 'c')";
    first.run("begin");
    first.check(&[(next, "1")]);
    assert_eq!(first.keeps_waiting(&mut second, next, "commit"), "1");

    first.run("begin");
    first.check(&[("select pgq.finish_batch(1)", "1")]);
    let finish = "select pgq.finish_batch(1)";
    assert_eq!(first.keeps_waiting(&mut second, finish, "commit"), "! finish_batch: batch 1 not found 0");

    // The first is through with the batch that the second was about to open.
    first.run("begin");
    first.run("select pgq.finish_batch(pgq.next_batch('q', 'c'))");
    assert_eq!(first.keeps_waiting(&mut second, next, "commit"), "~");
    first.check(&[(ROW, "3|~|~")]);
}

#[test]
fn finishing_while_it_is_unregistered() {
    for (end, expected) in [("commit", "! finish_batch: batch 1 not found 0"), ("rollback", "1")] {
        let database = portable();
        let (mut first, mut second) = (Session::new(&database), Session::new(&database));
        first.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
        first.produce(1);
        first.run("select pgq.next_batch('q', 'c')");
        first.run("begin; select pgq.unregister_consumer('q', 'c')");
        assert_eq!(first.keeps_waiting(&mut second, "select pgq.finish_batch(1)", end), expected);
    }
}

#[test]
fn what_there_is() {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.create_queue('a'), pgq.create_queue('empty')");
    session.run("select pgq.register_consumer('q', 'c'), pgq.register_consumer('q', 'b'), pgq.register_consumer('a', 'c')");
    let news = "select ev_new, ev_per_sec, last_tick_id, ticker_lag >= '0' from pgq.get_queue_info('q')";
    session.check(&[(news, "0|~|1|t"), ("select pgq.insert_event('q', 't', 'd')", "1"), (news, "1|~|1|t")]);
    session.produce(4);
    session.run("delete from pgq.tick where tick_queue = 3");
    session.check(&[
        ("select queue_name, consumer_name from pgq.get_consumer_info()", "a|c q|b q|c"),
        ("select queue_name, consumer_name from pgq.get_consumer_info(null, 'c')", "a|c q|c"),
        ("select consumer_name, last_tick, pending_events > 4 from pgq.get_consumer_info('q')", "b|1|t c|1|t"),
        ("select count(*) from pgq.get_consumer_info('none') a, pgq.get_consumer_info('q', 'none') b", "0"),
        ("select lag > '0', last_seen >= '0' from pgq.get_consumer_info('q', 'c')", "t|t"),
        ("select queue_name, last_tick_id, ev_per_sec > 4, ev_new from pgq.get_queue_info()", "a|1|~|0 empty|~|~|~ q|2|t|0"),
        ("select queue_name from pgq.get_queue_info(null)", "a empty q"),
        ("select count(*) from pgq.get_queue_info('none')", "0"),
        (
            "select queue_ntables, queue_cur_table, queue_rotation_period, queue_external_ticker, queue_ticker_paused, \
             queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period from pgq.get_queue_info('q')",
            "3|0|02:00:00|f|f|500|00:00:03|00:01:00",
        ),
    ]);
}
