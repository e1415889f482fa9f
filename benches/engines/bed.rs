use std::{env, fmt, fs};

use pgq::sync::postgres::{Client, NoTls};
use pgq_testkit::{Database, Engine, Server};

use crate::Result;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Portable,
    Extension,
    SqlOnly,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Extension => "C extension",
            Self::SqlOnly => "SQL-only build",
        })
    }
}

/// A database with an engine and a queue `q` in it.
pub(crate) struct Bed {
    pub(crate) kind: Kind,
    pub(crate) db: Client,
    _database: Database,
}

impl Bed {
    fn new(kind: Kind, database: Database, script: &str) -> Result<Self> {
        let mut db = Client::connect(database.conninfo(), NoTls)?;
        db.batch_execute(script)?;
        db.batch_execute("SET search_path = public; SET client_min_messages = warning")?;
        db.batch_execute(
            "SELECT pgq.create_queue('q');
             CREATE TABLE readings (id serial PRIMARY KEY, name text, value numeric, at timestamptz, valid boolean, more jsonb);
             CREATE TRIGGER events AFTER INSERT ON readings FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('q')",
        )?;
        Ok(Self { kind, db, _database: database })
    }
}

pub(crate) fn all() -> Result<Vec<Bed>> {
    let server = Server::shared()?;
    let mut beds =
        vec![Bed::new(Kind::Portable, server.new_database().engine(Engine::Portable).create()?, "")?];
    if server.has_extension()? {
        let database = server.new_database().engine(Engine::Extension).create()?;
        beds.push(Bed::new(Kind::Extension, database, "")?);
    }
    if let Some(script) = env::var_os("PGQ_SQL_ONLY").filter(|script| !script.is_empty()) {
        beds.push(Bed::new(Kind::SqlOnly, server.empty_database()?, &fs::read_to_string(script)?)?);
    }
    Ok(beds)
}
