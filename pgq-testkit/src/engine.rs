use std::env;

use pgq_schema::{Engine, Schema, Setup};
use postgres::error::SqlState;

use crate::client;
use crate::database::Database;
use crate::error::Error;

/// The only engine that tests are to use, which `PGQ_TEST_ENGINE` names; `None` where it is not set.
///
/// # Errors
/// [`Error::WrongEngine`] where it is neither `portable` nor `extension`.
pub fn engine() -> Result<Option<Engine>, Error> {
    match env::var("PGQ_TEST_ENGINE").unwrap_or_default().as_str() {
        "" => Ok(None),
        "portable" => Ok(Some(Engine::Portable)),
        "extension" => Ok(Some(Engine::Extension)),
        other => Err(Error::WrongEngine { value: other.to_owned() }),
    }
}

/// The engine of a database where nobody asked for one.
pub(crate) fn usual() -> Result<Engine, Error> {
    Ok(engine()?.unwrap_or(Engine::Portable))
}

pub(crate) fn install(engine: Engine, database: &Database, version: u32) -> Result<(), Error> {
    let doing = format!("install PgQ in {}", database.name());
    let script = match engine {
        Engine::Portable => Setup::new().only(Schema::ALL).sql(),
        Engine::Extension => {
            let beside = Schema::ALL.into_iter().filter(|schema| *schema != Schema::Pgq);
            format!("CREATE EXTENSION pgq;\n{}", Setup::new().only(beside).sql())
        }
    };
    match client::with(database.config(), &doing, |client| client.batch_execute(&script)) {
        Err(Error::Database { source, .. }) if lacks_files(&source) => {
            Err(Error::NoExtension { version, source })
        }
        other => other,
    }
}

fn lacks_files(error: &postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::UNDEFINED_FILE))
}
