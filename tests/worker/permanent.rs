use std::time::{Duration, Instant};

use pgq_core::Error;
use pgq_core::batch::Reader;
use pgq_core::worker::{
    Exhausted, Notice, Permanent, Registration, Undecodable, UnknownType, WorkerOptions, WorkerState,
};
use pgq_sync::Consumer;

use crate::bed::{Bed, options, retries, until, until_finished, until_working};

cases!(
    a_missing_consumer_ends_it,
    a_missing_consumer_is_registered,
    but_not_when_it_is_gone_later,
    waits_where_it_is_told_to,
    missing_dead_letters_end_it,
    unless_there_can_be_none,
    no_pgq_ends_it,
);

fn nobody() -> Reader {
    Reader::consumer("q", "nobody")
}

fn a_missing_consumer_ends_it(bed: Bed) -> crate::Result {
    let error = bed.job_of(nobody()).sinks().start().wait().unwrap_err();
    assert!(matches!(&error, Error::NotSubscribed { .. }), "{error:?}");
    Ok(())
}

fn a_missing_consumer_is_registered(mut bed: Bed) -> crate::Result {
    let registers = options().registration(Registration::IfMissing);
    let worker = bed.job_of(nobody()).options(registers).sinks().start();
    until_working(&worker);
    bed.numbers([1]);
    until_finished(&worker, 1);
    assert_eq!(bed.sink(), ["1"]);
    worker.stop()?;
    Ok(())
}

fn but_not_when_it_is_gone_later(mut bed: Bed) -> crate::Result {
    let registers = options().registration(Registration::IfMissing);
    let worker = bed.job_of(nobody()).options(registers).sinks().start();
    until_working(&worker);
    Consumer::new("q", "nobody").unregister(&mut bed.db)?;
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::NotSubscribed { .. }), "{error:?}");
    assert!(Consumer::new("q", "nobody").info(&mut bed.db)?.is_none());
    Ok(())
}

/// It says so once, and asks no more than once in some seconds.
fn waits_where_it_is_told_to(mut bed: Bed) -> crate::Result {
    let worker = bed.job_of(nobody()).options(options().permanent(Permanent::Wait)).sinks().start();
    let trouble = |notice: &Notice| matches!(notice, Notice::Trouble { error } if error.contains("nobody"));
    until("it says so", || bed.notices.count(trouble) == 1);
    let asked = "SELECT max(query_start)::text FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'pgq worker' AND state = 'idle'";
    let mut last = None;
    until("it rests", || {
        let before = std::mem::replace(&mut last, bed.value::<Option<String>>(asked));
        before.is_some() && before == last
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        assert_eq!(bed.value::<Option<String>>(asked), last);
    }
    assert_eq!(bed.notices.count(trouble), 1);
    let stats = worker.stats();
    assert!(stats.state != WorkerState::Stopped && stats.trouble.is_some(), "{stats:?}");
    let start = Instant::now();
    worker.stop()?;
    assert!(start.elapsed() < Duration::from_secs(5));
    Ok(())
}

fn missing_dead_letters_end_it(mut bed: Bed) -> crate::Result {
    bed.execute("DROP SCHEMA pgq_dead CASCADE");
    let error = bed.job().sinks().start().wait().unwrap_err();
    assert!(matches!(&error, Error::NoDeadLetters), "{error:?}");
    assert!(error.to_string().contains("pgq_dead"), "{error}");
    Ok(())
}

fn no_letters() -> WorkerOptions {
    let retries = retries(1).exhausted(Exhausted::Retry);
    options().retries(retries).unknown(UnknownType::Retry).undecodable(Undecodable::Retry)
}

fn unless_there_can_be_none(mut bed: Bed) -> crate::Result {
    bed.execute("DROP SCHEMA pgq_dead CASCADE");
    let worker = bed.job().options(no_letters()).sinks().start();
    bed.numbers([1]);
    until_finished(&worker, 1);
    worker.stop()?;
    Ok(())
}

fn no_pgq_ends_it(mut bed: Bed) -> crate::Result {
    let remove = if bed.is_portable() { "DROP SCHEMA pgq CASCADE" } else { "DROP EXTENSION pgq CASCADE" };
    bed.execute(remove);
    let error = bed.job().options(no_letters()).sinks().start().wait().unwrap_err();
    assert!(matches!(&error, Error::NotInstalled { .. }), "{error:?}");
    Ok(())
}
