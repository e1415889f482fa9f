use std::cell::{Cell, RefCell};

use pgq_testkit::{Engine, Server};
use proptest::prelude::*;

use crate::history::{Step, histories};
use crate::runner::explore;
use crate::world::World;

/// Producers, rollbacks, savepoints, long transactions, ticks, consumers, retries and rotations, in any order, on both engines side by
/// side: every answer is the same, and nobody loses an event.
#[test]
fn both_engines_answer_alike() -> crate::Result {
    // Autovacuum's transactions would keep rotations back, now here, now there.
    let server = Server::builder().setting("autovacuum", "off").start()?;
    if !server.has_extension()? {
        println!("skipped: the server has no pgq extension");
        return Ok(());
    }
    let databases =
        [Engine::Portable, Engine::Extension].map(|engine| server.new_database().engine(engine).create());
    let [portable, extension] = databases;
    let (portable, extension) = (portable?, extension?);
    let portable_world = RefCell::new(World::new(portable.conninfo()));
    let extension_world = RefCell::new(World::new(extension.conninfo()));
    let cases = Cell::new(0);
    explore(&histories(), |history| {
        cases.set(cases.get() + 1);
        let queue = format!("q{}", cases.get());
        compare(&mut portable_world.borrow_mut(), &mut extension_world.borrow_mut(), &queue, &history)
    });
    Ok(())
}

fn compare(ours: &mut World, theirs: &mut World, queue: &str, history: &[Step]) -> Result<(), TestCaseError> {
    ours.begin(queue);
    theirs.begin(queue);
    for (place, step) in history.iter().enumerate() {
        let (our_answer, their_answer) = (ours.step(*step), theirs.step(*step));
        prop_assert_eq!(our_answer, their_answer, "step {}, {:?}: ours left, theirs right", place, step);
    }
    prop_assert_eq!(ours.settle(), theirs.settle(), "in the end: ours left, theirs right");
    prop_assert_eq!(ours.wrongs(), "");
    prop_assert_eq!(theirs.wrongs(), "");
    Ok(())
}
