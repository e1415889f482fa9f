use std::time::Duration;

use pgq_core::maintenance::{self, Operation};
use pgq_core::tick;

use super::bench::{Bench, error_of, operation, periods, ticker_error};
use crate::Periods;
use crate::reply::Reply;

fn unhurried() -> Periods {
    let day = Duration::from_secs(86_400);
    Periods { tick: day, retry: day, maintenance: day, long_transaction: Duration::MAX, ..Periods::default() }
}

/// Only maintenance is soon due.
fn maintained() -> Bench {
    let mut bench = Bench::leading(Periods { maintenance: Duration::from_secs(1), ..unhurried() });
    bench.waits();
    bench
}

#[test]
fn ticks_each_queue_where_ticking_all_fails() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.fails("pgq.ticker", ticker_error("P0001", "Invalid PgQ state: old xmin=9, cur txid=1"));
    assert_eq!(bench.routine.stats().failing.keys().collect::<Vec<_>>(), ["tick"]);
    bench.replies("pgq.queue", Reply::Queues(vec!["broken".to_owned(), "sound".to_owned()]));
    bench.fails("pgq.ticker", error_of(&tick::queue("broken"), "P0001", "Invalid PgQ state: x"));
    bench.replies("pgq.ticker", Reply::TickedQueue(Some(pgq_core::TickId(7))));
    bench.notifies(Some("sound"));
    assert_eq!(bench.routine.stats().failing.keys().collect::<Vec<_>>(), ["tick", "tick of \"broken\""]);
    assert_eq!(bench.routine.stats().ticks, 1);
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(2));
    assert!(bench.routine.stats().failing.is_empty());
}

#[test]
fn a_queue_that_is_gone_fails_no_more() {
    let mut bench = Bench::leading(periods());
    bench.waits();
    bench.fails("pgq.ticker", ticker_error("P0001", "Invalid PgQ state: x"));
    bench.replies("pgq.queue", Reply::Queues(vec!["dropped".to_owned()]));
    bench.fails("pgq.ticker", error_of(&tick::queue("dropped"), "P0001", "no such queue"));
    assert_eq!(bench.routine.stats().failing.len(), 2);
    bench.waits();
    bench.fails("pgq.ticker", ticker_error("P0001", "Invalid PgQ state: x"));
    bench.replies("pgq.queue", Reply::Queues(Vec::new()));
    assert_eq!(bench.routine.stats().failing.keys().collect::<Vec<_>>(), ["tick"]);
}

#[test]
fn looks_again_while_the_retry_queue_is_full() {
    let mut bench = Bench::leading(Periods { retry: Duration::from_secs(1), ..unhurried() });
    bench.waits();
    bench.replies("pgq.maint_retry_events", Reply::Moved(1000));
    bench.replies("pgq.maint_retry_events", Reply::Moved(1000));
    bench.replies("pgq.maint_retry_events", Reply::Moved(999));
    assert_eq!(bench.waits(), Duration::from_secs(1));
    assert_eq!(bench.routine.stats().retried, 2999);
}

#[test]
fn retries_those_it_can_where_a_queue_is_disabled() {
    let mut bench = Bench::leading(Periods { retry: Duration::from_secs(1), ..unhurried() });
    let disabled = || error_of(&maintenance::retry_events(1), "XX000", "Insert into queue disallowed");
    bench.waits();
    bench.fails("pgq.maint_retry_events", disabled());
    bench.replies("pgq.insert_event_raw", Reply::Moved(1000));
    bench.fails("pgq.maint_retry_events", disabled());
    bench.replies("pgq.insert_event_raw", Reply::Moved(3));
    assert_eq!(bench.routine.stats().failing.keys().collect::<Vec<_>>(), ["retry"]);
    bench.waits();
    bench.replies("pgq.maint_retry_events", Reply::Moved(0));
    assert!(bench.routine.stats().failing.is_empty());
}

