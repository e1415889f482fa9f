use std::thread;
use std::time::{Duration, Instant};

use pgq_core::{Error, QueueConfig};
use pgq_sync::{Consumer, Queue};
use pgq_ticker::State;

use crate::bed::{Bed, Options, Ticker, connect, drain, until};

cases!(
    tick_now_covers_what_was_committed,
    a_standby_ticks_now_through_the_leader,
    every_ten_milliseconds,
    left_alone_queues,
    unknown_queue,
    clock_set_back,
    without_a_version,
    stats_of_work,
);

fn tick_now_covers_what_was_committed<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.never_due("q");
    for consumer in ["0", "1", "2", "3"] {
        Consumer::new("q", consumer).register(&mut bed.db).unwrap();
    }
    let ticker: T = bed.spawn(Options::ticks());
    thread::scope(|scope| {
        for consumer in ["0", "1", "2", "3"] {
            let (conninfo, ticker) = (bed.database.conninfo(), &ticker);
            scope.spawn(move || {
                let mut db = connect(conninfo);
                for number in 0..50 {
                    let data = format!("{consumer}-{number}");
                    Queue::new("q").insert_event(&mut db, "test", &data).unwrap();
                    ticker.tick_now("q").unwrap();
                    let events = drain(&mut db, "q", consumer);
                    assert!(events.contains(&data), "{data} is not in {events:?}");
                }
            });
        }
    });
    assert_eq!(bed.inversions(), 0);
}

fn a_standby_ticks_now_through_the_leader<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.never_due("q");
    let leader: T = bed.spawn(Options::ticks());
    until("one leads", || leader.leads());
    let standby: T = bed.spawn(Options::ticks());
    for number in 0..5 {
        bed.insert("q", &number.to_string());
        standby.tick_now("q").unwrap();
        assert_eq!(bed.drain("q"), [number.to_string()]);
    }
    let stats = standby.stop();
    assert_eq!(stats.ticks, 0);
    assert_eq!(stats.state, State::Stopped);
}

fn every_ten_milliseconds<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let ticker: T = bed.spawn(Options::ticks());
    until("it has begun", || ticker.stats().ticks > 0);
    let (start, before) = (Instant::now(), bed.ticks("q"));
    until("a hundred ticks are made", || ticker.stats().ticks >= 101);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?} is too fast");
    assert!(took <= Duration::from_secs(5), "{took:?} is too slow");
    assert!(bed.ticks("q") >= before + 99);
}

fn left_alone_queues<T: Ticker>() {
    let mut bed = Bed::new("q");
    for queue in ["q", "paused", "external"] {
        bed.create(queue);
        bed.always_due(queue);
    }
    bed.config("paused", &QueueConfig::new().ticker_paused(true));
    bed.config("external", &QueueConfig::new().external_ticker(true));
    let leader: T = bed.spawn(Options::ticks());
    until("one leads", || leader.leads());
    let standby: T = bed.spawn(Options::ticks());
    until("the other stands by", || standby.stats().state == State::Standby);
    for ticker in [&leader, &standby] {
        let error = ticker.tick_now("paused").unwrap_err();
        assert!(matches!(&error, Error::TickerPaused { queue, .. } if queue == "paused"), "{error:?}");
        let error = ticker.tick_now("external").unwrap_err();
        assert!(matches!(&error, Error::ExternalTicker { queue, .. } if queue == "external"), "{error:?}");
    }
    bed.is_ticked("q");
    assert_eq!((bed.ticks("paused"), bed.ticks("external")), (1, 1));
    assert!(leader.stats().failing.is_empty());
}

fn unknown_queue<T: Ticker>() {
    let bed = Bed::new("q");
    let leader: T = bed.spawn(Options::ticks());
    until("one leads", || leader.leads());
    let standby: T = bed.spawn(Options::ticks());
    for ticker in [leader, standby] {
        let error = ticker.tick_now("none").unwrap_err();
        assert!(matches!(&error, Error::QueueNotFound { queue, .. } if queue == "none"), "{error:?}");
        assert!(ticker.stop().failing.is_empty());
    }
}

fn clock_set_back<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.config("q", &QueueConfig::new().ticker_max_lag(Duration::from_millis(10)));
    bed.execute("UPDATE pgq.tick SET tick_time = tick_time + interval '1 hour'");
    bed.insert("q", "1");
    bed.insert("q", "2");
    let control: T = bed.spawn(Options::ticks());
    until("it leads", || control.leads());
    until("it looked for such ticks", || bed.ticks("q") > 1);
    assert_eq!(bed.drain("q"), ["1", "2"]);
    bed.insert("q", "3");
    bed.is_ticked("q");
    assert_eq!(bed.drain("q"), ["3"]);
    let ticker: T = bed.spawn(Options::all());
    drop(control);
    until("the other leads", || ticker.leads());
    bed.execute("UPDATE pgq.tick SET tick_time = tick_time + interval '1 hour'");
    bed.insert("q", "4");
    until("the event is delivered", || bed.drain("q") == ["4"]);
}

fn without_a_version<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.execute("CREATE OR REPLACE FUNCTION pgq.version() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'");
    bed.always_due("q");
    let _ticker: T = bed.spawn(Options::ticks());
    bed.is_ticked("q");
}

fn stats_of_work<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let ticker: T = bed.spawn(Options::ticks());
    until("it ticks", || ticker.stats().ticks > 3);
    let stats = ticker.stop();
    assert_eq!(stats.ticks, bed.ticks("q").unsigned_abs() - 1);
    assert_eq!((stats.state, stats.failures, stats.trouble), (State::Stopped, 0, None));
}
