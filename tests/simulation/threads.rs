//! What [`kills`](crate::kills) does, on threads and a real socket.

use std::time::{Duration, Instant};

use crate::bed::Bed;
use crate::check::wrongs;
use crate::explore::{MadeUp, made_up, number, told};
use crate::fault::Fault;
use crate::programs::consuming::After;
use crate::programs::threads::{Loaded, Members, Program, Streaming, Transactional, run};
use crate::programs::worker_threads::{self as workers, Workers};
use crate::script::Script;
use crate::socket::Door;

struct Explorer {
    door: Door,
    runs: u32,
}

impl Explorer {
    #[track_caller]
    fn check<P: Program>(&mut self, what: &str, bed: Bed, after: After) -> Bed {
        self.runs += 1;
        run::<P>(&bed, &self.door, after);
        let wrongs = wrongs(&bed, P::PROMISE);
        assert!(wrongs.is_empty(), "{}", told(what, &wrongs, &bed));
        bed
    }

    #[track_caller]
    fn each_point<P: Program>(&mut self) {
        let bed = |faults: &[(u64, Fault)]| Bed::new(P::GROUP, P::WORKERS, Script::usual(), faults);
        let points = self.check::<P>("nothing wrong", bed(&[]), After::Keep).server().host.points;
        // The twin has them all; here each point has two and one of the others.
        // A run of a worker waits in real time.
        let step = if P::IS_SLOW && number("PGQ_TEST_SECONDS").is_none() { 5 } else { 1 };
        for (place, point) in (1..=points).enumerate().step_by(step) {
            let other = Fault::ALL[place % Fault::ALL.len()];
            let faults = [Fault::Cut, Fault::Fail("40001"), other];
            for fault in faults.into_iter().take(if step == 1 { 3 } else { 1 }) {
                let after = if point % 2 == 0 { After::Keep } else { After::Reconnect };
                let what = format!("{fault} at point {point}, then {after:?}");
                self.check::<P>(&what, bed(&[(point, fault)]), after);
            }
        }
    }

    #[track_caller]
    fn seeds<P: Program>(&mut self, limit: Duration) {
        let limit = number("PGQ_TEST_SECONDS").map_or(limit, Duration::from_secs);
        let first = number("PGQ_TEST_SEED").unwrap_or_else(|| u64::from(fastrand::u32(..)));
        let start = Instant::now();
        let mut seed = first;
        while start.elapsed() < limit {
            let MadeUp { steps, faults, after, .. } = made_up(seed);
            let what = format!("PGQ_TEST_SEED={seed}: {faults:?}, then {after:?}");
            self.check::<P>(&what, Bed::new(P::GROUP, P::WORKERS, steps, &faults), after);
            seed += 1;
        }
        println!("seeds {first} to {seed}");
    }
}

#[track_caller]
fn explore<P: Program>() {
    let start = Instant::now();
    let mut explorer = Explorer { door: Door::new(), runs: 0 };
    if P::WORKERS == 1 {
        explorer.each_point::<P>();
    }
    explorer.seeds::<P>(Duration::from_secs(1));
    println!(
        "{} runs, {:.0} a second",
        explorer.runs,
        f64::from(explorer.runs) / start.elapsed().as_secs_f64()
    );
}

#[test]
fn a_batch_in_a_transaction() {
    explore::<Transactional>();
}

#[test]
fn a_loaded_batch() {
    explore::<Loaded>();
}

#[test]
fn events_of_all_batches() {
    explore::<Streaming>();
}

#[test]
fn two_members_of_a_group() {
    explore::<Members>();
}

#[test]
fn a_worker_in_the_transaction() {
    explore::<Workers<workers::Each>>();
}

#[test]
fn a_worker_outside_of_the_transaction() {
    explore::<Workers<workers::Elsewhere>>();
}

#[test]
fn two_workers_of_a_group() {
    explore::<Workers<workers::Members>>();
}
