use std::fs;
use std::process::Command;
use std::time::Duration;

use pgq_core::QueueConfig;
use pgq_sync::{Consumer, Queue};

use crate::bed::{Bed, until};
use crate::program::{Program, has_program};

#[test]
fn it_ticks_retries_and_rotates() -> crate::Result {
    if !has_program("pgqd") {
        return Ok(());
    }
    let mut bed = Bed::new()?;
    let config = QueueConfig::new().ticker_max_lag(Duration::ZERO).rotation_period(Duration::ZERO);
    Queue::new("q").set_config(&mut bed.db, &config)?;
    let folder = tempfile::tempdir()?;
    let _pgqd = start(&bed, folder.path());

    bed.produce(1..=100);
    assert_eq!(bed.read_until(101), (0..=100).collect::<Vec<_>>());

    bed.produce(101..=101);
    until("the event is there to be retried", || {
        let consumer = Consumer::new("q", "ours");
        let Some(mut batch) = consumer.next_batch(&mut bed.db).unwrap() else { return false };
        let events = batch.events().collect::<Result<Vec<_>, _>>().unwrap();
        for event in events.iter().filter(|event| event.event_type.as_deref() == Some("again")) {
            batch.retry(event, Duration::ZERO);
        }
        batch.finish().unwrap();
        events.iter().any(|event| event.event_type.as_deref() == Some("again"))
    });
    assert_eq!(bed.read_until(1), [0]);

    let before = Queue::new("q").info(&mut bed.db)?.unwrap().current_table;
    until("the tables are rotated", || {
        bed.produce(1..=1);
        bed.read();
        Queue::new("q").info(&mut bed.db).unwrap().unwrap().current_table != before
    });
    Ok(())
}

/// Runs pgqd on the database of the bed alone, with short periods.
fn start(bed: &Bed, folder: &std::path::Path) -> Program {
    let name = bed.database.name();
    let server =
        bed.database.conninfo().split(' ').filter(|word| !word.starts_with("dbname=")).collect::<Vec<_>>();
    let config = format!(
        "[pgqd]\nlogfile = {}\nbase_connstr = {}\ninitial_database = {name}\ndatabase_list = {name}\nsyslog = 0\n\
         ticker_period = 0.02\nretry_period = 0.1\nmaint_period = 0.1\ncheck_period = 1\n",
        folder.join("log").display(),
        server.join(" ")
    );
    let file = folder.join("pgqd.ini");
    fs::write(&file, config).unwrap();
    Program::start("pgqd", Command::new("pgqd").arg("-q").arg(file))
}
