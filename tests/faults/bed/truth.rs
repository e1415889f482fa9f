use std::fmt;

use pgq_sync::postgres::Client;

use super::value;

/// What was committed beside what arrived in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    /// How many events were committed.
    pub(crate) sent: i64,
    /// How many of them never arrived.
    pub(crate) lost: i64,
    /// How many arrived more than once, each further time counted.
    pub(crate) duplicated: i64,
    /// How many arrived though they were never committed.
    pub(crate) phantom: i64,
}

impl Truth {
    /// Compares `sink_<consumer>` with `sent`, as multisets.
    pub(crate) fn of(db: &mut Client, consumer: &str) -> Self {
        let sql = format!(
            "WITH got AS (SELECT producer, seq, count(*) AS times FROM sink_{consumer} GROUP BY producer, seq) \
             SELECT count(sent.seq), count(sent.seq) FILTER (WHERE times IS NULL), \
             coalesce(sum(times - 1), 0)::bigint, count(*) FILTER (WHERE sent.seq IS NULL) \
             FROM sent FULL JOIN got ON sent.producer = got.producer AND sent.seq = got.seq"
        );
        let row = db.query_one(&sql, &[]).unwrap();
        Self { sent: row.get(0), lost: row.get(1), duplicated: row.get(2), phantom: row.get(3) }
    }

    #[track_caller]
    pub(crate) fn assert_exactly_once(&self) {
        assert_eq!((self.lost, self.duplicated, self.phantom), (0, 0, 0), "{self}");
    }

    #[track_caller]
    pub(crate) fn assert_at_least_once(&self) {
        assert_eq!((self.lost, self.phantom), (0, 0), "{self}");
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, lost, duplicated, phantom } = self;
        write!(f, "{sent} events: {lost} lost, {duplicated} duplicated, {phantom} phantom")
    }
}

pub(super) fn create_sink(consumer: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS sink_{consumer} \
         (producer integer, seq bigint, event_id bigint, batch bigint, worker text)"
    )
}

pub(super) fn inversions(db: &mut Client) -> i64 {
    value(
        db,
        "SELECT count(*) FROM (SELECT tick_snapshot AS mine, lag(tick_snapshot) OVER (PARTITION BY tick_queue ORDER BY tick_id) \
         AS before FROM pgq.tick) ticks WHERE txid_snapshot_xmax(mine) < txid_snapshot_xmax(before)",
        &[],
    )
}
