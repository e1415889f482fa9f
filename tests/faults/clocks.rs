//! Clocks that are set back.

use std::time::{Duration, Instant};

use pgq_testkit::until_within;

use crate::bed::{Bed, Figures, Role, Run, patient, value};

cases!(ticks_go_on_when_the_clock_is_set_back);

/// All ticks are an hour ahead, as if the clock had been set back by that; events go on. The extension takes ticks for new until the clock
/// has caught up: until then it is only a number of events that ends a batch, 500 unless a queue is set to another one.
fn ticks_go_on_when_the_clock_is_set_back(run: Run) -> crate::Result {
    // That of the bed.
    const MAX_LAG: Duration = Duration::from_millis(100);
    const LIMIT: Duration = Duration::from_secs(30);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("plain");
    bed.register(&role)?;
    let mut db = bed.connect();
    let _tickers = bed.tickers(1);
    let producers = bed.steady_producers();
    let worker = bed.job(role).start();
    until_within(LIMIT, "the worker works", || worker.stats().batches > 2);
    let ahead = "UPDATE pgq.tick SET tick_time = tick_time + interval '1 hour'";
    db.batch_execute(ahead)?;
    let (set, last) = (Instant::now(), value::<i64>(&mut db, "SELECT max(tick_id) FROM pgq.tick", &[]));
    until_within(LIMIT, "there is another tick", || {
        value(&mut db, "SELECT max(tick_id) > $1 FROM pgq.tick", &[&last])
    });
    let gap = set.elapsed();
    producers.end();
    bed.wait_for_top(LIMIT);
    let truth = bed.truth("plain");
    Figures::of(&bed.run).truth("consumer", &truth).add("next tick after", format!("{gap:.2?}")).print();
    truth.assert_exactly_once();
    let most = if bed.run.is_portable() { 2 * MAX_LAG + Duration::from_secs(1) } else { LIMIT };
    assert!(gap <= patient(most), "{gap:?}");
    Ok(())
}
