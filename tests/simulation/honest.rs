//! The model beside the portable engine on a real server: made-up histories of calls must be answered alike.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pgq_sync::ClientExt;
use pgq_sync::pgq_core::batch::{self, Filter};
use pgq_sync::pgq_core::{
    BatchId, Call, Error, EventId, Pace, TickId, consumer, coop, event, maintenance, queue, tick,
};
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::{Engine, Server};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::bed::Bed;
use crate::explore::number;
use crate::socket::Door;
use crate::task::Group;

/// What somebody does. Numbers name a session; `c0` and `c1` are consumers, `m.w2` to `m.w4` members of a group.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(usize),
    Commit(usize),
    Rollback(usize),
    Savepoint(usize),
    RollbackTo(usize),
    Insert(usize),
    Tick,
    Register(usize),
    RegisterAt(usize, i64),
    Unregister(usize),
    Next(usize, Option<u32>),
    NextOrTakeOver(usize),
    /// Has a member been silent for long.
    Age(usize),
    Read(usize),
    /// Of the batch that this session had last.
    Finish(usize),
    /// Of the batch that another session had last.
    FinishOther(usize, usize),
    Beat(usize),
    RetrySome(usize, u8),
    RetryAll(usize),
    MoveRetries,
    Info,
    Claim(usize, usize),
    Release(usize, usize),
}

const CONSUMERS: usize = 2;
const SESSIONS: usize = 5;

fn steps() -> impl Strategy<Value = Step> {
    let any = 0..SESSIONS;
    prop_oneof![
        6 => any.clone().prop_map(Step::Begin),
        6 => any.clone().prop_map(Step::Commit),
        3 => any.clone().prop_map(Step::Rollback),
        1 => any.clone().prop_map(Step::Savepoint),
        1 => any.clone().prop_map(Step::RollbackTo),
        10 => any.clone().prop_map(Step::Insert),
        8 => Just(Step::Tick),
        4 => any.clone().prop_map(Step::Register),
        1 => (0..CONSUMERS, 0..4_i64).prop_map(|(consumer, tick)| Step::RegisterAt(consumer, tick)),
        1 => any.clone().prop_map(Step::Unregister),
        12 => (any.clone(), proptest::option::weighted(0.1, 1..2500_u32)).prop_map(|(who, count)| Step::Next(who, count)),
        6 => (CONSUMERS..SESSIONS).prop_map(Step::NextOrTakeOver),
        3 => (CONSUMERS..SESSIONS).prop_map(Step::Age),
        8 => any.clone().prop_map(Step::Read),
        10 => any.clone().prop_map(Step::Finish),
        2 => (any.clone(), any.clone()).prop_map(|(who, other)| Step::FinishOther(who, other)),
        2 => (CONSUMERS..SESSIONS).prop_map(Step::Beat),
        3 => (any.clone(), 1..8_u8).prop_map(|(who, mask)| Step::RetrySome(who, mask)),
        2 => any.clone().prop_map(Step::RetryAll),
        4 => Just(Step::MoveRetries),
        3 => Just(Step::Info),
        2 => (any.clone(), any.clone()).prop_map(|(who, name)| Step::Claim(who, name)),
        2 => (any.clone(), any).prop_map(|(who, name)| Step::Release(who, name)),
    ]
}

/// Has the consumer of this name be silent for longer.
type Age = dyn FnMut(&mut Client, &str);

/// One side: a session for each number, and one for the rest.
struct World {
    admin: Client,
    sessions: Vec<Session>,
    age: Box<Age>,
}

struct Session {
    db: Client,
    in_transaction: bool,
    has_savepoint: bool,
    batch: Option<BatchId>,
    events: Vec<EventId>,
    cursors: u32,
}

impl World {
    fn new(connect: impl Fn() -> Client, age: impl FnMut(&mut Client, &str) + 'static) -> Self {
        let session = |_| {
            let mut db = connect();
            db.batch_execute("SET lock_timeout = '5ms'").unwrap();
            Session {
                db,
                in_transaction: false,
                has_savepoint: false,
                batch: None,
                events: Vec::new(),
                cursors: 0,
            }
        };
        Self { admin: connect(), sessions: (0..SESSIONS).map(session).collect(), age: Box::new(age) }
    }

