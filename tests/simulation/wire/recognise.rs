use std::vec;

use crate::model::{Member, Pace, Request, Value};

const NEXT: &str = "SELECT batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq, \
     prev_tick_event_seq, current_setting('transaction_read_only')::boolean FROM pgq.next_batch_custom($1, $2, \
     make_interval(secs => $3), $4, make_interval(secs => $5))";
const NEXT_OF_MEMBER: &str = "SELECT id, tick_id, prev_tick_id, batch_end, batch_start, seq_end, seq_start, \
     current_setting('transaction_read_only')::boolean, clash FROM next LEFT JOIN LATERAL pgq.get_batch_info(id) ON true";
const CURSOR: &str = "SELECT ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, \
     ev_extra4 FROM pgq.get_batch_cursor($1, $2, $3, $4)";
const FENCED: &str = "SELECT CASE WHEN id = $4 THEN pgq_coop.finish_batch(id) ELSE 0 END FROM fence";
const CLAIM: &str = "SELECT pg_try_advisory_lock(hashtextextended($2, hashtextextended($1, 7366)))";
const UNCLAIM: &str = "SELECT pg_advisory_unlock(hashtextextended($2, hashtextextended($1, 7366)))";
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($2, hashtextextended($1, 7367)))";
const EVENTS_DONE: &str =
    "SELECT event FROM unnest($4::bigint[]) AS event WHERE pgq_ext.is_event_done($1, $2, $3, event)";
const ABILITIES: &str = "SELECT NOT current_setting('transaction_read_only')::boolean, to_regnamespace('pgq') IS NOT NULL, coalesce((";
pub(super) const SINK: &str = "INSERT INTO sink (event, worker) VALUES ($1, $2)";

/// What a statement of the library or of the tests asks for; `None` for one that the model does not know.
pub(super) fn recognise(sql: &str, parameters: Vec<Value>) -> Option<Request> {
    if parameters.is_empty() {
        return plain(sql);
    }
    let mut given = Given(parameters.into_iter());
    let has = |part: &str| sql.contains(part);
    Some(match sql {
        NEXT => Request::Next { key: given.key(), pace: given.pace() },
        _ if sql.ends_with(NEXT_OF_MEMBER) && has("pgq_coop.next_batch_custom($1, $2, $3, ") => {
            let (member, pace) = (given.member(), given.pace());
            Request::NextOfMember { member, pace, dead: given.next().maybe_interval() }
        }
        CURSOR => {
            let (batch, name, limit) = (given.int8(), given.text(), given.int4());
            let after = given.maybe_text().map(|filter| {
                let id = filter.strip_prefix("ev_id > ").expect("the model has no filters but this one");
                id.parse().expect("an id")
            });
            Request::Cursor { batch, name, limit, after }
        }
        "SELECT pgq.finish_batch($1)" | "SELECT pgq_coop.finish_batch($1)" => {
            Request::Finish { batch: given.int8() }
        }
        _ if sql.starts_with("WITH fence AS MATERIALIZED (SELECT pgq_coop.next_batch($1, $2, $3) AS id")
            && sql.ends_with(FENCED) =>
        {
            Request::FinishFenced { member: given.member(), batch: given.int8() }
        }
        _ if has("coalesce(pgq_coop.next_batch($1, $2, $3) = $4, false)") => {
            Request::Beat { member: given.member(), batch: given.int8() }
        }
        _ if has("pgq.get_batch_info($1) WHERE queue_name IS NOT NULL")
            && has("'pgq.events_retry(bigint, ") =>
        {
            Request::RetryMeans { batch: given.int8() }
        }
        "SELECT pgq.batch_retry($1, $2)" => Request::RetryAll { batch: given.int8(), seconds: given.int4() },
        "SELECT pgq.events_retry($1, $2, $3::integer[])" => Request::RetrySet {
            batch: given.int8(),
            events: given.next().int8s(),
            seconds: given.next().int4s(),
        },
        _ if has("SELECT pgq_dead.add($1, ") => Request::AddLetters {
            batch: given.int8(),
            events: given.next().int8s(),
            reasons: given.next().texts(),
            errors: given.next().texts(),
            attempts: given.next().int4s(),
        },
        CLAIM => Request::Claim { key: given.key() },
        UNCLAIM => Request::Unclaim { key: given.key() },
        _ if has("SELECT pgq.register_consumer($1, $2) FROM turn") => {
            Request::Register { key: given.key(), at: None }
        }
        _ if has("SELECT pgq.register_consumer_at($1, $2, $3) FROM turn") => {
            Request::Register { key: given.key(), at: Some(given.int8()) }
        }
        "SELECT pgq.unregister_consumer($1, $2)" => Request::Unregister { key: given.key() },
        _ if has("pgq_coop.register_subconsumer($1, $2, $3) END, clash FROM turn") => {
            Request::RegisterMember { member: given.member() }
        }
        "SELECT pgq_coop.unregister_subconsumer($1, $2, $3, 0)" => {
            Request::UnregisterMember { member: given.member() }
        }
        _ if has("pending_events FROM pgq.get_consumer_info($1, $2)") => {
            Request::Info { queue: given.maybe_text(), consumer: given.maybe_text() }
        }
        _ if has("SELECT pgq.insert_event($1, $2, $3) FROM own") => {
            Request::Insert { queue: given.text(), event_type: given.text(), data: given.text() }
        }
        _ if has("SELECT pgq.create_queue($1) FROM turn") => Request::CreateQueue { queue: given.text() },
        _ if has("SELECT extract(epoch FROM ticker_lag)::float8, greatest(ev_new, 0)") => {
            Request::TicksOf { queue: given.text() }
        }
        _ if has("extract(epoch FROM lag)::float8, seq_start, seq_end FROM pgq.get_batch_info($1)") => {
            Request::BatchInfo { batch: given.int8() }
        }
        LOCK => Request::LockRecords { of: given.key().0 },
        EVENTS_DONE => {
            let ((of, _), batch) = (given.key(), given.int8());
            Request::EventsDone { of, batch, events: given.next().int8s() }
        }
        _ if has("bool_and(pgq_ext.set_event_done($1, $2, $3, event))") => {
            let ((of, _), batch) = (given.key(), given.int8());
            Request::SetEventsDone { of, batch, events: given.next().int8s() }
        }
        "SELECT pgq.force_tick($1)" => Request::ForceTick { queue: given.text() },
        "SELECT pgq.ticker($1)" => Request::Tick { queue: given.text() },
        _ if has("SELECT sum(pgq.maint_retry_events()) FROM own, generate_series(1, $1)") => {
            Request::MoveRetries { rounds: given.int4() }
        }
        SINK => Request::InsertSink { event: given.int8(), worker: given.text() },
        _ => return None,
    })
}

