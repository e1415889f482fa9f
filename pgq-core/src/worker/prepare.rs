use crate::answer::Columns;
use crate::call::Answer;
use crate::{Call, Role};

/// What a worker has to know of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// Whether its transactions can write.
    pub writes: bool,
    /// Whether there is a schema `pgq`.
    pub installed: bool,
    /// Whether there is a function to add dead letters, and the user may call it.
    pub dead_letters: bool,
}

/// Looks at a new connection, and has the server end it when the worker is gone: its claim and its locks go with it. Half a minute
/// after it went away without a word, and (on Linux) a second after it closed the connection in the middle of a statement. Settings
/// that somebody has made stay. One round trip.
pub fn prepare() -> Call<'static, Prepared> {
    const SQL: &str = "SELECT NOT current_setting('transaction_read_only')::boolean, to_regnamespace('pgq') IS NOT NULL, coalesce((\
         SELECT bool_or(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_catalog.pg_proc p \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = 'pgq_dead' AND p.proname = 'add'), false), \
         (SELECT count(set_config(s.name, wanted.setting, false)) FROM (VALUES ('tcp_keepalives_idle', '15'), \
         ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '15000'), ('client_connection_check_interval', '1000')) \
         AS wanted (name, setting) JOIN pg_catalog.pg_settings s ON s.name = wanted.name WHERE s.source = 'default' \
         AND (s.name <> 'client_connection_check_interval' OR version() LIKE '%linux%'))";
    Call::new("current_setting", Role::Public, SQL, decode)
}

/// Asks for the notifications of all ticks.
pub fn listen() -> Call<'static, ()> {
    Call::new("LISTEN", Role::Public, "LISTEN pgq_tick", crate::queue::nothing)
}

fn decode(answer: Answer<'_>) -> crate::Result<Prepared> {
    let (row, function) = answer.one()?;
    let mut columns = Columns::of(&row, function);
    Ok(Prepared { writes: columns.next()?, installed: columns.next()?, dead_letters: columns.next()? })
}
