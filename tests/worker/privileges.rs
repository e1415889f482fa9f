use std::num::NonZeroU32;
use std::time::Duration;

use pgq_core::batch::Reader;
use pgq_core::worker::Outcome;
use pgq_core::{Error, Role};
use pgq_sync::postgres::{Client, NoTls};
use pgq_testkit::Server;

use crate::bed::{Bed, options, until_finished};

cases!(a_reader_runs_a_worker, slices_take_a_writer_too, a_writer_may_not);

/// A login role in one of PgQ's roles; dropped with this value.
struct Login(String);

impl Login {
    fn new(bed: &mut Bed, role: &str) -> Self {
        let name = format!("{}_{role}", bed.database.name());
        superuser(&format!("CREATE ROLE {name} LOGIN; GRANT {role} TO {name}"));
        bed.execute("GRANT INSERT ON sink TO PUBLIC; GRANT USAGE ON SEQUENCE sink_n_seq TO PUBLIC");
        Self(name)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        superuser(&format!("DROP ROLE IF EXISTS {}", self.0));
    }
}

fn superuser(sql: &str) {
    let mut db = Client::connect(Server::shared().unwrap().conninfo(), NoTls).unwrap();
    db.batch_execute(sql).unwrap();
}

fn runs(bed: &mut Bed, login: &Login, slice: Option<NonZeroU32>) -> crate::Result {
    let mut options = options();
    options.slice = slice;
    let worker = bed
        .job_at(&bed.database.conninfo_as(&login.0), Reader::consumer("q", "c"))
        .options(options)
        .decide(|event| match event.data.as_deref() {
            Some("1") => Err("no".into()),
            Some("2") => Ok(Outcome::Retry(Duration::from_secs(100))),
            _ => Ok(Outcome::Done),
        })
        .start();
    until_finished(&worker, 1);
    assert_eq!((bed.sink().len(), bed.letters().len(), bed.retried().len()), (3, 1, 1));
    worker.stop()?;
    Ok(())
}

fn a_reader_runs_a_worker(mut bed: Bed) -> crate::Result {
    let login = Login::new(&mut bed, "pgq_reader");
    bed.numbers(0..5);
    runs(&mut bed, &login, None)
}

fn slices_take_a_writer_too(mut bed: Bed) -> crate::Result {
    let (login, slice) = (Login::new(&mut bed, "pgq_reader"), NonZeroU32::new(2).unwrap());
    bed.numbers(0..5);
    let worker = bed
        .job_at(&bed.database.conninfo_as(&login.0), Reader::consumer("q", "c"))
        .options(options().slice(slice))
        .sinks()
        .start();
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::MissingPrivilege { role: Role::Writer, .. }), "{error:?}");
    superuser(&format!("GRANT pgq_writer TO {}", login.0));
    runs(&mut bed, &login, Some(slice))
}

fn a_writer_may_not(mut bed: Bed) -> crate::Result {
    let login = Login::new(&mut bed, "pgq_writer");
    let mut retrying = options();
    retrying.retries.exhausted = pgq_core::worker::Exhausted::Retry;
    retrying.unknown = pgq_core::worker::UnknownType::Retry;
    retrying.undecodable = pgq_core::worker::Undecodable::Retry;
    let worker = bed
        .job_at(&bed.database.conninfo_as(&login.0), Reader::consumer("q", "c"))
        .options(retrying)
        .sinks()
        .start();
    let error = worker.wait().unwrap_err();
    assert!(matches!(&error, Error::MissingPrivilege { role: Role::Reader, .. }), "{error:?}");
    Ok(())
}
