use std::time::Duration;

use pgq_core::SessionId;
use pgq_core::maintenance::{Held, LongTransaction};

use super::bench::{Bench, lost, periods, ticker_error, warnings};
use crate::reply::Reply;
use crate::routine::Action;
use crate::{Periods, State};

/// Up to the next look.
fn looks(bench: &mut Bench, function: &str, reply: impl Fn() -> Reply) {
    loop {
        match bench.routine.next(bench.now) {
            Action::Wait(wait) => bench.now += wait,
            Action::Call => {
                let called = bench.routine.call().unwrap().function();
                let answer = match called {
                    "pgq.ticker" => Reply::Ticked(0),
                    "pgq.maint_retry_events" => Reply::Moved(0),
                    "pgq.maint_operations" => Reply::Operations(Vec::new()),
                    called if called == function => reply(),
                    "pgq.force_tick" => Reply::ForcedAhead(0),
                    called => panic!("{called}"),
                };
                bench.routine.replied(Ok(answer), bench.now);
                if called == function {
                    return;
                }
            }
            action => panic!("{action:?}"),
        }
    }
}

#[test]
fn ticks_at_once_where_ticks_are_from_the_future() {
    let mut bench = Bench::leading(periods());
    let warned = warnings(|| {
        for _ in 0..10 {
            looks(&mut bench, "pgq.force_tick", || Reply::ForcedAhead(1));
            bench.replies("pgq.ticker", Reply::Ticked(1));
            bench.notifies(None);
        }
    });
    assert_eq!(warned, 1);
}

