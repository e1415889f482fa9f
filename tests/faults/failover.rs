//! Another server takes the place of the first one, or writes are refused for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pgq_core::worker::{Notice, Outcome, Undo};
use pgq_core::{EmptyBatches, Error, Event};
use pgq_sync::postgres::{Client, Config, NoTls};
use pgq_sync::{Consumer, ExactlyOnce};
use pgq_testkit::{Database, Proxy, Server, Standby, until_within};

use crate::bed::{
    Bed, Figures, Heard, Producers, Progress, QUEUE, Role, Run, Spread, Ticker, Truth, named, patient, value,
};

cases!(
    work_goes_on_at_the_next_primary,
    nothing_is_handled_where_writes_are_refused,
    a_target_that_is_ahead_of_its_queue_is_told_apart,
);

/// The primary is killed and its standby promoted, again and again. All clients name both addresses.
fn work_goes_on_at_the_next_primary(run: Run) -> crate::Result {
    const SOON: Duration = Duration::from_secs(5);
    let times = run.size(2, 5);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut ways = [Proxy::before(&bed.server)?, Proxy::before(&bed.server)?];
    let conninfo = either_way(&ways, &bed.database)?;
    let ticker = || Ticker::start(bed.run.driver, &named(&conninfo, "ticker"));
    let tickers = [ticker(), ticker()];
    let worker = bed.job(role).through(&conninfo).start();
    let producers = Producers::steady(&bed.run, &named(&conninfo, "producer"), 2, Duration::from_millis(40));
    let (mut tick, mut batch, mut retired) = (Spread::default(), Spread::default(), Vec::<Server>::new());
    for _ in 0..times {
        let primary = retired.last().unwrap_or(&bed.server);
        let standby = Standby::of(primary)?;
        ways[1].lead_to(standby.server())?;
        // In each second round the first address is that of the standby: who stays there never works.
        let cut = Instant::now();
        primary.kill_backends_of("plain")?;
        primary.kill_backends_of("ticker")?;
        until_within(Duration::from_secs(20), "the worker loses its session", || {
            worker.heard.after(cut, |notice| matches!(notice, Notice::Disconnected { .. })).is_some()
        });
        Progress::of(&tickers, &worker).goes_on(Instant::now());
        primary.kill()?;
        let progress = Progress::of(&tickers, &worker);
        let promoted = standby.promote()?;
        let resumed = progress.goes_on(Instant::now());
        tick.add(resumed.0);
        batch.add(resumed.1);
        retired.push(promoted);
        ways.swap(0, 1);
    }
    producers.end();
    let primary = retired.last().unwrap_or(&bed.server);
    let mut db = Client::connect(&primary.conninfo_of(&bed.database), NoTls)?;
    bed.wait_for_top_on(&mut db, Duration::from_secs(30));
    let truth = Truth::of(&mut db, "plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("failovers", times)
        .add("first tick", &tick)
        .add("first batch", &batch)
        .add("handed out where writes are refused", refused(&worker.heard))
        .print();
    truth.assert_exactly_once();
    assert_eq!(refused(&worker.heard), 0);
    assert!(tick.max().max(batch.max()) <= patient(SOON), "{tick}, {batch}");
    worker.stop()?;
    Ok(())
}

/// The database by two addresses, of which only the one that takes writes is of use.
fn either_way(ways: &[Proxy; 2], database: &Database) -> crate::Result<String> {
    let config: Config = database.conninfo().parse()?;
    let [one, two] = [ways[0].address().port(), ways[1].address().port()];
    let (user, name) = (config.get_user().unwrap_or("postgres"), database.name());
    Ok(format!(
        "host=127.0.0.1,127.0.0.1 port={one},{two} user={user} dbname={name} sslmode=disable target_session_attrs=read-write"
    ))
}

/// How many events failed because their handler could not write.
fn refused(heard: &Heard) -> usize {
    heard.count(|notice| match notice {
        Notice::Retried { error, .. } | Notice::Dead { error, .. } => is_refusal(error),
        Notice::RolledBack { batch: Some(_), error, .. } => is_refusal(error),
        _ => false,
    })
}

fn is_refusal(error: &str) -> bool {
    error.contains("25006") || error.contains("read-only")
}

/// The server refuses writes from one moment to the next, as before a switch-over, while a batch is open that comes again.
fn nothing_is_handled_where_writes_are_refused(run: Run) -> crate::Result {
    const SOON: Duration = Duration::from_secs(5);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    let tickers = bed.tickers(1);
    let wanted = Arc::new(AtomicBool::new(false));
    // Older than the session of the worker, and so told of new settings after that.
    let session = Arc::new(Mutex::new(bed.connect()));
    // The first event after that is wanted fails, when writes are refused. Its batch is begun again on the same session.
    let decide = {
        let (wanted, session) = (wanted.clone(), session.clone());
        move |_: &Event| {
            if !wanted.swap(false, Ordering::SeqCst) {
                return Ok(Outcome::Done);
            }
            let session = session.clone();
            let refuse = move || writes(&mut session.lock().unwrap(), Writes::Refused);
            thread::spawn(refuse).join().map_err(|_| "writes are still taken")?;
            Err("again".into())
        }
    };
    let worker = bed.job(role).decide(decide).options(|options| options.undo(Undo::Batch)).start();
    let producers = bed.steady_producers();
    Progress::of(&tickers, &worker).goes_on(Instant::now());
    wanted.store(true, Ordering::SeqCst);
    until_within(Duration::from_secs(20), "writes are refused", || {
        let set = "SELECT EXISTS (SELECT FROM pg_file_settings WHERE name = 'default_transaction_read_only' AND setting = 'true')";
        value(&mut db, set, &[])
    });
    let start = Instant::now();
    let tries = || worker.heard.count(|notice| matches!(notice, Notice::Disconnected { .. }));
    until_within(Duration::from_secs(20), "the worker is told so", || tries() > 0);
    let batches = worker.stats().batches;
    until_within(Duration::from_secs(20), "the worker has tried again", || tries() > 3);
    assert_eq!(worker.stats().batches, batches);
    let progress = Progress::of(&tickers, &worker);
    let refused_for = start.elapsed();
    writes(&mut session.lock().unwrap(), Writes::Taken);
    let (tick, batch) = progress.goes_on(Instant::now());
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("writes were refused for", format!("{refused_for:.1?}"))
        .add("first tick", format!("{tick:.2?}"))
        .add("first batch", format!("{batch:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert_eq!(refused(&worker.heard), 0);
    assert!(tick.max(batch) <= patient(SOON), "{tick:?}, {batch:?}");
    worker.stop()?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Taken,
    Refused,
}

/// Whether transactions of all sessions can write, unless they say otherwise. Returns when those that begin now cannot, or can.
fn writes(db: &mut Client, writes: Writes) {
    let refused = writes == Writes::Refused;
    db.batch_execute("SET default_transaction_read_only = off").unwrap();
    db.batch_execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {refused}")).unwrap();
    db.batch_execute("SELECT pg_reload_conf()").unwrap();
    db.batch_execute("RESET default_transaction_read_only").unwrap();
    until_within(Duration::from_secs(10), "the server has read its settings", || {
        value::<String>(db, "SHOW default_transaction_read_only", &[]) == if refused { "on" } else { "off" }
    });
}

/// A standby that was behind is promoted. What was applied elsewhere, with its tick recorded there, is not in the queue any more; what
/// is in it now has other ticks. It must not pass for what was applied.
fn a_target_that_is_ahead_of_its_queue_is_told_apart(run: Run) -> crate::Result {
    let bed = Bed::new(run)?;
    bed.register(&Role::consumer_of("mover"))?;
    let elsewhere = Server::shared()?.database()?;
    let mut target = Client::connect(elsewhere.conninfo(), NoTls)?;
    target.batch_execute("CREATE TABLE applied (data text)")?;
    let consumer = Consumer::new(QUEUE, "mover").empty_batches(EmptyBatches::HandOver);
    let mut source = bed.connect();
    for event in ["one", "two"] {
        tick_with(&mut source, event)?;
        assert!(apply(&consumer, &mut source, &mut target)?);
    }
    let standby = Standby::of(&bed.server)?;
    standby.wait_until_caught_up()?;
    standby.cut_off()?;
    for event in ["three", "four"] {
        tick_with(&mut source, event)?;
        assert!(apply(&consumer, &mut source, &mut target)?);
    }
    bed.server.kill()?;
    let promoted = standby.promote()?;
    let mut source = Client::connect(&promoted.conninfo_of(&bed.database), NoTls)?;
    tick_with(&mut source, "five")?;

    let error = apply(&consumer, &mut source, &mut target).expect_err("it does not fit");
    let error = error.downcast::<Error>()?;
    assert!(matches!(*error, Error::PositionGap { .. }), "{error:?}");
    assert_eq!(applied(&mut target), ["four", "one", "three", "two"]);
    // Somebody has looked, and says where to go on.
    let last = value::<i64>(&mut source, "SELECT sub_last_tick FROM pgq.subscription", &[]);
    target.execute("SELECT pgq_ext.set_last_tick('mover', $1)", &[&last])?;
    assert!(apply(&consumer, &mut source, &mut target)?);
    assert_eq!(applied(&mut target), ["five", "four", "one", "three", "two"]);
    Figures::of(&bed.run).add("lost ticks", 2).add("told by", "PositionGap").print();
    Ok(())
}

fn tick_with(db: &mut Client, event: &str) -> crate::Result {
    db.execute("SELECT pgq.insert_event($1, 'data', $2)", &[&QUEUE, &event])?;
    db.batch_execute(&format!("SELECT pgq.force_tick('{QUEUE}')"))?;
    db.batch_execute(&format!("SELECT pgq.ticker('{QUEUE}')"))?;
    Ok(())
}

/// Applies the next batch; tells whether that was not done before.
fn apply(consumer: &Consumer, source: &mut Client, target: &mut Client) -> crate::Result<bool> {
    let mut batch = consumer.next_batch(source)?.ok_or("no batch")?;
    let mut events = Vec::new();
    while let Some(event) = batch.next_event()? {
        events.push(event.data);
    }
    let applies = match ExactlyOnce::new("mover").by_tick(target, batch.info())? {
        Some(mut transaction) => {
            for data in events {
                transaction.execute("INSERT INTO applied VALUES ($1)", &[&data])?;
            }
            transaction.commit()?;
            true
        }
        None => false,
    };
    batch.finish()?;
    Ok(applies)
}

fn applied(target: &mut Client) -> Vec<String> {
    value(target, "SELECT array_agg(data ORDER BY data) FROM applied", &[])
}