    fn step(&mut self, step: Step) -> String {
        let name = |who: usize| if who < CONSUMERS { format!("c{who}") } else { format!("m.w{who}") };
        match step {
            Step::Begin(who) => self.sessions[who].begin(),
            Step::Commit(who) => self.sessions[who].end("COMMIT"),
            Step::Rollback(who) => self.sessions[who].end("ROLLBACK"),
            Step::Savepoint(who) => self.sessions[who].savepoint(),
            Step::RollbackTo(who) => self.sessions[who].rollback_to(),
            Step::Insert(who) => self.sessions[who].call(event::insert("q", "type", "data")),
            Step::Tick => self.tick(),
            Step::Register(who) => self.sessions[who].register(who, None),
            Step::RegisterAt(who, tick) => self.sessions[who].register(who, Some(tick)),
            Step::Unregister(who) => self.sessions[who].unregister(who),
            Step::Next(who, count) => {
                let pace = Pace { min_count: count, ..Pace::default() };
                self.sessions[who].next(who, pace, None)
            }
            Step::NextOrTakeOver(who) => {
                self.sessions[who].next(who, Pace::default(), Some(Duration::from_secs(600)))
            }
            Step::Age(who) => {
                (self.age)(&mut self.admin, &name(who));
                String::new()
            }
            Step::Read(who) => self.sessions[who].read(),
            Step::Finish(who) => {
                let batch = self.sessions[who].batch;
                self.sessions[who].finish(who, batch)
            }
            Step::FinishOther(who, other) => {
                let batch = self.sessions[other].batch;
                self.sessions[who].finish(who, batch)
            }
            Step::Beat(who) => self.sessions[who].beat(who),
            Step::RetrySome(who, mask) => self.sessions[who].retry_some(mask),
            Step::RetryAll(who) => self.sessions[who].retry_all(),
            Step::MoveRetries => told(self.admin.call(maintenance::retry_events(3))),
            Step::Info => self.info(),
            Step::Claim(who, other) => self.sessions[who].call(consumer::claim("q", &name(other))),
            Step::Release(who, other) => self.sessions[who].call(consumer::release("q", &name(other))),
        }
    }

    fn tick(&mut self) -> String {
        told(self.admin.call(tick::force("q"))) + &told(self.admin.call(tick::queue("q")))
    }

    fn info(&mut self) -> String {
        let mut told = String::new();
        for info in self.admin.call(consumer::info_queue("q")).unwrap() {
            let (last, batch, next) = (info.last_tick, info.current_batch, info.next_tick);
            write!(told, "{} {last:?} {batch:?} {next:?} {:?}; ", info.name, info.pending_events).unwrap();
        }
        told
    }
}

impl Session {
    fn call<T: std::fmt::Debug>(&mut self, call: Call<'_, T>) -> String {
        told(self.db.call(call))
    }

    fn begin(&mut self) -> String {
        if !self.in_transaction {
            self.db.batch_execute("BEGIN").unwrap();
            self.in_transaction = true;
        }
        String::new()
    }

    fn end(&mut self, how: &str) -> String {
        if self.in_transaction {
            self.db.batch_execute(how).unwrap();
        }
        (self.in_transaction, self.has_savepoint) = (false, false);
        String::new()
    }

    fn savepoint(&mut self) -> String {
        if !self.in_transaction {
            return String::new();
        }
        let result = self.db.batch_execute("SAVEPOINT s");
        self.has_savepoint |= result.is_ok();
        told(result.map_err(Error::from))
    }

    fn rollback_to(&mut self) -> String {
        if self.has_savepoint {
            self.db.batch_execute("ROLLBACK TO s").unwrap();
        }
        String::new()
    }

    /// Not in a transaction: what registers and opens commits at once.
    fn register(&mut self, who: usize, at: Option<i64>) -> String {
        let name = format!("c{who}");
        match (self.in_transaction, who < CONSUMERS, at) {
            (true, ..) => String::new(),
            (_, true, None) => self.call(consumer::register("q", &name)),
            (_, true, Some(tick)) => self.call(consumer::register_at("q", &name, TickId(tick))),
            (_, false, _) => self.call(coop::register("q", "m", &format!("w{who}"))),
        }
    }

    fn unregister(&mut self, who: usize) -> String {
        match (self.in_transaction, who < CONSUMERS) {
            (true, _) => String::new(),
            (_, true) => self.call(consumer::unregister("q", &format!("c{who}"))),
            (_, false) => self.call(coop::unregister("q", "m", &format!("w{who}"))),
        }
    }

    fn next(&mut self, who: usize, pace: Pace, dead: Option<Duration>) -> String {
        if self.in_transaction {
            return String::new();
        }
        let (name, sub) = (format!("c{who}"), format!("w{who}"));
        let next = match who < CONSUMERS {
            true => batch::next_custom("q", &name, pace),
            false => coop::next_custom("q", "m", &sub, pace, dead),
        };
        let next = self.db.call(next);
        if let Ok(opened) = &next {
            self.batch = opened.as_ref().map(|opened| opened.id).or(self.batch);
        }
        let ticks = next.map(|next| {
            next.map(|next| {
                (next.id, next.prev_tick, next.tick, next.prev_tick_event_seq, next.tick_event_seq)
            })
        });
        told(ticks)
    }

    fn read(&mut self) -> String {
        let (Some(batch), true) = (self.batch, self.in_transaction) else { return String::new() };
        self.cursors += 1;
        let name = format!("c{}", self.cursors);
        let first = self.db.call(batch::cursor(batch, &name, 2, &Filter::new()));
        let events = first.and_then(|mut events| {
            events.extend(self.db.call(batch::fetch(batch, &name, 1000))?);
            Ok(events)
        });
        if let Ok(events) = &events {
            self.events = events.iter().map(|event| event.id).collect();
        }
        told(events.map(|events| events.iter().map(|event| (event.id.0, event.retry)).collect::<Vec<_>>()))
    }

