//! The server goes away and comes back, stands still, or has no session left.

use std::fmt::Debug;
use std::io::{Read, stdin};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pgq_async::tracing::field::{Field, Visit};
use pgq_async::tracing::span::{Attributes, Id, Record};
use pgq_async::tracing::{self, Level, Metadata, Subscriber};
use pgq_core::worker::{Notice, WorkerOptions};
use pgq_testkit::{Process, Server, Shutdown, until, until_within};

use crate::bed::{Bed, Driver, Figures, Job, Progress, Role, Run, Spread, Ticker, named, patient, value};

cases!(
    work_goes_on_at_once_and_without_a_flood_of_lines,
    a_server_that_stands_still_loses_nothing,
    a_server_without_free_sessions_is_waited_for,
);

/// From when the server takes connections.
const SOON: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
enum Outage {
    Fast,
    Immediate,
    Killed,
    /// Killed, and down for so long: the pauses between tries have grown then.
    Down(Duration),
}

impl Outage {
    /// Returns when the server takes connections again.
    fn happen(self, server: &Server) -> crate::Result<Instant> {
        match self {
            Self::Fast => server.restart(Shutdown::Fast)?,
            Self::Immediate => server.restart(Shutdown::Immediate)?,
            Self::Killed => killed_for(server, Duration::ZERO)?,
            Self::Down(time) => killed_for(server, time)?,
        }
        Ok(Instant::now())
    }
}

fn killed_for(server: &Server, time: Duration) -> crate::Result {
    server.kill()?;
    let start = Instant::now();
    until_within(time + SOON, "it was down for long enough", || start.elapsed() >= time);
    server.launch()?;
    server.wait_until_accepting()?;
    Ok(())
}

