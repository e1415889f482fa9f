use std::collections::VecDeque;

use crate::model::{Database, Request, SessionId};
use crate::task::Task;

/// What producers and the ticker do, step by step, while the consumers work.
pub(crate) struct Script {
    steps: VecDeque<Step>,
    producers: Vec<SessionId>,
    /// For so many steps there are no ticks.
    pause: u32,
    is_on: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Begin(usize),
    Insert(usize, Task),
    Commit(usize),
    Rollback(usize),
    Tick,
    MoveRetries,
}

const PRODUCERS: usize = 3;
const SECOND: i64 = 1_000_000;

impl Script {
    pub(crate) fn new(database: &mut Database, steps: impl IntoIterator<Item = Step>) -> Self {
        let producers = (0..PRODUCERS).map(|_| database.connect("producer")).collect();
        Self { steps: steps.into_iter().collect(), producers, pause: 0, is_on: true }
    }

    /// Some batches: of some events, empty, of retries, of a transaction that began before its tick; and one that is rolled back.
    pub(crate) fn usual() -> Vec<Step> {
        let (done, twice, dead) = (Task::new(0, false), Task::new(1, false), Task::new(0, true));
        vec![
            Step::Insert(0, done),
            Step::Insert(0, twice),
            Step::Insert(0, dead),
            Step::Begin(1),
            Step::Insert(1, done),
            Step::Tick,
            Step::Begin(2),
            Step::Insert(2, done),
            Step::Rollback(2),
            Step::Tick,
            Step::Insert(0, done),
            Step::Commit(1),
            Step::Tick,
        ]
    }

    /// Two batches, without retries.
    pub(crate) fn plain() -> Vec<Step> {
        let done = Task::new(0, false);
        vec![Step::Insert(0, done), Step::Insert(0, done), Step::Tick, Step::Insert(0, done), Step::Tick]
    }

    pub(crate) fn random(random: &mut fastrand::Rng) -> Vec<Step> {
        let count = random.usize(5..40);
        (0..count).map(|_| Self::random_step(random)).collect()
    }

    fn random_step(random: &mut fastrand::Rng) -> Step {
        let producer = random.usize(..PRODUCERS);
        match random.u32(..20) {
            0..2 => Step::Begin(producer),
            2..4 => Step::Commit(producer),
            4 => Step::Rollback(producer),
            5..10 => Step::Tick,
            10 => Step::MoveRetries,
            _ => {
                let retries = if random.u32(..3) == 0 { random.u32(1..4) } else { 0 };
                Step::Insert(producer, Task::new(retries, random.u32(..8) == 0))
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.steps.is_empty() && self.producers.is_empty()
    }

    /// Does nothing from now on, and lets no time pass.
    pub(crate) fn turn_off(&mut self) {
        self.is_on = false;
    }

    /// Keeps the ticker from ticking for a while.
    pub(crate) fn stop_ticks(&mut self) {
        self.pause = 10;
    }

    pub(crate) fn step(&mut self, database: &mut Database) {
        if !self.is_on {
            return;
        }
        database.now += SECOND;
        let ticks = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        match self.steps.pop_front() {
            Some(Step::Tick) if !ticks => {}
            Some(step) => self.take(step, database),
            None => self.drain(ticks, database),
        }
    }

    fn take(&self, step: Step, database: &mut Database) {
        match step {
            Step::Begin(producer) => self.run(producer, Request::Begin, database),
            Step::Commit(producer) => self.run(producer, Request::Commit, database),
            Step::Rollback(producer) => self.run(producer, Request::Rollback, database),
            Step::Insert(producer, task) => {
                let (event_type, data) = ("task".to_owned(), task.data());
                self.run(producer, Request::Insert { queue: "q".to_owned(), event_type, data }, database);
            }
            Step::Tick => drop(database.tick("q")),
            Step::MoveRetries => drop(database.move_retries()),
        }
    }

    /// When the script is at its end: the producers are done, retries come, and ticks as long as there is something.
    fn drain(&mut self, ticks: bool, database: &mut Database) {
        for producer in 0..self.producers.len() {
            self.run(producer, Request::Commit, database);
        }
        self.producers.drain(..).for_each(|session| database.disconnect(session));
        database.move_retries();
        if ticks && database.wants_tick("q") {
            database.tick("q");
        }
    }

    fn run(&self, producer: usize, request: Request, database: &mut Database) {
        database.execute(self.producers[producer], &request).expect("producers wait for nobody");
    }
}
