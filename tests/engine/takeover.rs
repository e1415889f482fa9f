use crate::coop::{GROUP, NAP, with_group};
use crate::session::Session;

#[test]
fn takeover_under_a_new_id() {
    with_group(|_, _, session| {
        session.produce(3);
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'a')", "1"),
            ("select pgq_coop.next_batch('q', 'm', 'b', '1 minute')", "~"),
            (NAP, ""),
            ("select pgq_coop.next_batch('q', 'm', 'b', '2 hours')", "~"),
            ("select pgq_coop.next_batch('q', 'm', 'b')", "~"),
            ("select pgq_coop.next_batch('q', 'm', 'b', '1 minute')", "2"),
            (GROUP, "m|2|~|~ m.b|1|2|2"),
            ("select count(*) from pgq.get_batch_events(2)", "3"),
            ("select pgq_coop.finish_batch(1)", "! coop_finish_batch: batch 1 not found 0"),
            ("select pgq_coop.next_batch('q', 'm', 'a')", "~"),
            ("select pgq_coop.finish_batch(2)", "1"),
            (GROUP, "m|2|~|~ m.a|~|~|~ m.b|~|~|~"),
        ]);
    });
}

#[test]
fn takeover_of_a_batch_of_several_ticks() {
    with_group(|_, _, session| {
        (0..4).for_each(|_| session.produce(1));
        session.check(&[
            ("select pgq_coop.next_batch_custom('q', 'm', 'a', null, 5000, null)", "1"),
            (NAP, ""),
            ("select pgq_coop.next_batch('q', 'm', 'b', '1 minute')", "2"),
            ("select prev_tick_id, tick_id from pgq.get_batch_info(2)", "1|5"),
            ("select count(*) from pgq.get_batch_events(2)", "4"),
        ]);
    });
}

#[test]
fn the_idle_are_forgotten_after_the_busy_are_relieved() {
    with_group(|_, _, session| {
        session.produce(1);
        session.check(&[
            ("select pgq_coop.next_batch('q', 'm', 'a')", "1"),
            (NAP, ""),
            ("update pgq.subscription set sub_active = now() - interval '2 hours' where sub_last_tick is null", ""),
            ("select pgq_coop.next_batch('q', 'm', 'c', '1 minute')", "2"),
            (GROUP, "m|2|~|~ m.b|~|~|~ m.c|1|2|2"),
            ("select pgq_coop.finish_batch(2)", "1"),
            ("select pgq_coop.next_batch('q', 'm', 'c', '1 minute')", "~"),
            (GROUP, "m|2|~|~ m.c|~|~|~"),
            ("select string_agg(co_name, ' ' order by co_name) from pgq.consumer", "m m.a m.b m.c"),
        ]);
    });
}

#[test]
fn a_batch_that_is_being_finished_is_not_taken_over() {
    with_group(|_, database, zombie| {
        zombie.produce(1);
        zombie.check(&[("select pgq_coop.next_batch('q', 'm', 'a')", "1"), (NAP, "")]);
        zombie.run("begin; select pgq_coop.finish_batch(1)");

        let mut heir = Session::new(database);
        heir.run("set lock_timeout = '10s'");
        heir.check(&[("select pgq_coop.next_batch('q', 'm', 'b', '1 minute')", "~")]);
        heir.produce(1);
        heir.check(&[("select pgq_coop.next_batch('q', 'm', 'b', '1 minute')", "2")]);
        zombie.run("commit");
        heir.check(&[
            ("select consumer_name, prev_tick_id from pgq.get_batch_info(2)", "m.b|2"),
            (GROUP, "m|3|~|~ m.a|~|~|~ m.b|2|2|3"),
        ]);
    });
}

#[test]
fn a_finish_waits_for_a_takeover() {
    for (end, expected, finished) in [
        ("commit", "! coop_finish_batch: batch 1 not found 0", "m|2|~|~ m.b|1|2|2"),
        ("rollback", "1", "m|2|~|~ m.a|~|~|~ m.b|~|~|~"),
    ] {
        with_group(|_, database, heir| {
            heir.produce(1);
            heir.check(&[("select pgq_coop.next_batch('q', 'm', 'a')", "1"), (NAP, "")]);
            heir.run("begin; select pgq_coop.next_batch('q', 'm', 'b', '1 minute')");
            let mut zombie = Session::new(database);
            assert_eq!(heir.keeps_waiting(&mut zombie, "select pgq_coop.finish_batch(1)", end), expected);
            heir.check(&[(GROUP, finished)]);
        });
    }
}

/// A client asks for its batch again in the transaction that finishes it. From then on nobody can take it.
#[test]
fn the_fence() {
    with_group(|_, database, owner| {
        owner.produce(1);
        owner.check(&[("select pgq_coop.next_batch('q', 'm', 'a')", "1"), (NAP, "")]);
        owner.run("begin");
        owner.check(&[("select pgq_coop.next_batch('q', 'm', 'a')", "1")]);
        owner.run("select pgq_coop.finish_batch(1)");
        let mut heir = Session::new(database);
        let take = "select pgq_coop.next_batch('q', 'm', 'b', '1 minute')";
        assert_eq!(owner.keeps_waiting(&mut heir, take, "commit"), "~");
        owner.check(&[(GROUP, "m|2|~|~ m.a|~|~|~ m.b|~|~|~")]);
    });
}