/// Statements without parameters.
fn plain(sql: &str) -> Option<Request> {
    if sql.starts_with(ABILITIES) && sql.contains("n.nspname = 'pgq_dead' AND p.proname = 'add'") {
        return Some(Request::Abilities);
    }
    let mut words = sql.trim_end_matches(';').split_whitespace();
    let mut next = || words.next().unwrap_or_default();
    Some(match (next(), next(), next(), next()) {
        ("", ..) => Request::Nothing,
        ("BEGIN", "", ..) | ("START", "TRANSACTION", "", _) => Request::Begin,
        ("COMMIT", "", ..) => Request::Commit,
        ("ROLLBACK", "", ..) => Request::Rollback,
        ("RELEASE", "SAVEPOINT", name, "") => Request::Release(name.to_owned()),
        ("ROLLBACK", "TO", "SAVEPOINT", name) => Request::RollbackTo(name.to_owned()),
        ("ROLLBACK", "TO", name, "") => Request::RollbackTo(name.to_owned()),
        ("SAVEPOINT", name, "", _) => Request::Savepoint(name.to_owned()),
        ("RELEASE", name, "", _) => Request::Release(name.to_owned()),
        ("LISTEN", name, "", _) if name.trim_matches('"') == "pgq_tick" => Request::Listen,
        ("UNLISTEN", _, "", _) => Request::Unlisten,
        ("SELECT", "1", "", _) => Request::One,
        ("SET", "lock_timeout", ..) => Request::LimitWaits,
        ("SET", ..) => Request::Setting,
        ("SHOW", "transaction_read_only", "", _) => Request::IsReadOnly,
        ("FETCH", limit, "FROM", name) => {
            Request::Fetch { limit: limit.parse().ok()?, name: name.trim_matches('"').to_owned() }
        }
        ("CLOSE", name, "", _) => Request::CloseCursor { name: name.trim_matches('"').to_owned() },
        _ => return None,
    })
}

/// The parameters, from left to right.
struct Given(vec::IntoIter<Value>);

impl Given {
    fn next(&mut self) -> Value {
        self.0.next().expect("a parameter")
    }

    fn text(&mut self) -> String {
        self.next().text()
    }

    fn maybe_text(&mut self) -> Option<String> {
        match self.next() {
            Value::Null => None,
            value => Some(value.text()),
        }
    }

    fn int8(&mut self) -> i64 {
        self.next().int8()
    }

    fn int4(&mut self) -> i32 {
        self.next().int4()
    }

    fn key(&mut self) -> (String, String) {
        (self.text(), self.text())
    }

    fn member(&mut self) -> Member {
        Member { queue: self.text(), main: self.text(), sub: self.text() }
    }

    fn pace(&mut self) -> Pace {
        Pace {
            min_lag: self.next().maybe_interval(),
            min_count: self.next().maybe_int4(),
            min_interval: self.next().maybe_interval(),
        }
    }
}
