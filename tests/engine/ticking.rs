use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pgq_testkit::postgres::fallible_iterator::FallibleIterator;
use pgq_testkit::postgres::{Client, NoTls};

use crate::bed::{Bed, drain, until};

#[test]
fn counts_the_first_event() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select tick_id, tick_event_seq from pgq.tick", "1|0"),
        ("select pgq.insert_event('q', 'number', '1')", "1"),
        ("select ev_new from pgq.get_queue_info('q')", "1"),
        ("select pgq.ticker('q')", "~"),
        // Too early for an idle queue, and too late for an event.
        ("select pgq.set_queue_config('q', 'ticker_max_lag', '3s')", "1"),
        ("insert into pgq.tick select tick_queue, 0, tick_time - interval '1h', tick_snapshot, 0 from pgq.tick", ""),
        ("update pgq.tick set tick_time = tick_time - interval '4s'", ""),
        ("select pgq.ticker('q')", "2"),
        ("select tick_event_seq from pgq.tick where tick_id = 2", "1"),
    ]);
    assert_eq!(bed.drain(), ["1"]);
}

/// Four tickers at once, two producers and a consumer: every event comes once, and no snapshot goes backwards.
#[test]
fn ticks_in_parallel() -> crate::Result {
    let mut bed = Bed::new();
    bed.db.run("select pgq.set_queue_config('q', 'ticker_max_count', '1')");
    let stop = AtomicBool::new(false);
    let mut seen = BTreeMap::<String, usize>::new();
    let (stop, conninfo) = (&stop, bed.database.conninfo());
    let produced = thread::scope(|scope| {
        let tickers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || -> usize {
                    let mut db = Client::connect(conninfo, NoTls).unwrap();
                    let mut ticks = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let tick = db.query_one("SELECT pgq.ticker('q')", &[]).unwrap();
                        ticks += usize::from(tick.get::<_, Option<i64>>(0).is_some());
                    }
                    ticks
                })
            })
            .collect();
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                scope.spawn(move || {
                    let mut db = Client::connect(conninfo, NoTls).unwrap();
                    for number in 0..1500 {
                        let data = format!("{producer}-{number}");
                        db.execute("SELECT pgq.insert_event('q', 'number', $1)", &[&data]).unwrap();
                    }
                })
            })
            .collect();
        until("the producers are done", || {
            for event in drain(&mut bed.db, "c") {
                *seen.entry(event).or_default() += 1;
            }
            producers.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        stop.store(true, Ordering::Relaxed);
        tickers.into_iter().map(|ticker| ticker.join().unwrap()).collect::<Vec<_>>()
    });
    bed.tick();
    for event in bed.drain() {
        *seen.entry(event).or_default() += 1;
    }
    println!("ticks of each: {produced:?}");
    assert!(produced.iter().all(|ticks| *ticks > 10), "{produced:?}");
    assert_eq!(seen.len(), 3000);
    assert_eq!(seen.values().filter(|count| **count > 1).count(), 0);
    let backwards = "with pair as (select tick_snapshot as later, lag(tick_snapshot) over (order by tick_id) as earlier from pgq.tick) \
         select count(*) from pair where txid_snapshot_xmax(later) < txid_snapshot_xmax(earlier) \
         or txid_snapshot_xmin(later) < txid_snapshot_xmin(earlier) \
         or exists (select from txid_snapshot_xip(later) t where txid_visible_in_snapshot(t, earlier))";
    assert_eq!(bed.db.answer(backwards), "0");
    Ok(())
}

/// The second of two ticks that are due looks again when it has the lock.
#[test]
fn looks_again_after_waiting() {
    let mut bed = Bed::new();
    let mut second = bed.session();
    bed.db.run("begin; select pgq.insert_event('q', 'number', '1'); select pgq.force_tick('q')");
    bed.db.run("select pgq.ticker('q')");
    assert_eq!(bed.db.keeps_waiting(&mut second, "select pgq.ticker('q')", "commit"), "~");
    bed.db.run("begin; select pgq.force_tick('q'); select pgq.ticker()");
    assert_eq!(bed.db.keeps_waiting(&mut second, "select pgq.ticker()", "commit"), "0");
}

#[test]
fn refuses_a_transaction_that_keeps_its_snapshot() {
    let mut bed = Bed::new();
    bed.db.run("update pgq.queue set queue_external_ticker = true where queue_name = 'none'");
    for isolation in ["repeatable read", "serializable"] {
        for tick in
            ["pgq.ticker()", "pgq.ticker('q')", "pgq.ticker('q', 5, now(), 1)", "pgq.repair_restored('q')"]
        {
            bed.db.run(&format!("begin isolation level {isolation}"));
            assert_eq!(
                bed.db.answer(&format!("select {tick}")),
                format!("25001 ticks cannot be made in a transaction of isolation level {isolation}"),
                "{tick}"
            );
            bed.db.run("rollback");
        }
        bed.db.run(&format!("begin isolation level {isolation}"));
        bed.db.check(&[
            ("select pgq.create_queue('young')", "1"),
            ("select pgq.insert_event('young', 'a', 'b')", "1"),
            ("commit", ""),
            ("select pgq.drop_queue('young')", "1"),
        ]);
    }
}

