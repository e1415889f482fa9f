//! Clocks that are set back, set forward, or drift: the times of the ticks are moved, as seen from a clock that was set.

use std::thread;
use std::time::{Duration, Instant};

use pgq_sync::postgres::Client;
use pgq_testkit::until_within;

use crate::bed::{Bed, Figures, QUEUE, Role, Run, Spread, Ticker, Worker, patient, value};

cases!(
    ticks_go_on_when_the_clock_is_set_back,
    a_clock_that_is_set_forward_makes_no_burst_of_ticks,
    ticks_go_on_while_the_clock_drifts,
);

/// That of the bed.
const MAX_LAG: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(30);

/// The worker of a quiet queue, and a ticker.
struct Scene {
    bed: Bed,
    db: Client,
    worker: Worker,
    _tickers: Vec<Ticker>,
    events: i64,
}

fn ticks_go_on_when_the_clock_is_set_back(run: Run) -> crate::Result {
    let mut scene = Scene::new(run)?;
    let mut gaps = Spread::default();
    for _ in 0..scene.bed.run.size(3, 20) {
        scene.shift("1 hour");
        gaps.add(scene.flow());
        // A queue without events, too: its ticks move rotation.
        scene.shift("1 hour");
        gaps.add(scene.tick());
    }
    scene.end("next tick after", &gaps)?;
    assert!(gaps.max() <= most_gap(), "{gaps}");
    Ok(())
}

fn a_clock_that_is_set_forward_makes_no_burst_of_ticks(run: Run) -> crate::Result {
    let mut scene = Scene::new(run)?;
    let (mut gaps, mut most) = (Spread::default(), 0);
    for _ in 0..scene.bed.run.size(3, 20) {
        let before = scene.clock();
        scene.shift("-1 hour");
        gaps.add(scene.flow());
        most = most.max(scene.ticks_in_the_second_after(&before));
    }
    scene.end("next tick after", &gaps)?;
    println!("at most {most} ticks in the second after");
    assert!(gaps.max() <= most_gap(), "{gaps}");
    // One for the hour, one for the events, and those of an idle queue, each after twice the time of the one before.
    assert!(most <= 8, "{most} ticks in the second after");
    Ok(())
}

/// By a second in each second, backwards and then forwards.
fn ticks_go_on_while_the_clock_drifts(run: Run) -> crate::Result {
    const STEP: Duration = Duration::from_millis(100);
    let time = run.size(Duration::from_secs(3), Duration::from_secs(30));
    let most_gap = most_gap() + patient(STEP);
    let mut scene = Scene::new(run)?;
    let producers = scene.bed.steady_producers();
    let mut gaps = Spread::default();
    let mut ticks = Vec::new();
    // A clock that runs back by a second in each: the ticks go away from it twice as fast.
    for shift in ["200 milliseconds", "-100 milliseconds"] {
        let (start, first) = (Instant::now(), scene.last_tick());
        let (mut last, mut since) = (first, start);
        while start.elapsed() < time || last == first && start.elapsed() <= most_gap {
            scene.shift(shift);
            thread::sleep(STEP);
            let newest = scene.last_tick();
            if newest > last {
                gaps.add(since.elapsed());
                (last, since) = (newest, Instant::now());
            }
        }
        gaps.add(since.elapsed());
        ticks.push((last - first) as f64 / start.elapsed().as_secs_f64());
    }
    producers.end();
    scene.bed.wait_for_top(LIMIT);
    scene.end("next tick after", &gaps)?;
    println!("ticks in a second, backwards and forwards: {ticks:.1?}");
    assert!(gaps.max() <= most_gap, "{gaps}");
    // The gaps say that there are enough. The ticker looks 20 times a second, and twice more where ticks are from the future.
    assert!(ticks.iter().all(|ticks| *ticks > 0.0 && *ticks <= 24.0), "{ticks:?}");
    Ok(())
}

fn most_gap() -> Duration {
    patient(2 * MAX_LAG + Duration::from_secs(1))
}

impl Scene {
    /// Begins when events flow.
    fn new(run: Run) -> crate::Result<Self> {
        let bed = Bed::new(run)?;
        let role = Role::consumer_of("plain");
        bed.register(&role)?;
        let (db, tickers, worker) = (bed.connect(), bed.tickers(1), bed.job(role).start());
        let mut scene = Self { bed, db, worker, _tickers: tickers, events: 0 };
        scene.flow();
        Ok(scene)
    }

    /// Moves all ticks.
    fn shift(&mut self, by: &str) {
        let shift = format!("UPDATE pgq.tick SET tick_time = tick_time + interval '{by}'");
        self.db.batch_execute(&shift).unwrap();
    }

    /// The time of the server, which ticks made from now on have.
    fn clock(&mut self) -> String {
        value(&mut self.db, "SELECT clock_timestamp()::text", &[])
    }

    /// By their own times.
    fn ticks_in_the_second_after(&mut self, time: &str) -> i64 {
        const IS_OVER: &str = "SELECT clock_timestamp() >= $1::text::timestamptz + interval '1 second'";
        const TICKS: &str = "SELECT count(*) FROM pgq.tick WHERE tick_time >= $1::text::timestamptz \
            AND tick_time < $1::text::timestamptz + interval '1 second'";
        until_within(LIMIT, "the second is over", || value(&mut self.db, IS_OVER, &[&time]));
        value(&mut self.db, TICKS, &[&time])
    }

    /// Inserts two events, and tells after what time there is a tick that is newer. Waits until they are handled.
    fn flow(&mut self) -> Duration {
        // The extension does not count the very first event of a queue.
        const EVENTS: i64 = 2;
        let (from, to) = (self.events + 1, self.events + EVENTS);
        let insert = format!(
            "BEGIN; INSERT INTO sent SELECT 99, generate_series({from}, {to}); \
             SELECT pgq.insert_event('{QUEUE}', 'number', '99:' || seq) FROM generate_series({from}, {to}) seq; COMMIT"
        );
        let last = self.last_tick();
        self.db.batch_execute(&insert).unwrap();
        self.events = to;
        let gap = self.tick_after(last);
        until_within(LIMIT, "the events are handled", || {
            value(&mut self.db, "SELECT count(*) = $1 FROM sink_plain WHERE producer = 99", &[&to])
        });
        gap
    }

    /// Waits for another tick.
    fn tick(&mut self) -> Duration {
        let last = self.last_tick();
        self.tick_after(last)
    }

    fn tick_after(&mut self, last: i64) -> Duration {
        let start = Instant::now();
        until_within(LIMIT, "there is another tick", || self.last_tick() > last);
        start.elapsed()
    }

    fn last_tick(&mut self) -> i64 {
        value(&mut self.db, "SELECT max(tick_id) FROM pgq.tick", &[])
    }

    fn end(self, name: &str, gaps: &Spread) -> crate::Result {
        let Self { bed, worker, .. } = self;
        worker.stop()?;
        let truth = bed.truth("plain");
        Figures::of(&bed.run).truth("consumer", &truth).add(name, gaps).print();
        truth.assert_exactly_once();
        assert_eq!(bed.inversions(), 0);
        Ok(())
    }
}
