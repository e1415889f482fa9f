use std::time::Duration;

use pgq_core::{Error, SessionId, TickId, TxId, tick};

use super::bench::{Bench, error_of, lost, periods};
use crate::reply::Reply;

#[test]
fn a_leader_ticks_at_once() {
    let mut bench = Bench::leading(periods());
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(Some(TickId(1))));
    bench.replies("pgq.ticker", Reply::TickedQueue(Some(TickId(2))));
    bench.notifies(Some("q"));
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(1).unwrap();
    assert_eq!(bench.routine.stats().ticks, 1);
}

#[test]
fn a_leader_ticks_again_until_the_tick_covers() {
    let mut bench = Bench::leading(periods());
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(Some(TickId(1))));
    for _ in 0..3 {
        bench.replies("pgq.ticker", Reply::TickedQueue(None));
        bench.replies("pgq.tick", Reply::Covered(false));
        assert_eq!(bench.waits(), Duration::from_millis(20));
    }
    bench.replies("pgq.ticker", Reply::TickedQueue(Some(TickId(2))));
    bench.notifies(Some("q"));
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(1).unwrap();
}

/// One that stands by, with 300 milliseconds to the next try to lead.
fn standby() -> Bench {
    let mut bench = Bench::with(periods());
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(None));
    bench.routine.pause_until = bench.now + Duration::from_millis(300);
    bench
}

#[test]
fn a_standby_leaves_the_tick_to_the_leader() {
    let mut bench = standby();
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.calls("pgq.ticker");
    assert!(bench.routine.call().unwrap().sql().contains("WHERE NOT EXISTS"), "it must make no tick");
    bench.routine.replied(Ok(Reply::NotRefused), bench.now);
    for _ in 0..15 {
        bench.replies("pgq.tick", Reply::Covered(false));
        assert_eq!(bench.waits(), Duration::from_millis(20));
    }
    bench.replies("pg_try_advisory_lock", Reply::Lead(None));
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(1).unwrap();
    assert_eq!(bench.routine.stats().ticks, 0);
}

#[test]
fn a_standby_that_takes_over_makes_the_tick() {
    let mut bench = standby();
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.replies("pgq.ticker", Reply::NotRefused);
    bench.replies("pgq.tick", Reply::Covered(false));
    bench.now += Duration::from_millis(300);
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
    bench.replies("pgq.tick", Reply::Covered(false));
    bench.now += Duration::from_millis(20);
    bench.calls("pgq.ticker");
    assert_eq!(bench.routine.call().unwrap().sql(), tick::queue_on("q", SessionId(7)).sql(), "it leads now");
    bench.routine.replied(Ok(Reply::TickedQueue(Some(TickId(2)))), bench.now);
    bench.notifies(Some("q"));
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(1).unwrap();
}

#[test]
fn the_asker_gets_the_error() {
    let mut bench = Bench::leading(periods());
    bench.tick_now(1, "none");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.fails("pgq.ticker", error_of(&tick::queue("none"), "P0001", "no such queue"));
    assert!(matches!(bench.answers(1), Err(Error::QueueNotFound { queue, .. }) if queue == "none"));
    assert!(bench.routine.stats().failing.is_empty());
}

#[test]
fn starts_over_on_another_connection() {
    let mut bench = Bench::leading(periods());
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.fails("pgq.force_tick", lost());
    bench.disconnects();
    bench.waits();
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
    bench.replies("txid_current", Reply::Marked(TxId(43)));
}

#[test]
fn each_gives_up_after_thirty_seconds() {
    let mut bench = Bench::new();
    bench.tick_now(1, "one");
    bench.now += Duration::from_secs(10);
    bench.tick_now(2, "two");
    bench.routine.lost(&lost(), bench.now);
    bench.disconnects();
    bench.now += Duration::from_secs(20);
    assert!(matches!(bench.answers(1), Err(Error::NoTickInTime { queue, .. }) if queue == "one"));
    bench.now += Duration::from_secs(10);
    assert!(matches!(bench.answers(2), Err(Error::NoTickInTime { queue, .. }) if queue == "two"));
}

#[test]
fn one_that_waits_holds_up_no_other() {
    let mut bench = standby();
    bench.tick_now(1, "slow");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.replies("pgq.ticker", Reply::NotRefused);
    bench.replies("pgq.tick", Reply::Covered(false));
    bench.tick_now(2, "fast");
    bench.replies("txid_current", Reply::Marked(TxId(43)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.replies("pgq.ticker", Reply::NotRefused);
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(2).unwrap();
}

#[test]
fn many_of_them_do_not_stop_the_beat() {
    let mut bench = Bench::leading(periods());
    let (mut ticks, mut id) = (0, 0);
    let end = bench.now + Duration::from_secs(1);
    while bench.now < end {
        if bench.routine.requests.is_empty() {
            id += 1;
            bench.tick_now(id, "q");
        }
        let crate::routine::Action::Call = bench.routine.next(bench.now) else { continue };
        let (function, of_a_queue) = bench
            .routine
            .call()
            .map(|call| (call.function(), call.sql().contains("pgq.ticker($1)")))
            .unwrap();
        bench.now += Duration::from_millis(1);
        let reply = match (function, of_a_queue) {
            ("txid_current", _) => Reply::Marked(TxId(42)),
            ("pgq.force_tick", _) => Reply::Forced(None),
            ("pgq.ticker", true) => Reply::TickedQueue(None),
            ("pgq.ticker", false) => {
                ticks += 1;
                Reply::Ticked(0)
            }
            _ => Reply::Covered(true),
        };
        bench.routine.replied(Ok(reply), bench.now);
    }
    assert!(ticks >= 9, "{ticks} of ten ticks");
}
