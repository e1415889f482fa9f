use std::fmt;
use std::time::Duration;

use tokio_postgres::Row;

use crate::answer::Columns;
use crate::call::Answer;
use crate::seconds::duration;
use crate::{Call, Result, Role};

/// A transaction that has been open for long, and what waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LongTransaction {
    /// What the server calls it while it is open.
    pub id: String,
    /// The process that has it open; none for a prepared one.
    pub pid: Option<i32>,
    /// How that session calls itself (`application_name`); a prepared one, its global identifier.
    pub application: String,
    /// For how long it has been open; `None` where the user may not see that: it takes the role `pg_read_all_stats`, or the same user.
    pub age: Option<Duration>,
    /// What waits.
    pub holds: Held,
}

impl LongTransaction {
    /// For the tests of those who tell of them.
    #[doc(hidden)]
    pub fn new(
        id: String,
        pid: Option<i32>,
        application: String,
        age: Option<Duration>,
        holds: Held,
    ) -> Self {
        Self { id, pid, application, age, holds }
    }
}

/// What waits for the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// It reads event tables, or writes in another database: no event table can be emptied.
    Rotation,
    /// It writes in this database: besides, the events that it has inserted or will insert come when it commits.
    EventsAndRotation,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rotation => "the rotation of event tables",
            Self::EventsAndRotation => "its own events and the rotation of event tables",
        })
    }
}

/// Lists the transactions that hold up PgQ and have been open for at least so long, or for a time that the user may not see, the oldest
/// first; at most 100. Reads `pg_locks`, `pg_stat_activity` and `pg_prepared_xacts`, and no text of a query.
pub fn long_transactions(least: Duration) -> Call<'static, Vec<LongTransaction>> {
    const SQL: &str = "WITH held AS (SELECT virtualtransaction AS id, pid, \
         array_agg(transactionid) FILTER (WHERE locktype = 'transactionid') AS xids FROM pg_catalog.pg_locks \
         WHERE granted AND pid IS DISTINCT FROM pg_backend_pid() AND (locktype = 'transactionid' AND mode = 'ExclusiveLock' \
         OR locktype = 'relation' AND EXISTS (SELECT FROM pg_catalog.pg_inherits leaf \
         JOIN pg_catalog.pg_inherits parent ON parent.inhrelid = leaf.inhparent \
         WHERE leaf.inhrelid = relation AND parent.inhparent = 'pgq.event_template'::regclass) \
         AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) GROUP BY 1, 2) \
         SELECT h.id, h.pid, coalesce(a.application_name, p.gid, ''), t.age, \
         xids IS NOT NULL AND coalesce(a.datname, p.database) IS NOT DISTINCT FROM current_database() \
         FROM held h LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid \
         LEFT JOIN pg_catalog.pg_prepared_xacts p ON h.pid IS NULL AND p.transaction = ANY (xids), \
         LATERAL (SELECT extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS age) t \
         WHERE t.age >= $1 OR t.age IS NULL ORDER BY t.age DESC NULLS LAST LIMIT 100";
    Call::new("pg_locks", Role::Public, SQL, decode).bind(least)
}

fn decode(answer: Answer<'_>) -> Result<Vec<LongTransaction>> {
    let decode = |row: &Row| {
        let mut columns = Columns::of(row, answer.function);
        Ok(LongTransaction {
            id: columns.next()?,
            pid: columns.next()?,
            application: columns.next()?,
            age: columns.next::<Option<f64>>()?.map(duration),
            holds: if columns.next()? { Held::EventsAndRotation } else { Held::Rotation },
        })
    };
    answer.rows.iter().map(decode).collect()
}