#[test]
fn repeats_an_operation_that_answers_non_zero() {
    let mut bench = maintained();
    let operations = vec![operation("app.greedy", "q"), operation("app.modest", "q")];
    bench.replies("pgq.maint_operations", Reply::Operations(operations));
    for _ in 0..=1000 {
        bench.calls("pgq.maint_operations");
        assert!(bench.routine.call().unwrap().sql().contains("greedy"));
        bench.routine.replied(Ok(Reply::Ran(1)), bench.now);
    }
    for answer in [1, 1, 0] {
        bench.calls("pgq.maint_operations");
        assert!(bench.routine.call().unwrap().sql().contains("modest"), "the first had its thousand turns");
        bench.routine.replied(Ok(Reply::Ran(answer)), bench.now);
    }
    bench.waits();
    assert_eq!(bench.routine.stats().maintained, 1004);
}

#[test]
fn goes_on_after_an_operation_that_fails() {
    let mut bench = maintained();
    let step2 = Operation { function: "pgq.maint_rotate_tables_step2".to_owned(), argument: None };
    let operations =
        vec![operation("pgq.maint_rotate_tables_step1", "bad"), step2, operation("vacuum", "pgq.tick")];
    bench.replies("pgq.maint_operations", Reply::Operations(operations));
    let step1 = maintenance::rotate_step1("bad");
    bench.fails(
        "pgq.maint_operations",
        error_of(&step1, "P0001", "queue bad maint failure: tick 1 not found"),
    );
    bench.replies("pgq.maint_operations", Reply::Ran(0));
    bench.replies("vacuum", Reply::Ran(0));
    let failing: Vec<_> = bench.routine.stats().failing.keys().cloned().collect();
    assert_eq!(failing, ["pgq.maint_rotate_tables_step1 of \"bad\""]);
    bench.waits();
    bench.replies("pgq.maint_operations", Reply::Operations(Vec::new()));
    assert!(bench.routine.stats().failing.is_empty(), "what is not to be done does not fail");
}

#[test]
fn ticks_come_between_operations() {
    let mut bench = Bench::leading(Periods {
        maintenance: Duration::from_secs(1),
        tick: Duration::from_secs(1),
        ..unhurried()
    });
    bench.waits();
    bench.replies("pgq.ticker", Reply::Ticked(0));
    bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
    let operations = (0..3).map(|number| operation("vacuum", &number.to_string())).collect();
    bench.replies("pgq.maint_operations", Reply::Operations(operations));
    for _ in 0..3 {
        bench.now += Duration::from_secs(5);
        bench.calls("vacuum");
        bench.now += Duration::from_secs(5);
        bench.routine.replied(Ok(Reply::Ran(0)), bench.now);
        bench.replies("pgq.ticker", Reply::Ticked(0));
        bench.replies("pgq.force_tick", Reply::ForcedAhead(0));
    }
}

#[test]
fn goes_on_with_maintenance_where_ticks_take_longer_than_their_period() {
    let mut bench = Bench::leading(Periods {
        tick: Duration::from_millis(10),
        maintenance: Duration::from_secs(1),
        ..unhurried()
    });
    let mut vacuumed = 0;
    let end = bench.now + Duration::from_secs(3);
    while bench.now < end {
        match bench.routine.next(bench.now) {
            crate::routine::Action::Call => {
                let function = bench.routine.call().unwrap().function();
                bench.now += Duration::from_millis(50);
                let reply = match function {
                    "pgq.force_tick" => Reply::ForcedAhead(0),
                    "pgq.maint_operations" => Reply::Operations(
                        (0..5).map(|table| operation("vacuum", &table.to_string())).collect(),
                    ),
                    "vacuum" => {
                        vacuumed += 1;
                        Reply::Ran(0)
                    }
                    _ => Reply::Ticked(0),
                };
                bench.routine.replied(Ok(reply), bench.now);
            }
            _ => {
                bench.waits();
            }
        }
    }
    assert!(vacuumed >= 5, "{vacuumed}");
}
