use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::fault::Fault;
use crate::model::{Database, Request, SessionId, SqlError};
use crate::rival;
use crate::script::Script;
use crate::task::Group;

/// The database, the script of what others do meanwhile, and what goes wrong when.
pub(crate) struct Host {
    pub(crate) database: Database,
    pub(crate) group: Group,
    /// Sessions that somebody wants to be cancelled.
    pub(crate) cancels: Vec<SessionId>,
    /// Sessions whose waiting statement is to fail.
    pub(crate) cancelled: BTreeSet<SessionId>,
    /// Whether all connections are to be cut.
    pub(crate) restarts: bool,
    /// What handlers did outside of the database, as it happened.
    pub(crate) handled: Vec<Handled>,
    /// How many points were passed.
    pub(crate) points: u64,
    pub(crate) statements: u64,
    pub(crate) script: Script,
    faults: BTreeMap<u64, VecDeque<Fault>>,
    /// Failures whose time has come, for the next statement or connection that can fail so.
    failures: Vec<&'static str>,
    trace: Vec<Passed>,
}

/// A delivery that a handler was done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) by: String,
    pub(crate) batch: i64,
    pub(crate) event: i64,
    pub(crate) retry: i32,
}

/// What becomes of a statement or answer at a point.
pub(crate) enum Arrival {
    Goes,
    Fails(SqlError),
    Cut,
}

enum What {
    Connects,
    Comes(Request),
    Answered,
}

const MILLISECOND: i64 = 1000;

struct Passed {
    point: u64,
    by: String,
    what: What,
    fault: Option<Fault>,
}

impl Host {
    pub(crate) fn new(database: Database, group: Group, script: Script, faults: &[(u64, Fault)]) -> Self {
        let mut by_point: BTreeMap<u64, VecDeque<Fault>> = BTreeMap::new();
        for (point, fault) in faults {
            by_point.entry(*point).or_default().push_back(*fault);
        }
        Self {
            database,
            group,
            cancels: Vec::new(),
            cancelled: BTreeSet::new(),
            restarts: false,
            handled: Vec::new(),
            points: 0,
            statements: 0,
            script,
            faults: by_point,
            failures: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// A client wants to begin a session.
    pub(crate) fn connects(&mut self, name: &str) -> Arrival {
        let passed = self.pass(name.to_owned(), || What::Connects);
        if let Some(state) = self.failures.pop() {
            return Arrival::Fails(SqlError::new(state, "injected"));
        }
        passed
    }

    /// A statement has come.
    pub(crate) fn arrives(&mut self, session: SessionId, request: &Request) -> Arrival {
        self.statements += 1;
        self.database.now += MILLISECOND;
        if self.statements % 3 == 0 {
            self.step();
        }
        let passed = self.pass(self.database.name_of(session), || What::Comes(request.clone()));
        let can_fail = |state: &str| state != "53300" && !matches!(request, Request::Rollback);
        if let (Arrival::Goes, Some(place)) =
            (&passed, self.failures.iter().position(|state| can_fail(state)))
        {
            return Arrival::Fails(SqlError::new(self.failures.remove(place), "injected"));
        }
        passed
    }

    /// An answer is to be sent.
    pub(crate) fn replies(&mut self, session: SessionId) -> Arrival {
        self.pass(self.database.name_of(session), || What::Answered)
    }

    /// Has the others do their next step.
    pub(crate) fn step(&mut self) {
        self.script.step(&mut self.database);
    }

    /// Whether the others have nothing more to do, and the consumers are past everything.
    pub(crate) fn is_over(&self) -> bool {
        self.script.is_over() && self.database.is_settled()
    }

    fn pass(&mut self, by: String, what: impl FnOnce() -> What) -> Arrival {
        self.points += 1;
        let point = self.points;
        let mut arrival = Arrival::Goes;
        let mut faults = self.faults.remove(&point).unwrap_or_default();
        // What a passing run does is of no interest, and costs a third of its time.
        if !self.faults.is_empty() || !faults.is_empty() {
            self.trace.push(Passed { point, by, what: what(), fault: faults.front().copied() });
        }
        while let Some(fault) = faults.pop_front() {
            match fault {
                Fault::Cut => arrival = Arrival::Cut,
                Fault::Fail(state) => self.failures.push(state),
                Fault::Restart => {
                    self.restarts = true;
                    arrival = Arrival::Cut;
                }
                Fault::Rival => self.rival(rival::Ending::Finishes),
                Fault::DyingRival => self.rival(rival::Ending::Dies),
                Fault::Jump(seconds) => self.database.now += seconds * 1_000_000,
                Fault::NoTicks => self.script.stop_ticks(),
            }
        }
        arrival
    }

    fn rival(&mut self, ending: rival::Ending) {
        let handled = rival::take(&mut self.database, self.group, ending);
        self.handled.extend(handled);
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Passed { point, by, what, fault } in &self.trace {
            let fault = fault.map_or_else(String::new, |fault| format!("   <-- {fault}"));
            match what {
                What::Connects => writeln!(f, "{point:5} {by:8} connects{fault}")?,
                What::Comes(request) => writeln!(f, "{point:5} {by:8} {request:?}{fault}")?,
                What::Answered => writeln!(f, "{point:5} {by:8} is answered{fault}")?,
            }
        }
        Ok(())
    }
}
