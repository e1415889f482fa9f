use std::env;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::bed::Bed;
use crate::check::wrongs;
use crate::fault::Fault;
use crate::programs::consuming::{After, Program, run};
use crate::script::{Script, Step};

/// Of the pauses that the programs make.
const SEED: u64 = 7;

/// Runs a program again and again, each time with something else going wrong.
pub(crate) struct Explorer {
    runtime: Runtime,
    pub(crate) runs: u64,
    started: Instant,
}

impl Explorer {
    pub(crate) fn new() -> Self {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        Self { runtime, runs: 0, started: Instant::now() }
    }

    /// One run; what went wrong in it, and the bed that it was on.
    pub(crate) fn run<P: Program>(&mut self, bed: Bed, after: After) -> (Vec<String>, Bed) {
        self.runs += 1;
        let chance = fastrand::get_seed();
        fastrand::seed(SEED);
        LocalSet::new().block_on(&self.runtime, run::<P>(&bed, after));
        fastrand::seed(chance);
        (wrongs(&bed, P::PROMISE), bed)
    }

    /// A run that must go well.
    #[track_caller]
    fn check<P: Program>(&mut self, what: &str, bed: Bed, after: After) -> Bed {
        let (wrongs, bed) = self.run::<P>(bed, after);
        assert!(wrongs.is_empty(), "{}", told(what, &wrongs, &bed));
        bed
    }

    /// Everything that can go wrong, at each point of a run on which nothing else does. Every other time the connection is kept. If runs
    /// take long, only some points have a cut and one other fault, another one at each.
    #[track_caller]
    pub(crate) fn each_point<P: Program>(&mut self) {
        let points = self.check::<P>("nothing wrong", bed::<P>(&[]), After::Keep).server().host.points;
        for (place, point) in (1..=points).step_by(step::<P>(points) as usize).enumerate() {
            let other = Fault::ALL[place % Fault::ALL.len()];
            let is_wanted = |fault: &Fault| {
                P::PROMISE.outlasts(*fault) && (is_thorough::<P>() || [Fault::Cut, other].contains(fault))
            };
            for (number, fault) in (point..).zip(Fault::ALL).filter(|(_, fault)| is_wanted(fault)) {
                let after = if number % 2 == 0 { After::Keep } else { After::Reconnect };
                let what = format!("{fault} at point {point}, then {after:?}");
                self.check::<P>(&what, bed::<P>(&[(point, fault)]), after);
            }
        }
    }

    /// Drops what is running at each poll, or at some.
    #[track_caller]
    pub(crate) fn each_poll<P: Program>(&mut self) {
        for after in [After::Reconnect, After::Keep] {
            let polls = self.check::<P>("nothing wrong", bed::<P>(&[]), after).polls();
            let step = step::<P>(polls);
            let first = if after == After::Keep { 1 } else { 1 + step / 2 };
            for poll in (first..=polls).step_by(step as usize) {
                self.check::<P>(
                    &format!("dropped at poll {poll}, then {after:?}"),
                    bed::<P>(&[]).drop_at(poll),
                    after,
                );
            }
        }
    }

    /// Made-up scripts and faults, for so long. `PGQ_TEST_SEED` begins with a seed, and `PGQ_TEST_SECONDS` gives it more time.
    #[track_caller]
    pub(crate) fn seeds<P: Program>(&mut self, limit: Duration) {
        let limit = number("PGQ_TEST_SECONDS").map_or(limit, Duration::from_secs);
        let first = number("PGQ_TEST_SEED").unwrap_or_else(|| u64::from(fastrand::u32(..)));
        let start = Instant::now();
        let mut seed = first;
        while start.elapsed() < limit {
            let MadeUp { steps, mut faults, after, drop_at } = made_up(seed);
            faults.retain(|(_, fault)| P::PROMISE.outlasts(*fault));
            let mut bed = Bed::new(P::GROUP, P::WORKERS, steps, &faults);
            if let Some(poll) = drop_at {
                bed = bed.drop_at(poll);
            }
            let what = format!("PGQ_TEST_SEED={seed}: {faults:?}, dropped at {drop_at:?}, then {after:?}");
            self.check::<P>(&what, bed, after);
            seed += 1;
        }
        println!("seeds {first} to {seed}");
    }

    /// What the checks find in a program with a mistake, which does well when nothing goes wrong.
    pub(crate) fn finds<P: Program>(&mut self) -> Option<String> {
        let bed = |faults: &[(u64, Fault)]| Bed::new(P::GROUP, P::WORKERS, Script::plain(), faults);
        let points = self.check::<P>("nothing wrong", bed(&[]), After::Reconnect).server().host.points;
        for point in 1..=points {
            for fault in [Fault::Cut, Fault::Rival] {
                let (wrongs, _) = self.run::<P>(bed(&[(point, fault)]), After::Reconnect);
                if let Some(wrong) = wrongs.first() {
                    return Some(format!("{fault} at point {point}: {wrong}"));
                }
            }
        }
        None
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{} runs, {:.0} a second", self.runs, self.runs as f64 / seconds);
    }
}

/// What happens in a run.
pub(crate) struct MadeUp {
    pub(crate) steps: Vec<Step>,
    pub(crate) faults: Vec<(u64, Fault)>,
    pub(crate) after: After,
    /// The poll at which a pass is dropped.
    pub(crate) drop_at: Option<u64>,
}

/// What a seed stands for.
pub(crate) fn made_up(seed: u64) -> MadeUp {
    let mut random = fastrand::Rng::with_seed(seed);
    let steps = Script::random(&mut random);
    let faults = Fault::some(&mut random, 120);
    let after = if random.bool() { After::Keep } else { After::Reconnect };
    let drop_at = random.bool().then(|| random.u64(1..100));
    MadeUp { steps, faults, after, drop_at }
}

/// With `PGQ_TEST_SECONDS` time matters less.
fn is_thorough<P: Program>() -> bool {
    !P::IS_SLOW || number("PGQ_TEST_SECONDS").is_some()
}

/// From one point or poll to the next.
fn step<P: Program>(count: u64) -> u64 {
    const MOST: u64 = 80;
    if is_thorough::<P>() { 1 } else { count.div_ceil(MOST).max(1) }
}

fn bed<P: Program>(faults: &[(u64, Fault)]) -> Bed {
    Bed::new(P::GROUP, P::WORKERS, Script::usual(), faults)
}

pub(crate) fn told(what: &str, wrongs: &[String], bed: &Bed) -> String {
    let mut told = format!("{what}\n");
    wrongs.iter().for_each(|wrong| writeln!(told, "- {wrong}").expect("a text takes all"));
    write!(told, "{}", bed.server().host).expect("a text takes all");
    told
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value:?}, which is not a number")))
}