fn work_goes_on_at_once_and_without_a_flood_of_lines(run: Run) -> crate::Result {
    const LINES: usize = 10;
    const NEW_TICK: &str =
        "SELECT EXISTS (SELECT FROM pgq.tick WHERE tick_time > pg_postmaster_start_time())";
    let (times, long) = (run.size(1, 5), run.size(Duration::from_secs(6), Duration::from_secs(60)));
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let logged = Role::consumer_of("logged");
    bed.register(&logged)?;
    let worker = bed.job(role).start();
    let driver = if bed.run.driver == Driver::Sync { "sync" } else { "async" };
    let variables = [("FAULTS_DRIVER", driver), ("FAULTS_CONNINFO", bed.database.conninfo())];
    let mut clients = Process::rerun("restarts::the_clients", &variables)?;
    let producers = bed.steady_producers();
    until("the other worker works", || bed.truth("logged").sent > bed.truth("logged").lost);
    let (mut tick, mut batch, mut begins) = (Spread::default(), Spread::default(), Vec::new());
    for _ in 0..times {
        for outage in [Outage::Fast, Outage::Immediate, Outage::Killed, Outage::Down(long)] {
            let finished = worker.stats().batches;
            until("the worker works", || worker.stats().batches > finished);
            begins.push(milliseconds());
            let accepts = outage.happen(&bed.server)?;
            let at_work = |notice: &Notice| matches!(notice, Notice::Opened { .. } | Notice::Finished { .. });
            let mut db = bed.connect();
            until("there is a tick again", || value(&mut db, NEW_TICK, &[]));
            tick.add(accepts.elapsed());
            until("there is a batch again", || worker.heard.after(accepts, at_work).is_some());
            batch.add(worker.heard.after(accepts, at_work).unwrap_or(accepts) - accepts);
        }
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    assert!(clients.wait()?.success());
    let all = lines(&mut clients);
    let (by_worker, by_ticker) =
        (most_lines(&all, &begins, "pgq_core"), most_lines(&all, &begins, "pgq_ticker"));
    let (plain, logged) = (bed.truth("plain"), bed.truth("logged"));
    Figures::of(&bed.run)
        .truth("consumer", &plain)
        .add("outages", begins.len())
        .add("first tick", &tick)
        .add("first batch", &batch)
        .add(
            "most lines in an outage",
            format!("{} of the worker, {} of the ticker", by_worker.len(), by_ticker.len()),
        )
        .print();
    plain.assert_exactly_once();
    logged.assert_exactly_once();
    assert!(tick.max().max(batch.max()) <= patient(SOON), "{tick}, {batch}");
    for lines in [by_worker, by_ticker] {
        assert!((1..=LINES).contains(&lines.len()), "{lines:#?}");
    }
    Ok(())
}

/// SIGSTOP to all its processes, for longer than an answer may take.
fn a_server_that_stands_still_loses_nothing(run: Run) -> crate::Result {
    const LIMIT: Duration = Duration::from_secs(1);
    let (rounds, still) = (run.size(2, 10), Duration::from_secs(3));
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let tickers = bed.tickers(1);
    // The blocking driver knows of no limit where the other end confirms what it got.
    let gives_up = bed.run.driver == Driver::Async;
    let limited = |options: WorkerOptions| {
        let options = options.answer_limit(LIMIT);
        // It can be a statement of the handler's that gets no answer.
        if gives_up { options.handler_limit(LIMIT) } else { options }
    };
    let worker = bed.job(role).options(limited).start();
    let producers = bed.steady_producers();
    let (mut tick, mut batch) = (Spread::default(), Spread::default());
    for _ in 0..rounds {
        Progress::of(&tickers, &worker).goes_on(Instant::now());
        let paused = bed.server.pause()?;
        let (start, progress) = (Instant::now(), Progress::of(&tickers, &worker));
        if gives_up {
            let given_up = |notice: &Notice| matches!(notice, Notice::Disconnected { .. });
            until_within(patient(LIMIT * 5), "the worker gives up its connection", || {
                worker.heard.after(start, given_up).is_some()
            });
        }
        until_within(still * 2, "it has stood still", || start.elapsed() >= still);
        drop(paused);
        let resumed = progress.goes_on(Instant::now());
        tick.add(resumed.0);
        batch.add(resumed.1);
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("connections of the worker", worker.stats().connections)
        .add("first tick", &tick)
        .add("first batch", &batch)
        .print();
    truth.assert_exactly_once();
    assert_eq!(bed.inversions(), 0);
    assert!(tick.max().max(batch.max()) <= patient(SOON), "{tick}, {batch}");
    Ok(())
}

/// SQLSTATE 53300 for all who come.
fn a_server_without_free_sessions_is_waited_for(run: Run) -> crate::Result {
    const LONG: Duration = Duration::from_secs(3);
    const MOST_TRIES: usize = 12;
    let server = Server::builder().setting("max_connections", "25").start()?;
    let bed = Bed::on(run, server)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    let occupied = bed.server.occupy_all_connections()?;
    let tickers = bed.tickers(1);
    let worker = bed.job(role).start();
    db.batch_execute(
        "BEGIN; INSERT INTO sent SELECT 1, generate_series(1, 100); \
         SELECT pgq.insert_event('q', 'number', '1:' || seq) FROM generate_series(1, 100) seq; COMMIT",
    )?;
    let refused =
        |notice: &Notice| matches!(notice, Notice::Disconnected { error, .. } if error.contains("53300"));
    let start = Instant::now();
    until_within(LONG * 2, "that has lasted", || start.elapsed() >= LONG);
    let (tries, trouble) = (worker.heard.count(refused), tickers[0].stats().trouble);
    let progress = Progress::of(&tickers, &worker);
    drop(occupied);
    let (tick, batch) = progress.goes_on(Instant::now());
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("tries of the worker", tries)
        .add("first tick", format!("{tick:.2?}"))
        .add("first batch", format!("{batch:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert!((2..=MOST_TRIES).contains(&tries), "{tries}");
    assert!(trouble.as_ref().is_some_and(|trouble| trouble.contains("53300")), "{trouble:?}");
    assert!(tick.max(batch) <= patient(SOON), "{tick:?}, {batch:?}");
    Ok(())
}

/// Not a test, but a worker and a ticker that tell what they log. They end when the standard input does.
#[test]
fn the_clients() {
    if !Process::is_rerun() {
        return;
    }
    tracing::subscriber::set_global_default(Lines).unwrap();
    let variable = |name: &str| std::env::var(name).unwrap();
    let driver = if variable("FAULTS_DRIVER") == "sync" { Driver::Sync } else { Driver::Async };
    let conninfo = variable("FAULTS_CONNINFO");
    let _ticker = Ticker::start(driver, &named(&conninfo, "ticker"));
    let worker = Job::new(driver, &conninfo, Role::consumer_of("logged")).start();
    let _ = stdin().read_to_end(&mut Vec::new());
    worker.stop().unwrap();
}

/// Tells each line of the log: the time, who wrote it, and the text.
struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("pgq_")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} {}", milliseconds(), event.metadata().target());
        event.record(&mut Text(&mut line));
        Process::tell(&line);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text<'l>(&'l mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

fn lines(clients: &mut Process) -> Vec<(u128, String)> {
    let parse = |line: String| {
        let (time, text) = line.split_once(' ').expect("a line begins with the time");
        (time.parse().expect("the time is a number"), text.to_owned())
    };
    std::iter::from_fn(|| clients.next_line()).map(parse).collect()
}

/// The most lines that client wrote from the beginning of an outage to the next.
fn most_lines<'l>(lines: &'l [(u128, String)], begins: &[u128], client: &str) -> Vec<&'l str> {
    let of = |number: usize| {
        let until = begins.get(number + 1).copied().unwrap_or(u128::MAX);
        let within = lines.iter().filter(|(time, _)| (begins[number]..until).contains(time));
        within.map(|(_, text)| text.as_str()).filter(|text| text.starts_with(client)).collect::<Vec<_>>()
    };
    (0..begins.len()).map(of).max_by_key(Vec::len).unwrap_or_default()
}

fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}
