use std::time::Duration;

use pgq_core::{Error, SessionId, TxId, maintenance, tick};

use super::bench::{Bench, error_of, lost, operation, periods, ticker_error, warnings};
use crate::reply::Reply;
use crate::routine::Action;
use crate::{Periods, State};

#[test]
fn connects_prepares_checks_and_leads() {
    let mut bench = Bench::new();
    assert_eq!(bench.routine.stats().state, State::Connecting);
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
    assert_eq!(bench.routine.stats().state, State::Leading);
    bench.replies("pgq.ticker", Reply::Ticked(3));
    assert_eq!(bench.routine.stats().ticks, 3);
}

#[test]
fn stands_by_until_it_leads() {
    let mut bench = Bench::with(periods());
    bench.set_up();
    for _ in 0..100 {
        bench.replies("pg_try_advisory_lock", Reply::Lead(None));
        assert_eq!(bench.routine.stats().state, State::Standby);
        let wait = bench.waits();
        assert!(wait >= Duration::from_millis(250) && wait <= Duration::from_millis(750), "{wait:?}");
    }
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
    bench.replies("pgq.ticker", Reply::Ticked(0));
}

#[test]
fn loses_leadership_with_its_connection() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.fails("pgq.ticker", lost());
    assert_eq!(bench.routine.stats().state, State::Connecting);
    bench.disconnects();
    assert!(bench.waits() <= Duration::from_millis(75));
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(None));
    assert_eq!(bench.routine.stats().state, State::Standby);
}

#[test]
fn backs_off_between_connections_that_fail() {
    let mut bench = Bench::new();
    let mut pauses = Vec::new();
    for _ in 0..20 {
        assert!(matches!(bench.routine.next(bench.now), Action::Connect));
        bench.routine.lost(&lost(), bench.now);
        bench.disconnects();
        pauses.push(bench.waits());
    }
    assert!(pauses[0] <= Duration::from_millis(75), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(1500)), "{pauses:?}");
    assert!(pauses[10..].iter().all(|pause| *pause >= Duration::from_millis(500)), "{pauses:?}");
    bench.set_up();
    bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.routine.lost(&lost(), bench.now);
    bench.disconnects();
    assert!(bench.waits() <= Duration::from_millis(75), "a ticker that has worked starts over");
}

#[test]
fn a_session_that_cannot_be_set_up_is_given_up() {
    let setups = ["set_config", "pgq.maint_tables_to_vacuum", "pg_try_advisory_lock"];
    for failing in setups {
        let mut bench = Bench::new();
        bench.connect();
        for function in setups.into_iter().take_while(|function| *function != failing) {
            let reply = if function == "set_config" { Reply::Prepared } else { Reply::Checked };
            bench.replies(function, reply);
        }
        bench.fails(failing, ticker_error("57014", "canceling statement due to statement timeout"));
        assert_eq!(bench.routine.stats().state, State::Connecting);
        assert!(bench.routine.stats().trouble.as_ref().unwrap().contains("57014"));
        bench.disconnects();
        bench.waits();
        bench.connect();
        bench.calls("set_config");
    }
}

#[test]
fn a_leader_that_can_tick_nothing_steps_down_and_backs_off() {
    let hopeless =
        [("42883", "function does not exist"), ("42501", "permission denied"), ("25006", "read-only")];
    for (state, message) in hopeless {
        let mut bench = Bench::new();
        let start = bench.now;
        let mut turns = 0;
        while bench.now < start + Duration::from_secs(60) {
            bench.set_up();
            bench.replies("pg_try_advisory_lock", Reply::Lead(Some(SessionId(7))));
            bench.fails("pgq.ticker", ticker_error(state, message));
            assert_eq!(bench.routine.stats().state, State::Connecting);
            bench.disconnects();
            bench.waits();
            turns += 1;
            assert!(turns < 130, "{turns} turns within a minute");
        }
    }
}

#[test]
fn an_operation_that_does_not_exist_costs_no_leadership() {
    let mut bench = Bench::leading(Periods { maintenance: Duration::from_secs(1), ..Periods::default() });
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
    bench.replies(
        "pgq.maint_operations",
        Reply::Operations(vec![operation("no.such", "q"), operation("app.op", "q")]),
    );
    let run = maintenance::rotate_step1("q");
    for (state, message) in [("42883", "function no.such(text) does not exist"), ("25006", "read-only")] {
        bench.fails("pgq.maint_operations", error_of(&run, state, message));
        assert_eq!(bench.routine.stats().state, State::Leading);
    }
    assert_eq!(bench.routine.stats().failing.len(), 2);
}

#[test]
fn is_never_busy_where_everything_fails() {
    let slow = || Error::from("x=y".parse::<pgq_async::tokio_postgres::Config>().unwrap_err());
    for lose in [true, false] {
        let mut bench = if lose { Bench::new() } else { Bench::leading(periods()) };
        let start = bench.now;
        let mut actions = 0;
        // Thrice for each of ten ticks a second: the tick, the list of queues, the pause; nothing else is as frequent.
        let limit = if lose { 400 } else { 60 * 31 + 60 };
        while bench.now < start + Duration::from_secs(60) {
            match bench.routine.next(bench.now) {
                Action::Wait(wait) => bench.now += wait,
                Action::Connect | Action::Call if lose => bench.routine.lost(&lost(), bench.now),
                Action::Call => bench.routine.replied(Err(slow()), bench.now),
                _ => {}
            }
            actions += 1;
            assert!(actions <= limit, "{actions} actions within a minute");
        }
    }
}

#[test]
fn logs_a_trouble_once() {
    let mut bench = Bench::new();
    let logged = warnings(|| {
        for transaction in 0..50 {
            bench.routine.lost(&ticker_error("P0001", &format!("cur txid={transaction}")), bench.now);
        }
        bench.routine.lost(&lost(), bench.now);
        bench.routine.lost(&lost(), bench.now);
    });
    assert_eq!(logged, 2);
    assert_eq!(bench.routine.stats().failures, 52);
}

#[test]
fn logs_a_failing_job_once() {
    let mut bench = Bench::leading(periods());
    let logged = warnings(|| {
        for transaction in 0..50 {
            bench.waits();
            let message = format!("Invalid PgQ state: old xmin=9999, old xmax=9999, cur txid={transaction}");
            bench.fails("pgq.ticker", ticker_error("P0001", &message));
            bench.fails("pgq.queue", error_of(&tick::all(), "57014", "statement timeout"));
        }
    });
    assert_eq!(logged, 2);
    assert_eq!(bench.routine.stats().failing.len(), 2);
}

#[test]
fn a_leader_whose_statements_reach_another_session_connects_anew() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.fails("pgq.ticker", Error::OtherSession);
    let stats = bench.routine.stats();
    assert_eq!((stats.state, stats.failing.len()), (State::Connecting, 0));
    assert!(stats.trouble.as_ref().unwrap().contains("pooler"), "{stats:?}");
    bench.disconnects();

    let mut bench = Bench::leading(periods());
    bench.tick_now(1, "q");
    bench.replies("txid_current", Reply::Marked(TxId(42)));
    bench.replies("pgq.force_tick", Reply::Forced(None));
    bench.fails("pgq.ticker", Error::OtherSession);
    assert_eq!(bench.routine.stats().state, State::Connecting);
    bench.disconnects();
    // The request waits for another connection, until its time is over, and says then why.
    bench.now += Duration::from_secs(31);
    let late = bench.answers(1).unwrap_err();
    assert!(matches!(late, Error::NoTickInTime { .. }) && late.to_string().contains("pooler"), "{late}");
}
