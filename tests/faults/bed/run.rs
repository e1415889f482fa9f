use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use pgq_testkit::fastrand::Rng;
use pgq_testkit::{Engine, Server};

use super::Driver;

/// Which scenario runs, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) scenario: &'static str,
    pub(crate) driver: Driver,
    pub(crate) engine: Engine,
    pub(crate) seed: u64,
}

/// Runs the scenario on the driver and the engine, unless the engine is not there or not asked for; then says so.
pub(crate) fn run(
    scenario: &'static str,
    driver: Driver,
    engine: Engine,
    case: fn(Run) -> crate::Result,
) -> crate::Result {
    if let Some(only) = pgq_testkit::engine()?.filter(|only| *only != engine) {
        println!("skipped: PGQ_TEST_ENGINE asks for {only}");
        return Ok(());
    }
    if engine == Engine::Extension && !Server::shared()?.has_extension()? {
        println!("skipped: the server has no pgq extension");
        return Ok(());
    }
    let run = Run { scenario, driver, engine, seed: seed() };
    println!("faults: {run} with PGQ_TEST_SEED={}", run.seed);
    case(run)
}

impl Run {
    /// The size of something: small unless `PGQ_TEST_SOAK=1` asks for the full one.
    pub(crate) fn size<T>(&self, small: T, full: T) -> T {
        if is_soak() { full } else { small }
    }

    /// Chance, the same for the same seed.
    pub(crate) fn random(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    pub(crate) fn is_portable(&self) -> bool {
        self.engine == Engine::Portable
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let driver = match self.driver {
            Driver::Sync => "sync",
            Driver::Async => "async",
        };
        write!(f, "{} | {driver}/{}", self.scenario, self.engine)
    }
}

fn is_soak() -> bool {
    env::var("PGQ_TEST_SOAK").is_ok_and(|soak| soak == "1")
}

fn seed() -> u64 {
    let given = env::var("PGQ_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos())
    })
}
