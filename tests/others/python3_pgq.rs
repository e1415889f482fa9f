use crate::bed::{Bed, expected};
use crate::program::{Program, has_python_module};

#[test]
fn its_consumer_reads_and_retries() -> crate::Result {
    if !has_python_module("pgq") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    let folder = tempfile::tempdir()?;
    let conninfo = bed.database.conninfo().to_owned();
    let arguments = [&conninfo, "theirs", "101", folder.path().to_str().unwrap()];
    let mut consumer = Program::python("python3_pgq_consume.py", &arguments);
    consumer.wait_for_line("registered");
    bed.produce(1..=100);
    bed.serve_until_seen("theirs", 101);
    consumer.finish();
    assert_eq!(bed.seen("theirs"), expected(1..=100));
    Ok(())
}

#[test]
fn its_producer_inserts() -> crate::Result {
    if !has_python_module("pgq") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    Program::python("python3_pgq_produce.py", &[bed.database.conninfo(), "1", "100"]).finish();
    bed.tick();
    assert_eq!(bed.read_until(100), (1..=100).collect::<Vec<_>>());
    Ok(())
}
