use std::env;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

/// Tries made-up values until the time is over: 20 seconds, or as many as `PGQ_TEST_SECONDS` says. Each seed makes a few values;
/// a failure is made smaller and printed with its seed, with which `PGQ_TEST_SEED` begins.
pub(crate) fn explore<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: Debug,
{
    const VALUES_OF_A_SEED: u32 = 4;
    let limit = Duration::from_secs(number("PGQ_TEST_SECONDS").unwrap_or(20));
    let first = number("PGQ_TEST_SEED").unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let start = Instant::now();
    let mut seed = first;
    while start.elapsed() < limit {
        let config = Config {
            cases: VALUES_OF_A_SEED,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            // The largest number stands for "four times as many as cases".
            max_shrink_iters: u32::MAX - 1,
            max_shrink_time: 60_000,
            ..Config::default()
        };
        if let Err(failure) = TestRunner::new(config).run(strategy, &test) {
            panic!("PGQ_TEST_SEED={seed}: {failure}");
        }
        seed += 1;
    }
    println!("seeds {first} to {seed}: {} values", (seed - first) * u64::from(VALUES_OF_A_SEED));
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value:?}, which is not a number")))
}
