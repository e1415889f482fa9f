//! On which engine a case runs, and what differs between them: all of it is here, with the reason.

use std::cell::Cell;

use pgq_testkit::{Database, DatabaseBuilder, Engine, Server};

use crate::driver::Driver;

thread_local! {
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Portable) };
}

/// Runs the case on the engine, unless it is not there or not asked for; then says so.
pub(crate) fn on(engine: Engine, case: fn() -> crate::Result) -> crate::Result {
    if let Some(only) = pgq_testkit::engine()?.filter(|only| *only != engine) {
        println!("skipped: PGQ_TEST_ENGINE asks for {only}");
        return Ok(());
    }
    if engine == Engine::Extension && !Server::shared()?.has_extension()? {
        println!("skipped: the server has no pgq extension");
        return Ok(());
    }
    ENGINE.set(engine);
    case()
}

/// A database with the engine of the case.
pub(crate) fn database() -> Result<Database, pgq_testkit::Error> {
    new_database(Server::shared()?).create()
}

/// Prepares one, on another server or in another encoding.
pub(crate) fn new_database(server: &Server) -> DatabaseBuilder<'_> {
    server.new_database().engine(ENGINE.get())
}

/// Whether the case runs on the portable engine.
pub(crate) fn is_portable() -> bool {
    ENGINE.get() == Engine::Portable
}

/// The name of the module of the case, in every file of cases.
pub(crate) fn module<D: Driver>() -> String {
    format!("{}_{}", D::NAME, if is_portable() { "portable" } else { "extension" })
}

/// The SQLSTATE of what C refuses: there it is an internal error, as C functions have it by default. PL/pgSQL's is the one of
/// exceptions.
pub(crate) fn refused_by_c() -> &'static str {
    if is_portable() { "P0001" } else { "XX000" }
}

/// What reads the batch to queue the retries of some of its events. The extension has no function for many of them.
pub(crate) fn retries_some() -> &'static str {
    if is_portable() {
        "pgq.events_retry(bigint, bigint[], integer[])"
    } else {
        "pgq.get_batch_events(bigint)"
    }
}
