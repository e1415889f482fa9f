use pgq_core::{Error, Installation};
use pgq_schema::{Engine, Setup};
use pgq_testkit::postgres::types::FromSql;
use pgq_testkit::postgres::{Client, NoTls};
pub(crate) use pgq_testkit::until;
use pgq_testkit::{Database, Server};

use crate::driver::Driver;

/// Makes two tests of each case: `sync_driver::case` and `async_driver::case`.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod sync_driver {
            $(#[test] fn $case() -> crate::Result { super::$case::<crate::driver::Sync>() })*
        }

        mod async_driver {
            $(#[test] fn $case() -> crate::Result { super::$case::<crate::driver::Async>() })*
        }
    };
}

/// Checks that a result is this refusal, and that its text has these parts.
macro_rules! assert_refused {
    ($result:expr, $pattern:pat, $parts:expr) => {
        let refusal = crate::bed::refusal($result, &$parts);
        assert!(matches!(refusal, $pattern), "{refusal:?}");
    };
}

/// Ends the test, and says why, where the server does not have the extension.
macro_rules! needs_extension {
    ($server:expr) => {
        if !$server.has_extension()? {
            eprintln!("skipped: the server does not have the extension pgq");
            return Ok(());
        }
    };
}

/// An empty database, a superuser's connection to it, and one of the driver.
pub(crate) struct Bed<D: Driver> {
    pub(crate) driver: D,
    pub(crate) db: Client,
    pub(crate) database: Database,
}

impl<D: Driver> Bed<D> {
    pub(crate) fn new() -> crate::Result<Self> {
        Self::on(Server::shared()?)
    }

    pub(crate) fn on(server: &Server) -> crate::Result<Self> {
        let database = server.empty_database()?;
        let db = Client::connect(database.conninfo(), NoTls)?;
        Ok(Self { driver: D::connect(database.conninfo()), db, database })
    }

    /// With the portable engine in it.
    pub(crate) fn installed() -> crate::Result<Self> {
        let mut bed = Self::new()?;
        bed.driver.install(&portable())?;
        Ok(bed)
    }

    pub(crate) fn value<T: for<'r> FromSql<'r>>(&mut self, sql: &str) -> T {
        self.db.query_one(sql, &[]).unwrap().get(0)
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        self.db.batch_execute(sql).unwrap();
    }

    /// The message of the error that this should fail with.
    #[track_caller]
    pub(crate) fn execute_fails(&mut self, sql: &str) -> String {
        self.db.batch_execute(sql).unwrap_err().as_db_error().unwrap().message().to_owned()
    }

    /// The items that are not as they should be.
    pub(crate) fn differences(&mut self) -> Vec<String> {
        self.driver.check(&portable()).unwrap().iter().map(ToString::to_string).collect()
    }

    /// Asserts that the queue of a new installation works, for the user of this connection.
    #[track_caller]
    pub(crate) fn assert_works(&mut self) {
        assert_works(&mut self.db);
    }
}

#[track_caller]
pub(crate) fn assert_works(db: &mut Client) {
    db.batch_execute("SELECT pgq.create_queue('works'); SELECT pgq.register_consumer('works', 'c')").unwrap();
    db.batch_execute("SELECT pgq.insert_event('works', 't', 'd')").unwrap();
    db.batch_execute("SELECT pgq.force_tick('works'), pgq.ticker('works')").unwrap();
    let batch: i64 = db.query_one("SELECT pgq.next_batch('works', 'c')", &[]).unwrap().get(0);
    let events = db.query("SELECT ev_data FROM pgq.get_batch_events($1)", &[&batch]).unwrap();
    assert_eq!(events.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["d"]);
    db.batch_execute("SELECT pgq.drop_queue('works', true)").unwrap();
}

/// The usual, with the portable engine, whatever the server has.
pub(crate) fn portable() -> Setup {
    Setup::new().engine(Engine::Portable)
}

/// The refusal that a result is. It says something of its own, names these parts, and leaves the cause to `source()`.
#[track_caller]
pub(crate) fn refusal<T>(result: pgq_core::Result<T>, parts: &[&str]) -> Installation {
    let error = result.err().expect("this should have been refused");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert!(!text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
    match error {
        Error::Installation(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}