#[test]
fn looks_twice_a_second_at_most() {
    let mut bench = Bench::leading(periods());
    let start = bench.now;
    for _ in 0..10 {
        looks(&mut bench, "pgq.force_tick", || Reply::ForcedAhead(0));
    }
    let took = bench.now - start;
    assert!(took >= Duration::from_secs(5) && took <= Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_look_that_fails_stops_nothing() {
    let mut bench = Bench::leading(Periods { tick: Duration::from_secs(1), ..periods() });
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.fails("pgq.force_tick", ticker_error("42883", "function pgq.force_tick(text) does not exist"));
    assert_eq!(bench.routine.stats().failing.keys().collect::<Vec<_>>(), ["look for ticks from the future"]);
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
    assert!(bench.routine.stats().failing.is_empty());
}

#[test]
fn looks_also_where_a_queue_is_broken() {
    let mut bench = Bench::leading(Periods { tick: Duration::from_secs(1), ..periods() });
    bench.waits();
    bench.fails("pgq.ticker", ticker_error("P0001", "Invalid PgQ state: x"));
    bench.replies("pgq.queue", Reply::Queues(vec!["sound".to_owned()]));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(1));
    bench.replies("pgq.ticker", Reply::TickedQueue(None));
}

#[test]
fn tells_of_a_long_transaction_once() {
    let seconds = Duration::from_secs;
    let mut bench = Bench::leading(Periods { long_transaction: seconds(60), ..periods() });
    let old = open("3/7", Some(seconds(61)));
    let told = |bench: &Bench| -> Vec<_> {
        bench.routine.stats().long_transactions.iter().map(|open| (open.id.clone(), open.age)).collect()
    };
    let warned = warnings(|| {
        for _ in 0..3 {
            looks(&mut bench, "pg_locks", || Reply::LongTransactions(vec![old.clone()]));
            assert_eq!(told(&bench), [("3/7".to_owned(), Some(seconds(61)))]);
        }
    });
    assert_eq!(warned, 1);
    let warned = warnings(|| {
        // The server does not tell the age of the other one.
        let both = || Reply::LongTransactions(vec![old.clone(), open("4/9", None)]);
        looks(&mut bench, "pg_locks", both);
        let start = bench.now;
        while told(&bench).len() < 2 {
            looks(&mut bench, "pg_locks", both);
            assert!(bench.now - start < seconds(66), "{:?}", told(&bench));
        }
        assert!(bench.now - start >= seconds(60), "{:?}", told(&bench));
        looks(&mut bench, "pg_locks", both);
        looks(&mut bench, "pg_locks", || Reply::LongTransactions(Vec::new()));
        assert!(told(&bench).is_empty());
        looks(&mut bench, "pg_locks", both);
        assert_eq!(told(&bench).len(), 1, "another one with the same name");
    });
    assert_eq!(warned, 2);
}

/// How often it looks at ticks from the future and at long transactions in a minute, where each tick takes so long.
fn looks_in_a_minute(tick: u64, long_transaction: u64, takes: u64) -> [usize; 2] {
    let [tick, long_transaction, takes] = [tick, long_transaction, takes].map(Duration::from_millis);
    let mut bench = Bench::leading(Periods { tick, long_transaction, ..periods() });
    let (start, mut looks) = (bench.now, [0, 0]);
    while bench.now <= start + Duration::from_secs(60) {
        if let Action::Wait(wait) = bench.routine.next(bench.now) {
            bench.now += wait;
            continue;
        }
        let answer = match bench.routine.call().unwrap().function() {
            "pgq.force_tick" => Reply::ForcedAhead(0),
            "pg_locks" => Reply::LongTransactions(Vec::new()),
            "pgq.maint_retry_events" => Reply::Moved(0),
            "pgq.ticker" => {
                bench.now += takes;
                Reply::Ticked(0)
            }
            called => panic!("{called}"),
        };
        looks[0] += usize::from(matches!(answer, Reply::ForcedAhead(_)));
        looks[1] += usize::from(matches!(answer, Reply::LongTransactions(_)));
        bench.routine.replied(Ok(answer), bench.now);
    }
    looks
}

#[test]
fn no_look_starves_the_other() {
    assert_eq!(looks_in_a_minute(1000, 2000, 0), [60, 60]);
    assert_eq!(looks_in_a_minute(5000, 60_000, 0), [12, 12]);
    assert_eq!(looks_in_a_minute(100, 60_000, 0), [120, 12]);
    // The next tick is always due: one look after each.
    assert_eq!(looks_in_a_minute(1000, 2000, 2000), [15, 14]);
}

#[test]
fn a_look_that_fails_holds_up_no_other() {
    let (tick, long_transaction) = (Duration::from_secs(1), Duration::from_secs(1));
    let mut bench = Bench::leading(Periods { tick, long_transaction, ..periods() });
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.fails("pg_locks", ticker_error("42501", "permission denied for view pg_locks"));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
    bench.waits();
}

#[test]
fn a_slow_look_holds_up_ticks_alone() {
    let (tick, long_transaction) = (Duration::from_secs(1), Duration::from_secs(1));
    let mut bench = Bench::leading(Periods { tick, long_transaction, ..periods() });
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.calls("pg_locks");
    bench.now += tick;
    bench.routine.replied(Ok(Reply::LongTransactions(Vec::new())), bench.now);
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
}

/// The lock was lost and is had again, with a transaction open all the time whose age the server does not tell.
#[test]
fn a_new_lead_forgets_no_transaction_and_a_stand_by_shows_none() {
    let mut bench = Bench::leading(Periods { long_transaction: Duration::from_secs(2), ..periods() });
    let look = |bench: &mut Bench| {
        looks(bench, "pg_locks", || Reply::LongTransactions(vec![open("3/7", None)]));
        bench.routine.stats().long_transactions.len()
    };
    let warned = warnings(|| while look(&mut bench) == 0 {});
    assert_eq!(warned, 1);
    bench.routine.lost(&lost(), bench.now);
    assert_eq!(bench.routine.stats().long_transactions, []);
    bench.disconnects();
    bench.waits();
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(None));
    assert_eq!(bench.routine.stats().state, State::Standby);
    assert_eq!(bench.routine.stats().long_transactions, []);
    bench.waits();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(8))));
    let warned = warnings(|| assert_eq!(look(&mut bench), 1));
    assert_eq!(warned, 0);
}

fn open(id: &str, age: Option<Duration>) -> LongTransaction {
    let application = "app".to_owned();
    LongTransaction::new(id.to_owned(), Some(1), application, age, Held::EventsAndRotation)
}
