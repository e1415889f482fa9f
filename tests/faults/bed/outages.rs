use std::time::{Duration, Instant};

use pgq_testkit::fastrand::Rng;
use pgq_testkit::until_within;

use super::{Bed, Producers, Run};

/// What breaks, in which order, and how far the producers are then.
pub(crate) struct Outages {
    faults: Vec<Fault>,
    random: Rng,
    events: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server, by SIGKILL of all its processes.
    Server,
    /// The session of any one client.
    Session,
}

impl Outages {
    /// So many of each, in random order, spread over the time in which so many events are produced.
    pub(crate) fn spread(run: &Run, servers: usize, sessions: usize, events: u64) -> Self {
        let mut random = run.random();
        let mut faults = vec![Fault::Server; servers];
        faults.resize(servers + sessions, Fault::Session);
        random.shuffle(&mut faults);
        Self { faults, random, events }
    }

    /// Has it all break. The producers wait for the next but one fault, so that each happens while they work. Calls `after` with each
    /// fault and the time since when the server takes connections (again).
    pub(crate) fn happen(
        mut self,
        bed: &Bed,
        producers: &Producers,
        mut after: impl FnMut(Fault, Instant) -> crate::Result,
    ) -> crate::Result {
        let steps = self.faults.len() as u64 + 1;
        for (number, fault) in self.faults.iter().enumerate() {
            let number = number as u64;
            producers.allow((number + 2) * self.events / steps);
            let due = number * self.events / steps + self.random.u64(1..=self.events / steps);
            until_within(Duration::from_secs(120), "the producers go on", || producers.committed() >= due);
            match fault {
                Fault::Server => {
                    bed.server.kill()?;
                    bed.server.launch()?;
                    bed.server.wait_until_accepting()?;
                }
                Fault::Session => drop(bed.database.kill_random_backend(&mut self.random)?),
            }
            // So that there is something to do after it.
            let since = Instant::now();
            producers
                .allow(producers.committed().max((number + 1) * self.events / steps) + self.events / steps);
            after(*fault, since)?;
        }
        Ok(())
    }
}
