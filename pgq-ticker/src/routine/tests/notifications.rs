use pgq_core::{SessionId, TickId, TxId, tick};

use super::bench::{Bench, error_of, lost, periods};
use crate::State;
use crate::reply::Reply;

#[test]
fn tells_of_ticks_and_of_nothing_else() {
    let mut bench = Bench::leading(periods());
    for _ in 0..2 {
        bench.waits();
        bench.replies("pgq.ticker", Reply::Ticked(2));
        bench.notifies(None);
        bench.waits();
        bench.replies("pgq.ticker", Reply::Ticked(0));
    }
}

#[test]
fn leaves_it_to_the_engine_until_the_connection_is_another() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(1));
    bench.replies("pg_notify", Reply::Notified(false));
    for _ in 0..3 {
        bench.waits();
        bench.replies("pgq.ticker", Reply::Ticked(1));
    }
    bench.waits();
    bench.fails("pgq.ticker", lost());
    bench.disconnects();
    bench.waits();
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(8))));
    bench.replies("pgq.ticker", Reply::Ticked(1));
    bench.notifies(None);
}

#[test]
fn forgets_what_it_had_to_tell_with_its_connection() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(1));
    bench.fails("pg_notify", lost());
    bench.disconnects();
    bench.waits();
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(8))));
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.replies("pgq.maint_retry_events", Reply::Moved(0));
}

#[test]
fn ticks_on_where_it_cannot_tell() {
    let mut bench = Bench::leading(periods());
    for _ in 0..3 {
        bench.waits();
        bench.replies("pgq.ticker", Reply::Ticked(1));
        bench.fails("pg_notify", error_of(&tick::notify(None), "54000", "too many notifications"));
        assert_eq!(bench.routine.stats().state, State::Leading);
    }
    let stats = bench.routine.stats();
    assert_eq!((stats.ticks, stats.failures), (3, 3));
    assert!(stats.failing.keys().eq(["notification"]), "{stats:?}");
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(1));
    bench.notifies(None);
    assert!(bench.routine.stats().failing.is_empty());
}

#[test]
fn tells_of_a_tick_before_the_asker_is_answered() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(Some(TickId(1))));
    bench.replies("pgq.ticker", Reply::TickedQueue(Some(TickId(2))));
    bench.fails("pg_notify", error_of(&tick::notify(None), "54000", "too many notifications"));
    bench.replies("pgq.tick", Reply::Covered(true));
    bench.answers(1).unwrap();
}
