use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pgq_ticker::State;

use crate::bed::{Bed, Options, StopOnDrop, Ticker, connect, inversions, is_portable, until};

cases!(
    one_of_two_leads,
    one_of_four_leads,
    killed_leaders_are_replaced,
    stopped_leader_is_replaced,
    dropped_leader_is_replaced,
    lock_of_pgqueue,
    always_read_committed,
);

/// Twenty queues make many ticks.
fn busy() -> Bed {
    let mut bed = Bed::new("q");
    for number in 1..20 {
        bed.create(&number.to_string());
    }
    bed.execute("UPDATE pgq.queue SET queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
    bed
}

fn one_of_two_leads<T: Ticker>() {
    one_leads::<T>(2);
}

fn one_of_four_leads<T: Ticker>() {
    one_leads::<T>(4);
}

fn one_leads<T: Ticker>(count: usize) {
    let mut bed = busy();
    let tickers: Vec<T> = (0..count).map(|_| bed.spawn(Options::ticks())).collect();
    let state = |state| tickers.iter().filter(|ticker| ticker.stats().state == state).count();
    until("one leads and the others stand by", || {
        state(State::Leading) == 1 && state(State::Standby) == count - 1
    });
    until("there are many ticks", || {
        assert!(state(State::Leading) <= 1);
        bed.count("SELECT count(*) FROM pgq.tick") > 1000
    });
    assert_eq!(bed.inversions(), 0);
    let ticking = tickers.iter().filter(|ticker| ticker.stats().ticks > 0);
    assert_eq!(ticking.count(), 1);
}

fn killed_leaders_are_replaced<T: Ticker>() {
    let mut bed = busy();
    let tickers: [T; 2] = std::array::from_fn(|_| bed.spawn(Options::ticks()));
    let leader = "SELECT coalesce(max(pid), 0)::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut times = Vec::new();
    for _ in 0..10 {
        until("one leads", || tickers.iter().any(Ticker::leads) && bed.count(leader) > 0);
        bed.is_ticked("q");
        let killed = bed.count(leader);
        bed.execute(&format!("SELECT pg_terminate_backend({killed})"));
        let took = until("another session leads", || ![0, killed].contains(&bed.count(leader)));
        bed.is_ticked("q");
        times.push(took);
    }
    println!("taken over within {times:?}");
    assert!(times.iter().all(|took| *took < Duration::from_secs(5)), "{times:?}");
    until("there are many ticks", || bed.count("SELECT count(*) FROM pgq.tick") > 1000);
    assert_eq!(bed.inversions(), 0);
}

fn stopped_leader_is_replaced<T: Ticker>() {
    replaced::<T>(|leader| assert_eq!(leader.stop().state, State::Stopped));
}

fn dropped_leader_is_replaced<T: Ticker>() {
    replaced::<T>(drop);
}

fn replaced<T: Ticker>(end: fn(T)) {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let leader: T = bed.spawn(Options::ticks());
    until("it leads", || leader.leads());
    let standby: T = bed.spawn(Options::ticks());
    until("the other stands by", || standby.stats().state == State::Standby);
    end(leader);
    let took = until("the other leads", || standby.leads());
    println!("taken over within {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    bed.is_ticked("q");
    assert_eq!(bed.inversions(), 0);
}

fn lock_of_pgqueue<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let key =
        "(SELECT oid FROM pg_database WHERE datname = current_database())::int, 'pgq'::regnamespace::int";
    bed.execute(&format!("SELECT pg_advisory_lock({key})"));
    let ticker: T = bed.spawn(Options::ticks());
    until("it stands by", || ticker.stats().state == State::Standby);
    let tries = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgq ticker' \
         AND datname = current_database() AND query_start > now() - interval '100 milliseconds' AND query LIKE '%try_advisory%'";
    for _ in 0..2 {
        until("it tries", || bed.count(tries) == 1);
        until("it pauses", || bed.count(tries) == 0);
    }
    assert_eq!((ticker.stats().state, bed.ticks("q")), (State::Standby, 1));
    bed.execute(&format!("SELECT pg_advisory_unlock({key})"));
    bed.is_ticked("q");
    assert!(ticker.leads());
}

fn always_read_committed<T: Ticker>() {
    let mut bed = Bed::new("q");
    let name = bed.database.name().to_owned();
    bed.execute(&format!(
        "ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'; \
         CREATE TABLE seen (isolation text); CREATE FUNCTION app_look(text) RETURNS void LANGUAGE sql \
         AS 'INSERT INTO seen SELECT current_setting(''transaction_isolation'')'; \
         UPDATE pgq.queue SET queue_extra_maint = '{{app_look}}'"
    ));
    let control = bed.connect().query_one("SELECT current_setting('transaction_isolation')", &[]).unwrap();
    assert_eq!(control.get::<_, String>(0), "repeatable read");
    let _ticker: T = bed.spawn(Options::all());
    until("it has looked", || bed.count("SELECT count(*) FROM seen") > 0);
    assert_eq!(bed.rows("SELECT DISTINCT isolation FROM seen")[0].get::<_, String>(0), "read committed");
}

/// What all this is for: without the lock, ticks do invert, and the tests above would find it. Not so on the portable engine, where
/// tickers take turns.
#[test]
fn control_without_the_lock() {
    let mut bed = busy();
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            let (enough, conninfo) = (&enough, bed.database.conninfo());
            scope.spawn(move || {
                let mut db = connect(conninfo);
                while !enough.load(Ordering::Relaxed) {
                    db.execute("SELECT pgq.ticker()", &[]).unwrap();
                }
            });
        }
        let _stop = StopOnDrop(&enough);
        if is_portable() {
            let many = "SELECT count(*) > 2000 FROM pgq.tick";
            until("there are many ticks", || bed.db.query_one(many, &[]).unwrap().get(0));
        } else {
            let took = until("ticks invert", || inversions(&mut bed.db) > 0);
            println!("inverted within {took:?}");
        }
    });
    assert_eq!(inversions(&mut bed.db) > 0, !is_portable());
}
