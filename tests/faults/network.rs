//! The network says nothing, resets, cuts, crumbles and dawdles.

use std::thread;
use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::worker::{Notice, Undo, prepare};
use pgq_sync::postgres::{Client, NoTls};
use pgq_sync::{ClientExt, Queue};
use pgq_testkit::fastrand::Rng;
use pgq_testkit::{Mode, Proxy, Server, until_within};

use crate::bed::{
    Beat, Bed, Driver, Figures, Producers, Progress, QUEUE, Role, Run, Spread, Ticker, named, patient, value,
};

cases!(
    a_silent_network_holds_nobody_up_for_longer_than_the_limit,
    resets_and_cuts_lose_nothing,
    single_bytes_are_enough,
    work_goes_on_over_a_slow_network,
    the_server_notices_a_worker_that_is_gone,
);

/// For an answer, and for what handlers do.
const LIMIT: Duration = Duration::from_secs(1);

/// All connections of a worker and a ticker fall silent at random moments. The async ones give up each call at its limit. The blocking
/// driver has no such limit where the other end confirms what it got, as a proxy does: there, the first that is known is the healing.
fn a_silent_network_holds_nobody_up_for_longer_than_the_limit(run: Run) -> crate::Result {
    let (rounds, silence) = (run.size(2, 10), run.size(Duration::from_secs(4), Duration::from_secs(60)));
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    let through = proxy.conninfo(&bed.database);
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let beat = Beat { answer_limit: LIMIT, ..Beat::default() };
    let tickers = [Ticker::with(bed.run.driver, &named(&through, "ticker"), beat)];
    let limits = |options: pgq_core::worker::WorkerOptions| options.answer_limit(LIMIT).handler_limit(LIMIT);
    let worker = bed.job(role).through(&through).options(limits).start();
    let producers = bed.steady_producers();
    let mut random = bed.run.random();
    let (mut given_up, mut tick, mut batch, mut leaked) =
        (Spread::default(), Spread::default(), Spread::default(), Spread::default());
    for _ in 0..rounds {
        Progress::of(&tickers, &worker).goes_on(Instant::now());
        thread::sleep(Duration::from_millis(random.u64(..500)));
        let (start, failures) = (Instant::now(), tickers[0].stats().failures);
        proxy.switch(Mode::Blackhole);
        if bed.run.driver == Driver::Async {
            let gone = |notice: &Notice| matches!(notice, Notice::Disconnected { .. });
            until_within(Duration::from_secs(10), "the worker gives up its connection", || {
                worker.heard.after(start, gone).is_some()
            });
            given_up.add(worker.heard.after(start, gone).unwrap_or(start) - start);
            until_within(LIMIT * 2 + Duration::from_secs(1), "the ticker gives up its own", || {
                tickers[0].stats().failures > failures
            });
        }
        until_within(silence * 2, "the silence is over", || start.elapsed() >= silence);
        let progress = Progress::of(&tickers, &worker);
        proxy.switch(Mode::Pass);
        let healed = Instant::now();
        let resumed = progress.goes_on(healed);
        tick.add(resumed.0);
        batch.add(resumed.1);
        until_within(LIMIT * 10, "no session is left behind", || {
            bed.server.backends_of("plain").unwrap().len() <= 1
                && bed.server.backends_of("ticker").unwrap().len() <= 1
        });
        leaked.add(healed.elapsed());
    }
    producers.end();
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("given up after", &given_up)
        .add("first tick after healing", &tick)
        .add("first batch", &batch)
        .add("sessions left behind for", &leaked)
        .print();
    truth.assert_exactly_once();
    assert_eq!(bed.inversions(), 0);
    // A statement of the handler, its cancel request and the savepoint after it, each with its own limit, and a second.
    assert!(given_up.max() <= patient(LIMIT * 3 + Duration::from_secs(1)), "{given_up}");
    assert!(tick.max().max(batch.max()) <= patient(Duration::from_secs(2)), "{tick}, {batch}");
    assert!(leaked.max() <= patient(LIMIT * 2 + Duration::from_secs(1)), "{leaked}");
    Ok(())
}

/// Producers, a worker and a ticker whose connections end by a reset each 200 ms, and then at random bytes.
fn resets_and_cuts_lose_nothing(run: Run) -> crate::Result {
    let time = run.size(Duration::from_secs(3), Duration::from_secs(60));
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let through = proxy.conninfo(&bed.database);
    let ticker = Ticker::start(bed.run.driver, &named(&through, "ticker"));
    let worker = bed.job(role).through(&through).start();
    let producers = Producers::steady(&bed.run, &named(&through, "producer"), 2, Duration::from_millis(20));
    let mut random = bed.run.random();
    let mut resets = 0;
    each(
        Duration::from_millis(200),
        time,
        || true,
        || {
            proxy.switch(Mode::Reset);
            proxy.switch(Mode::Pass);
            resets += 1;
        },
    );
    let met = || worker.stats().rolled_back > 0 && worker.stats().connections > 3;
    each(Duration::from_millis(100), time, met, || proxy.switch(cut(&mut random)));
    proxy.switch(Mode::Pass);
    let healed = Instant::now();
    let produced = producers.end();
    bed.wait_for_top(Duration::from_secs(30));

    let (truth, stats) = (bed.truth("plain"), worker.stats());
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("resets of all", resets)
        .add("cuts", proxy.hits())
        .add("connections", proxy.accepted())
        .add("of the worker", stats.connections)
        .add("batches rolled back", stats.rolled_back)
        .add("commits in doubt", format!("{} ({} done)", produced.in_doubt, produced.in_doubt_committed))
        .add("all at the top after", format!("{:.1?}", healed.elapsed()))
        .print();
    truth.assert_exactly_once();
    assert_eq!(bed.inversions(), 0);
    assert!(truth.sent > 0 && proxy.hits() > 0);
    drop(ticker);
    Ok(())
}