    fn finish(&mut self, who: usize, batch: Option<BatchId>) -> String {
        let Some(batch) = batch else { return String::new() };
        match who < CONSUMERS {
            true => self.call(batch::finish(batch)),
            false => self.call(coop::finish_fenced("q", "m", &format!("w{who}"), batch)),
        }
    }

    fn beat(&mut self, who: usize) -> String {
        let Some(batch) = self.batch else { return String::new() };
        self.call(coop::beat("q", "m", &format!("w{who}"), batch, Duration::from_millis(5)))
    }

    fn retry_some(&mut self, mask: u8) -> String {
        let Some(batch) = self.batch else { return String::new() };
        let means = self.call(batch::retry_means(batch));
        let chosen = self.events.iter().enumerate().filter(|(place, _)| mask >> (place % 8) & 1 == 1);
        let retries: Vec<_> = chosen.map(|(_, event)| (*event, Duration::ZERO)).collect();
        means + &self.call(event::retry_set(batch, &retries))
    }

    fn retry_all(&mut self) -> String {
        let Some(batch) = self.batch else { return String::new() };
        self.call(batch::retry(batch, Duration::ZERO))
    }
}

fn told<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?} "),
        Err(error) => {
            let database = error.database();
            let state = error.sqlstate().map_or("", |state| state.code()).to_owned();
            format!("{state} {} ", database.and_then(|database| database.message()).unwrap_or_default())
        }
    }
}

fn on_the_model(door: &Door) -> World {
    let bed = Bed::new(Group::Consumer, 0, Vec::new(), &[]);
    bed.server().host.script.turn_off();
    door.leads_to(&bed);
    let age = move |_: &mut Client, name: &str| bed.server().host.database.age("q", name, 3_600_000_000);
    let mut world = World::new(|| door.connect("honest").unwrap(), age);
    world.admin.call(consumer::unregister("q", "c")).unwrap();
    world
}

fn on_the_server(conninfo: &str) -> World {
    let age = |db: &mut Client, name: &str| {
        let silent = "UPDATE pgq.subscription SET sub_active = sub_active - interval '1 hour' FROM pgq.consumer \
             WHERE co_id = sub_consumer AND co_name = $1";
        // Fails where somebody has the row locked; the model leaves it alone then.
        let _ = db.execute(silent, &[&name]);
    };
    let mut world = World::new(|| Client::connect(conninfo, NoTls).unwrap(), age);
    world.admin.batch_execute("SET lock_timeout = '5ms'").unwrap();
    world
}

/// Starts over with the counters as a fresh model has them.
fn start_over(server: &mut World) {
    for session in &mut server.sessions {
        session.end("ROLLBACK");
        session.db.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
        (session.batch, session.cursors) = (None, 0);
        session.events.clear();
    }
    let clean =
        "SELECT pgq.drop_queue(queue_name, true) FROM pgq.queue; ALTER SEQUENCE pgq.batch_id_seq RESTART";
    server.admin.batch_execute(clean).unwrap();
    server.admin.call(queue::create("q")).unwrap();
}

fn compare(door: &Door, server: &mut World, history: &[Step]) -> Result<(), TestCaseError> {
    let mut model = on_the_model(door);
    start_over(server);
    for (place, step) in history.iter().enumerate() {
        let (told, true_one) = (model.step(*step), server.step(*step));
        prop_assert_eq!(told, true_one, "step {}, {:?}: the model left, the server right", place, step);
    }
    prop_assert_eq!(model.info(), server.info(), "in the end: the model left, the server right");
    Ok(())
}

#[test]
fn the_model_answers_as_the_server_does() {
    let server = Server::builder().setting("autovacuum", "off").start().unwrap();
    let database = server.new_database().engine(Engine::Portable).create().unwrap();
    let (door, world) = (Door::new(), RefCell::new(on_the_server(database.conninfo())));
    let limit = Duration::from_secs(number("PGQ_TEST_SECONDS").unwrap_or(8));
    let first = number("PGQ_TEST_SEED").unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let (start, histories) = (Instant::now(), RefCell::new(0_u32));
    let mut seed = first;
    while start.elapsed() < limit {
        let config = Config {
            cases: 4,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            // `MAX` itself stands for a few.
            max_shrink_iters: u32::MAX - 1,
            max_shrink_time: 20_000,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&vec(steps(), 1..60), |history| {
            *histories.borrow_mut() += 1;
            compare(&door, &mut world.borrow_mut(), &history)
        });
        if let Err(failure) = result {
            panic!("PGQ_TEST_SEED={seed}: {failure}");
        }
        seed += 1;
    }
    println!("seeds {first} to {seed}: {} histories", histories.borrow());
}
