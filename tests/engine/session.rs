use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pgq_testkit::postgres::config::Config;
use pgq_testkit::postgres::{Client, NoTls, SimpleQueryMessage};
use pgq_testkit::{Database, Engine, Server};

/// A connection that answers in text, so that what a call does fits into a line of a table.
pub(crate) struct Session {
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
    /// One that goes away with the session.
    _database: Option<Database>,
}

impl Session {
    /// With a database of its own, of the portable engine.
    pub(crate) fn portable() -> Self {
        let database = crate::bed::portable();
        let session = Self::new(&database);
        Self { _database: Some(database), ..session }
    }

    pub(crate) fn new(database: &Database) -> Self {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let mut config: Config = database.conninfo().parse().unwrap();
        let seen = Arc::clone(&notices);
        config.notice_callback(move |notice| seen.lock().unwrap().push(notice.message().to_owned()));
        Self { client: config.connect(NoTls).unwrap(), notices, _database: None }
    }

    /// The rows of the last statement that had some: columns joined by `|`, rows by a space, `~` for NULL. Before that the warnings, each
    /// with `!`; for an error its SQLSTATE and text.
    pub(crate) fn answer(&mut self, sql: &str) -> String {
        self.notices.lock().unwrap().clear();
        let answer = match self.client.simple_query(sql) {
            Ok(messages) => {
                last_rows(&messages).iter().map(|row| row.join("|")).collect::<Vec<_>>().join(" ")
            }
            Err(error) => {
                let error = error.as_db_error().expect("an error of the server");
                format!("{} {}", error.code().code(), error.message())
            }
        };
        let warnings: String = self.notices.lock().unwrap().iter().map(|text| format!("! {text} ")).collect();
        warnings + &answer
    }

    /// The first column of what a statement returns, joined by `,`.
    #[track_caller]
    pub(crate) fn first_column(&mut self, sql: &str) -> String {
        let messages = self.client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        last_rows(&messages).iter().map(|row| row[0].as_str()).collect::<Vec<_>>().join(",")
    }

    /// Checks what these statements answer, one after the other.
    #[track_caller]
    pub(crate) fn check(&mut self, table: &[(&str, &str)]) {
        for (sql, expected) in table {
            assert_eq!(self.answer(sql), *expected, "{sql}");
        }
    }

    /// Runs statements that must not fail.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs `sql`, which has to wait until this session, in a transaction, has run `end`; returns what it answers then.
    #[track_caller]
    pub(crate) fn keeps_waiting(&mut self, other: &mut Self, sql: &str, end: &str) -> String {
        const LIMIT: Duration = Duration::from_secs(60);
        let blocked =
            format!("select cardinality(pg_blocking_pids({})) > 0", other.answer("select pg_backend_pid()"));
        thread::scope(|scope| {
            let answer = scope.spawn(|| other.answer(sql));
            let start = Instant::now();
            while self.answer(&blocked) != "t" {
                assert!(!answer.is_finished(), "{sql} did not wait: {:?}", answer.join());
                assert!(start.elapsed() < LIMIT, "{sql} did not start");
                thread::yield_now();
            }
            self.run(end);
            answer.join().unwrap()
        })
    }

    /// Makes a tick of queue `q`, after so many events with the numbers from 1 on as data.
    #[track_caller]
    pub(crate) fn produce(&mut self, events: u32) {
        self.run(&format!(
            "select pgq.insert_event('q', 'number', i::text) from generate_series(1, {events}) i"
        ));
        self.run("select pgq.force_tick('q')");
        self.run("select pgq.ticker('q')");
    }
}

/// The rows of the last statement that had some.
fn last_rows(messages: &[SimpleQueryMessage]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut ended = false;
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                if std::mem::take(&mut ended) {
                    rows.clear();
                }
                rows.push((0..row.len()).map(|i| row.get(i).unwrap_or("~").to_owned()).collect());
            }
            SimpleQueryMessage::CommandComplete(_) => ended = true,
            _ => {}
        }
    }
    rows
}

/// A database of the portable engine, and one of the extension with our other schemas beside it, where there is one.
pub(crate) fn on_each_engine(case: impl Fn(Engine, &Database)) {
    case(Engine::Portable, &crate::bed::portable());
    let server = Server::shared().unwrap();
    if !server.has_extension().unwrap() {
        println!("skipped for the extension, which this server does not have");
        return;
    }
    let database = server.new_database().engine(Engine::Extension).create().unwrap();
    case(Engine::Extension, &database);
}
