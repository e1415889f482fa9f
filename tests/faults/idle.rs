//! What workers cost that have nothing to do, and what they say where nobody ticks.

use std::fs;
use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use pgq_async::Consumer;
use pgq_async::tokio_postgres::Config;
use pgq_core::Event;
use pgq_core::worker::{NoTicks, Notice};
use pgq_sync::Queue;
use pgq_sync::postgres::Client;
use pgq_testkit::{Engine, Process, Server, until_within};

use crate::bed::{Bed, BoxError, Driver, Figures, QUEUE, Role, Run, patience, run, runtime, value};

cases!(a_missing_ticker_is_reported_once_with_its_cause);

const WORKERS: i32 = 100;

/// The engine makes no difference, and a blocking worker is a thread or two by itself.
#[test]
fn a_hundred_idle_workers_cost_next_to_nothing() -> crate::Result {
    run("a_hundred_idle_workers_cost_next_to_nothing", Driver::Async, Engine::Portable, idle)
}

/// Without a ticker: a tick of an idle queue, one in a minute, is a batch of three statements more.
fn idle(run: Run) -> crate::Result {
    // Of one core.
    const MOST_CPU: f64 = 0.02;
    let time = run.size(Duration::from_secs(10), Duration::from_secs(60));
    let server = Server::builder().setting("max_connections", "150").start()?;
    let bed = Bed::on(run, server)?;
    let mut db = bed.connect();
    let register = "SELECT pgq.register_consumer($1, 'c' || n) FROM generate_series(1, $2::int) n";
    db.execute(register, &[&QUEUE, &WORKERS])?;
    let mut workers = Process::rerun("idle::the_workers", &[("FAULTS_CONNINFO", bed.database.conninfo())])?;
    assert_eq!(workers.next_line().as_deref(), Some("working"));
    // The server counts with a delay of up to a second.
    let begun = Instant::now();
    until_within(time * 2, "what they did to begin is counted", || begun.elapsed() >= Duration::from_secs(4));
    let (start, cpu, asked) = (Instant::now(), ticks_of_cpu(workers.pid())?, transactions(&mut db));
    until_within(time * 2, "that has lasted", || start.elapsed() >= time);
    let (cpu, asked, time) =
        (ticks_of_cpu(workers.pid())? - cpu, transactions(&mut db) - asked, start.elapsed().as_secs_f64());
    assert!(workers.wait()?.success());

    let queries = asked / f64::from(WORKERS) / time;
    // A tick is a hundredth of a second, on every Linux.
    let cpu = cpu / 100.0 / time;
    Figures::of(&bed.run)
        .add("workers", WORKERS)
        .add("statements of each in a second", format!("{queries:.2}"))
        .add("of a core for all of them", format!("{:.1} %", cpu * 100.0))
        .print();
    assert!(queries <= 1.0 + 1.0 / time, "{queries}");
    let most = if cfg!(debug_assertions) { MOST_CPU * 5.0 } else { MOST_CPU };
    assert!(cpu <= most * patience(), "{cpu}");
    Ok(())
}

/// How much time a process was given, for itself and by the system.
fn ticks_of_cpu(pid: u32) -> crate::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    Ok(fields[11].parse::<f64>()? + fields[12].parse::<f64>()?)
}

/// How many statements the workers have sent: each is a transaction. This look is one too.
fn transactions(db: &mut Client) -> f64 {
    value(
        db,
        "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database WHERE datname = current_database()",
        &[],
    )
}

/// Not a test, but so many workers on one runtime, until the standard input ends.
#[test]
fn the_workers() {
    if !Process::is_rerun() {
        return;
    }
    let config: Config = std::env::var("FAULTS_CONNINFO").unwrap().parse().unwrap();
    let _runtime = runtime().enter();
    let worker = |number| {
        let handler = |_: Event| async { Ok::<(), BoxError>(()) };
        let consumer = Consumer::new(QUEUE, format!("c{number}"));
        pgq_async::Worker::builder(config.clone(), consumer).outside().otherwise(handler).spawn().unwrap()
    };
    let workers: Vec<_> = (1..=WORKERS).map(worker).collect();
    until_within(Duration::from_secs(60), "all work", || {
        workers.iter().all(|worker| worker.stats().state == pgq_core::worker::WorkerState::Working)
    });
    Process::tell("working");
    let _ = stdin().read_to_end(&mut Vec::new());
}

/// No ticker at all, a paused queue, one whose ticks come from elsewhere, and one that the ticker leaves out.
fn a_missing_ticker_is_reported_once_with_its_cause(run: Run) -> crate::Result {
    const AFTER: Duration = Duration::from_millis(300);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    Queue::new("other").create(&mut db)?;
    let worker = bed.job(role).options(|options| options.no_ticks_after(AFTER)).start();
    let mut told = Vec::new();
    let causes = [
        (NoTicks::NoTicker, None),
        (NoTicks::OnlyHere, None),
        (NoTicks::Paused, Some("queue_ticker_paused")),
        (NoTicks::External, Some("queue_external_ticker")),
    ];
    for (seq, (cause, column)) in causes.into_iter().enumerate() {
        set(&mut db, column, true);
        let start = Instant::now();
        // Two: the extension does not count the very first event of a queue.
        let sql = format!(
            "BEGIN; INSERT INTO sent VALUES (1, {seq}), (2, {seq}); SELECT pgq.insert_event('{QUEUE}', 'number', '1:{seq}'); \
             SELECT pgq.insert_event('{QUEUE}', 'number', '2:{seq}'); COMMIT"
        );
        db.batch_execute(&sql)?;
        let mut tick_other = || {
            if cause != NoTicks::NoTicker {
                tick(&mut db, "other");
            }
        };
        let is_told = |notice: &Notice| matches!(notice, Notice::NoTicks { .. });
        until_within(Duration::from_secs(10), "the worker says that no ticks come", || {
            tick_other();
            worker.heard.after(start, is_told).is_some()
        });
        told.push((cause, worker.heard.after(start, is_told).unwrap_or(start) - start));
        // It looks again and again, and says nothing more.
        let again = Instant::now();
        until_within(AFTER * 10, "it has looked again", || again.elapsed() >= AFTER * 4);
        set(&mut db, column, false);
        tick(&mut db, QUEUE);
        until_within(Duration::from_secs(10), "it says that ticks come again", || {
            worker.heard.after(start, |notice| matches!(notice, Notice::TicksAgain)).is_some()
        });
    }
    let cause = |(_, notice)| match notice {
        Notice::NoTicks { cause, .. } => Some(cause),
        _ => None,
    };
    let causes: Vec<_> = worker.heard.all().into_iter().filter_map(cause).collect();
    until_within(Duration::from_secs(10), "all are handled", || worker.stats().events.all() == 8);
    bed.truth("plain").assert_exactly_once();
    Figures::of(&bed.run).add("told after", format!("{told:.1?}")).print();
    assert_eq!(causes, [NoTicks::NoTicker, NoTicks::OnlyHere, NoTicks::Paused, NoTicks::External]);
    Ok(())
}

fn set(db: &mut Client, column: Option<&str>, to: bool) {
    if let Some(column) = column {
        db.batch_execute(&format!("UPDATE pgq.queue SET {column} = {to} WHERE queue_name = '{QUEUE}'"))
            .unwrap();
    }
}

fn tick(db: &mut Client, queue: &str) {
    db.execute("SELECT pgq.force_tick($1)", &[&queue]).unwrap();
    db.execute("SELECT pgq.ticker($1)", &[&queue]).unwrap();
}