fn cut(random: &mut Rng) -> Mode {
    match random.u8(..3) {
        0 => Mode::CutAfter(random.u64(1..200)),
        1 => Mode::CutAfter(random.u64(200..5_000)),
        _ => Mode::Truncate(random.u64(1..500)),
    }
}

/// Acts for so long, and then until that is met, but not for ever.
fn each(pause: Duration, time: Duration, met: impl Fn() -> bool, mut act: impl FnMut()) {
    let start = Instant::now();
    until_within(time * 20, "that has happened which is to happen", || {
        thread::sleep(pause);
        act();
        start.elapsed() >= time && met()
    });
}

/// All messages arrive one byte at a time.
fn single_bytes_are_enough(run: Run) -> crate::Result {
    let events = run.size(200, 5_000);
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    proxy.switch(Mode::OneByteAtATime);
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let through = proxy.conninfo(&bed.database);
    let _ticker = Ticker::start(bed.run.driver, &named(&through, "ticker"));
    let worker = bed.job(role).through(&through).start();
    let produced = Producers::start(&bed.run, &named(&through, "producer"), 1, events).join();
    bed.wait_for_top(Duration::from_secs(60));
    let truth = bed.truth("plain");
    Figures::of(&bed.run).truth("consumer", &truth).add("batches", worker.stats().batches).print();
    truth.assert_exactly_once();
    assert_eq!((produced.in_doubt, produced.failed, worker.stats().connections), (0, 0, 1));
    Ok(())
}

/// Each direction takes 200 ms: a round trip takes 400.
fn work_goes_on_over_a_slow_network(run: Run) -> crate::Result {
    let batches = run.size(4, 30);
    let bed = Bed::new(run)?;
    let proxy = Proxy::before(&bed.server)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    // A batch without events costs almost as much as one with.
    let config = QueueConfig::new().ticker_idle_period(Duration::from_secs(60));
    Queue::new(QUEUE).set_config(&mut db, &config)?;
    let _tickers = bed.tickers(1);
    let through = proxy.conninfo(&bed.database);
    let worker = bed.job(role).through(&through).options(|options| options.undo(Undo::Batch)).start();
    let mut seq = 0;
    let mut one = || {
        seq += 1;
        let sql = format!(
            "BEGIN; INSERT INTO sent VALUES (1, {seq}); SELECT pgq.insert_event('q', 'number', '1:{seq}'); COMMIT"
        );
        db.batch_execute(&sql).unwrap();
    };
    one();
    until_within(Duration::from_secs(20), "the worker works", || worker.stats().batches == 1);
    let first = worker.heard.batch().0;
    proxy.switch(Mode::Delay(Duration::from_millis(200)));
    let start = Instant::now();
    for done in 2..=batches + 1 {
        one();
        until_within(Duration::from_secs(60), "the batch is finished", || worker.stats().batches >= done);
    }
    let took = start.elapsed();
    // The ticker adds some without events.
    let passed = worker.heard.batch().0 - first;
    proxy.switch(Mode::Pass);
    bed.wait_for_top(Duration::from_secs(30));
    let truth = bed.truth("plain");
    let each = took / u32::try_from(passed)?;
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("batches", passed)
        .add("each", format!("{each:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert_eq!(worker.stats().connections, 1);
    // Six round trips, and the wait for the tick.
    assert!(each <= patient(Duration::from_millis(2_900)), "{each:?}");
    Ok(())
}

/// Who is cut off for good keeps the claim to its name until the server notices; so that is told to look.
fn the_server_notices_a_worker_that_is_gone(run: Run) -> crate::Result {
    let bed = Bed::on(run, Server::builder().tcp().start()?)?;
    let address = bed.server.tcp_addr().expect("it was asked for");
    let user_and_database = format!("user=postgres dbname={}", bed.database.name());
    let mut db =
        Client::connect(&format!("host=127.0.0.1 port={} {user_and_database}", address.port()), NoTls)?;
    assert_ne!(limits(&mut db), LIMITS);
    db.call(prepare())?;
    assert_eq!(limits(&mut db), LIMITS);
    Ok(())
}

/// Seconds, seconds, a number and milliseconds.
const LIMITS: [i32; 4] = [15, 5, 3, 15_000];

fn limits(db: &mut Client) -> Vec<i32> {
    let names =
        ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"];
    let setting = |name: &&str| value(db, "SELECT setting::int FROM pg_settings WHERE name = $1", &[name]);
    names.iter().map(setting).collect()
}
