use std::time::Duration;

use pgq::ticker::sync::Ticker;

use crate::bed::{Bed, until};
use crate::program::{Program, has_python_module};

/// Three producers and three consumers of three libraries on one queue, with our ticker.
#[test]
fn all_libraries_on_one_queue() -> crate::Result {
    if !has_python_module("pgq") || !has_python_module("pgqueue") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    let conninfo = bed.database.conninfo().to_owned();
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_str().unwrap();
    let ticker = Ticker::builder(conninfo.parse()?)
        .tick_period(Duration::from_millis(20))
        .retry_period(Duration::from_millis(50))
        .spawn()?;
    let mut theirs = [("python3_pgq_consume.py", "python3-pgq"), ("pgqueue_consume.py", "pgqueue")]
        .map(|(script, name)| Program::python(script, &[&conninfo, name, "901", folder]));
    for consumer in &mut theirs {
        consumer.wait_for_line("registered");
    }

    let producers = [("python3_pgq_produce.py", "301", "600"), ("pgqueue_produce.py", "601", "900")]
        .map(|(script, first, last)| Program::python(script, &[&conninfo, first, last]));
    bed.produce(1..=300);
    for producer in producers {
        producer.finish();
    }

    let all: Vec<u32> = (0..=900).collect();
    assert_eq!(bed.read_until(901), all);
    for consumer in theirs {
        consumer.finish();
    }
    for name in ["python3-pgq", "pgqueue"] {
        until("the other consumers have committed", || bed.seen(name).len() >= 901);
        assert_eq!(bed.seen(name).iter().map(|(data, _)| *data).collect::<Vec<_>>(), all, "{name}");
    }
    ticker.stop();
    Ok(())
}
