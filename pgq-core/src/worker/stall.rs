use std::fmt;
use std::time::Duration;

use crate::answer::Columns;
use crate::call::Answer;
use crate::seconds::duration;
use crate::subject::Subject;
use crate::{Call, Role};

/// How a queue stands with its ticks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ticks {
    /// The age of the newest tick.
    pub age: Duration,
    /// How many events wait for the next one; rolled-back inserts count too.
    pub waiting: u64,
    /// The age at which a tick is due where events wait.
    pub max_lag: Duration,
    /// Why none comes, if none does.
    pub cause: NoTicks,
}

/// Why a queue gets no ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoTicks {
    /// `ticker_paused` is set.
    Paused,
    /// `external_ticker` is set: its ticks come from another database.
    External,
    /// No queue of this database has got one of late.
    NoTicker,
    /// Other queues get theirs: the ticker fails at this one, or leaves it out.
    OnlyHere,
}

impl fmt::Display for NoTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "its ticker is paused: set `ticker_paused` to false",
            Self::External => "it takes its ticks from another database (`external_ticker`), and none came",
            Self::NoTicker => "no queue of this database gets ticks: is a ticker running?",
            Self::OnlyHere => "other queues get ticks: look into the log of the ticker",
        })
    }
}

/// Looks how the queue stands with its ticks; `None` where it does not exist, or never had one. Wraps `pgq.get_queue_info()`, which
/// looks at all queues.
pub fn ticks(queue: &str) -> Call<'_, Option<Ticks>> {
    const SQL: &str = "SELECT extract(epoch FROM ticker_lag)::float8, greatest(ev_new, 0), \
         extract(epoch FROM queue_ticker_max_lag)::float8, queue_ticker_paused, queue_external_ticker, \
         (SELECT extract(epoch FROM min(o.ticker_lag))::float8 FROM pgq.get_queue_info() o WHERE o.queue_name <> $1) \
         FROM pgq.get_queue_info($1) WHERE ticker_lag IS NOT NULL";
    Call::new("pgq.get_queue_info", Role::Public, SQL, decode)
        .about(Subject { queue: Some(queue), ..Subject::default() })
        .bind(queue)
}

fn decode(answer: Answer<'_>) -> crate::Result<Option<Ticks>> {
    let Some(row) = answer.rows.first() else { return Ok(None) };
    let mut columns = Columns::of(row, answer.function);
    let age = columns.next().map(duration)?;
    let waiting = columns.next::<Option<i64>>()?.unwrap_or_default().unsigned_abs();
    let max_lag = columns.next().map(duration)?;
    let (paused, external): (bool, bool) = (columns.next()?, columns.next()?);
    let elsewhere = columns.next::<Option<f64>>()?.map(duration);
    let cause = match elsewhere {
        _ if paused => NoTicks::Paused,
        _ if external => NoTicks::External,
        // Not when the last tick of all was a little later elsewhere. An idle queue is ticked every minute by default.
        Some(elsewhere) if elsewhere < (age / 2).min(Duration::from_secs(60)) => NoTicks::OnlyHere,
        _ => NoTicks::NoTicker,
    };
    Ok(Some(Ticks { age, waiting, max_lag, cause }))
}
