use crate::bed::{Bed, expected};
use crate::program::{Program, has_python_module};

#[test]
fn its_consumer_reads_and_retries() -> crate::Result {
    if !has_python_module("pgqueue") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    let conninfo = bed.database.conninfo().to_owned();
    let mut consumer = Program::python("pgqueue_consume.py", &[&conninfo, "theirs", "101", ""]);
    consumer.wait_for_line("registered");
    bed.produce(1..=100);
    bed.serve_until_seen("theirs", 101);
    consumer.finish();
    assert_eq!(bed.seen("theirs"), expected(1..=100));
    Ok(())
}

#[test]
fn its_queue_inserts() -> crate::Result {
    if !has_python_module("pgqueue") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    Program::python("pgqueue_produce.py", &[bed.database.conninfo(), "1", "100"]).finish();
    bed.tick();
    assert_eq!(bed.read_until(100), (1..=100).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn its_queue_administers() -> crate::Result {
    if !has_python_module("pgqueue") {
        return Ok(());
    }
    let bed = Bed::new()?;
    let output = Program::python("pgqueue_administer.py", &[bed.database.conninfo()]).finish();
    assert_eq!(
        output.trim(),
        r#"{"version": "3.5", "created": [1, 0], "registered": [1, 0], "unregistered": [1, 0], "max_lag": 4.0, "last_tick": 1, "left": 1}"#
    );
    Ok(())
}
