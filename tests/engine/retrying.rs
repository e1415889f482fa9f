use crate::session::Session;

const WAITING: &str = "select ev_id, ev_retry, ev_txid, ev_owner, ev_queue, ev_data, ev_retry_after > now() from pgq.retry_queue \
     order by ev_id";

/// A session with consumer `c`, whose batch 1 has so many events.
fn batch_of(events: u32) -> Session {
    let mut session = Session::portable();
    session.run("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    session.produce(events);
    session.run("select pgq.next_batch('q', 'c')");
    session
}

/// Batch 3 has event 1 twice: the original, and the retry that was made of it.
fn twice() -> Session {
    let mut session = batch_of(2);
    session.run("select pgq.event_retry(1, 1, 0), pgq.finish_batch(1)");
    session.run("select pgq.maint_retry_events()");
    session.produce(0);
    session.run("select pgq.register_consumer_at('q', 'c', 1)");
    session.check(&[
        ("select batch_id from pgq.next_batch_custom('q', 'c', null, 3000, null)", "2"),
        ("select ev_id, ev_retry from pgq.get_batch_events(2) order by 1, 2 nulls first", "1|~ 1|1 2|~"),
    ]);
    session
}

#[test]
fn one() {
    let missing = "P0001 event not found";
    let null = "23502 null value in column \"ev_retry_after\" of relation \"retry_queue\" violates not-null constraint";
    batch_of(3).check(&[
        ("select pgq.event_retry(1, 2, 0), pgq.event_retry(1, 2, 60), pgq.event_retry(1, 2, now())", "1|0|0"),
        ("select pgq.event_retry(1, 3, now() + interval '1 hour')", "1"),
        (WAITING, "2|1|~|1|1|2|f 3|1|~|1|1|3|t"),
        ("select ev_retry_after - now() < '0' from pgq.retry_queue where ev_id = 2", "t"),
        ("select pgq.event_retry(1, 99, 0)", missing),
        ("select pgq.event_retry(1, null, 0)", missing),
        ("select pgq.event_retry(9, 1, now())", missing),
        ("select pgq.event_retry(null, 1, now())", missing),
        ("select pgq.event_retry(1, 1, null::integer)", null),
        ("select pgq.event_retry(1, 1, null::timestamptz)", null),
        ("select pgq.finish_batch(1)", "1"),
        ("select pgq.event_retry(1, 1, 0)", missing),
    ]);
}

#[test]
fn all() {
    batch_of(3).check(&[
        ("select pgq.event_retry(1, 2, 60)", "1"),
        ("select pgq.batch_retry(1, 0), pgq.batch_retry(1, 0)", "2|0"),
        (WAITING, "1|1|~|1|1|1|f 2|1|~|1|1|2|t 3|1|~|1|1|3|f"),
        ("select pgq.batch_retry(9, 0)", "P0001 batch_retry: batch 9 not found"),
        ("select pgq.batch_retry(null, 0)", "P0001 batch_retry: batch <NULL> not found"),
    ]);
}

#[test]
fn some() {
    let missing = "P0001 event not found";
    let lengths = "22023 there must be as many retry times as events";
    batch_of(5).check(&[
        ("select pgq.event_retry(1, 2, 60)", "1"),
        ("select pgq.events_retry(1, '{4,2,1}', '{0,0,60}')", "2"),
        (WAITING, "1|1|~|1|1|1|t 2|1|~|1|1|2|t 4|1|~|1|1|4|f"),
        ("select pgq.events_retry(1, '{5,5}', '{0,60}')", "1"),
        ("select ev_retry_after > now() from pgq.retry_queue where ev_id = 5", "t"),
        ("select pgq.events_retry(1, '{3,77,88}', '{0,0,0}')", missing),
        ("select pgq.events_retry(1, '{3,null}', '{0,0}')", missing),
        ("select pgq.events_retry(9, '{3}', '{0}')", "P0001 batch not found"),
        ("select pgq.events_retry(null, '{3}', '{0}')", "P0001 batch not found"),
        ("select count(*) from pgq.retry_queue where ev_id = 3", "0"),
        ("select pgq.events_retry(1, '{3,4}', '{0}')", lengths),
        ("select pgq.events_retry(1, '{3}', null)", lengths),
        ("select pgq.events_retry(1, '{}', '{}'), pgq.events_retry(9, null, null)", "0|0"),
    ]);
}

/// However many are retried, the batch is read once.
#[test]
fn the_batch_is_read_once() {
    const EVENTS: u32 = 2_000;
    let mut session = batch_of(EVENTS);
    let read = |session: &mut Session| {
        let sum = "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) \
             from pg_stat_xact_user_tables where relname like 'event_1_%'";
        session.answer(sum).parse::<u32>().unwrap()
    };
    for call in [
        "select pgq.event_retry(1, 1000, 60)",
        "select pgq.events_retry(1, array_agg(i), array_agg(60)) from generate_series(1::bigint, 1000) i",
        "select pgq.batch_retry(1, 60)",
    ] {
        session.run("begin");
        // What the transactions before have read may not be reported yet.
        let before = read(&mut session);
        session.run(call);
        assert_eq!(read(&mut session) - before, EVENTS, "{call}");
        session.run("rollback");
    }
}

#[test]
fn an_event_that_is_there_twice() {
    for (call, expected) in [
        ("select pgq.event_retry(2, 1, 0)", "1"),
        ("select pgq.events_retry(2, '{1}', '{0}')", "1"),
        ("select pgq.batch_retry(2, 0)", "2"),
    ] {
        twice().check(&[
            (call, expected),
            ("select ev_id, ev_retry from pgq.retry_queue where ev_id = 1", "1|2"),
            (call, "0"),
        ]);
    }
}

#[test]
fn any_event() {
    let missing = "P0001 consumer not registered";
    let raw =
        |arguments: &str| format!("select pgq.event_retry_raw({arguments}, 't', 'd', '1', null, null, '4')");
    let null = |column| {
        format!(
            "23502 null value in column \"{column}\" of relation \"retry_queue\" violates not-null constraint"
        )
    };
    let mut session = batch_of(3);
    let next = session.answer("select last_value + 1 from pgq.event_1_id_seq");
    for (arguments, expected) in [
        ("'q', 'c', now(), null, now(), 7", next.as_str()),
        ("'q', 'c', now(), 2, now(), null", "2"),
        (
            "'q', 'c', now(), 2, now(), null",
            "23505 duplicate key value violates unique constraint \"rq_pkey\"",
        ),
        ("'q', 'c', null, 3, now(), 1", &null("ev_retry_after")),
        ("'q', 'c', now(), 3, null, 1", &null("ev_time")),
        ("'q', 'none', now(), 3, now(), 1", missing),
        ("'none', 'c', now(), 3, now(), 1", missing),
        ("null, null, now(), 3, now(), 1", missing),
    ] {
        assert_eq!(session.answer(&raw(arguments)), expected, "{arguments}");
    }
    session.check(&[
        (
            "select ev_id, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra4, ev_owner from pgq.retry_queue order by 1",
            &format!("2|~|t|d|1|~|4|1 {next}|7|t|d|1|~|4|1"),
        ),
    ]);
}