/// Who listens hears of each tick which queue has it; a name that is too long for that is left out.
#[test]
fn notifies_those_who_listen() -> crate::Result {
    let mut bed = Bed::new();
    let mut listener = Client::connect(bed.database.conninfo(), NoTls)?;
    listener.batch_execute("LISTEN pgq_tick")?;
    let long = "x".repeat(2000);
    let longest = "\u{20ac}".repeat(2634);
    bed.db.run(&format!("select pgq.create_queue('{long}'), pgq.create_queue('Wo is '' it?')"));
    for queue in ["q", &long, "Wo is '' it?"] {
        crate::bed::tick(&mut bed.db, queue);
    }
    bed.db.run(&format!("update pgq.queue set queue_name = '{longest}' where queue_name = '{long}'"));
    crate::bed::tick(&mut bed.db, &longest);
    bed.db.run("update pgq.queue set queue_external_ticker = true where queue_name = 'q'");
    bed.db.run("select pgq.ticker('q', 99, now(), 999999)");
    let mut heard = Vec::new();
    let mut notifications = listener.notifications();
    let mut waiting = notifications.timeout_iter(Duration::from_secs(10));
    while heard.len() < 5 {
        let notification = waiting.next()?.expect("a notification for each tick");
        assert_eq!(notification.channel(), "pgq_tick");
        heard.push(notification.payload().to_owned());
    }
    assert_eq!(heard, ["q", &long, "Wo is ' it?", "", "q"]);
    Ok(())
}

/// A ticker that asks each second must not use up transaction ids.
#[test]
fn takes_no_id_where_no_tick_is_due() {
    let mut bed = Bed::new();
    bed.tick();
    bed.db.check(&[
        ("begin", ""),
        ("select pgq.ticker('q'), pgq.ticker(), txid_current_if_assigned()", "~|0|~"),
        ("commit", ""),
    ]);
}

#[test]
fn ticks_when_the_clock_was_set_back() {
    let mut bed = Bed::new();
    bed.tick();
    bed.db.check(&[
        ("select pgq.insert_event('q', 'number', '1') > 0", "t"),
        ("update pgq.tick set tick_time = tick_time + interval '1h'", ""),
        ("select pgq.ticker('q') is not null", "t"),
        ("select pgq.ticker('q')", "~"),
    ]);
}

#[test]
fn ticks_only_where_it_may() {
    let mut bed = Bed::new();
    bed.db.check(&[
        ("select pgq.ticker('none')", "P0001 no such queue"),
        ("select pgq.ticker(null)", "P0001 no such queue"),
        ("select pgq.force_tick('none')", "~"),
        ("select pgq.ticker('q', 5, now(), 1)", "P0001 queue not found or ticker disabled: q"),
        ("select pgq.set_queue_config('q', 'ticker_paused', 'true')", "1"),
        ("select pgq.ticker('q')", "P0001 Ticker has been paused for this queue"),
        ("select pgq.ticker()", "0"),
        ("select pgq.force_tick('q')", "1"),
        ("select pgq._seq_position('pgq.event_1_id_seq')", "0"),
        ("update pgq.queue set queue_ticker_paused = false, queue_external_ticker = true", ""),
        ("select pgq.ticker('q')", "P0001 This queue has external tick source."),
        ("select pgq.ticker('q', 5, '2026-01-01', 70)", "5"),
        ("select pgq.ticker('q', 4, '2026-01-01', 60)", "4"),
        (
            "select pgq.ticker('q', 4, '2026-01-01', 60)",
            "23505 duplicate key value violates unique constraint \"tick_pkey\"",
        ),
        ("select pgq.seq_getval('pgq.event_1_id_seq'), pgq.seq_getval('pgq.event_1_tick_seq')", "70|5"),
    ]);
}

/// With max_lag 3 s and idle_period 1 min: at which age of the last tick, and distance to the one before, the next one is made.
#[test]
fn follows_the_rules_of_idle_queues() {
    let mut bed = Bed::new();
    bed.tick();
    for (age, gap, events, due) in [
        (2, 1, 0, true),
        (1, 0, 0, false),
        (3, 2, 0, false),
        (4, 2, 0, true),
        (59, 50, 0, false),
        (60, 50, 0, true),
        (2, 1, 1, false),
        (3, 60, 1, true),
        (0, 0, 499, false),
        (0, 0, 500, true),
    ] {
        bed.db.run("begin");
        bed.db.run(&format!(
            "update pgq.tick set tick_event_seq = pgq._seq_position('pgq.event_1_id_seq') - {events}, \
             tick_time = now() - interval '{age}s' - interval '{gap}s' * (2 - tick_id)"
        ));
        let ticked = bed.db.answer("select pgq.ticker('q') is not null");
        assert_eq!(ticked, if due { "t" } else { "f" }, "age {age}, gap {gap}, {events} events");
        bed.db.run("rollback");
    }
}
