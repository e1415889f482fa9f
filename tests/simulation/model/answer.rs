use super::batch::Opened;
use super::changes::SinkRow;
use super::queue::{Event, Queue};
use super::view::{Key, View};
use super::{Refusal, Request, Row, SqlError, Value};

impl View<'_> {
    /// Runs a statement; the queues that it ticks tick with the commit.
    pub(super) fn answer(
        &mut self,
        request: &Request,
        ticked: &mut Vec<String>,
    ) -> Result<Vec<Row>, Refusal> {
        let int4 = |number: i32| vec![vec![Value::Int4(number)]];
        Ok(match request {
            Request::One => int4(1),
            Request::IsReadOnly => vec![vec!["off".into()]],
            Request::Abilities => {
                vec![vec![Value::Bool(true), Value::Bool(true), Value::Bool(true), Value::Int8(0)]]
            }
            Request::CreateQueue { queue } => int4(self.database.create_queue(queue)),
            Request::Insert { queue, event_type, data } => {
                vec![vec![Value::Int8(self.insert(queue, event_type, data)?)]]
            }
            Request::ForceTick { queue } => vec![vec![self.force_tick(queue).into()]],
            Request::Tick { queue } => vec![vec![self.tick_if_due(queue, ticked)?.into()]],
            Request::MoveRetries { rounds } => {
                let moved: i32 = (0..*rounds).map(|_| self.database.move_retries()).sum();
                vec![vec![Value::Int8(moved.into())]]
            }
            Request::Register { key, at } => int4(self.register(key, *at)?),
            Request::Unregister { key } => int4(self.unregister(key)?),
            Request::Info { queue, consumer } => self.consumer_info(queue.as_deref(), consumer.as_deref()),
            Request::RegisterMember { member } => vec![self.register_member(member)?],
            Request::UnregisterMember { member } => int4(self.unregister_member(member)?),
            Request::Claim { key } => vec![vec![Value::Bool(self.claim(key))]],
            Request::Unclaim { key } => vec![vec![Value::Bool(self.unclaim(key))]],
            Request::Next { key, pace } => {
                let opened = self.next_batch(key, *pace)?;
                vec![self.handed(Opened::answer(opened))]
            }
            Request::NextOfMember { member, pace, dead } => {
                let row = self.next_of_member(member, *pace, *dead)?;
                vec![self.handed(row)]
            }
            Request::Cursor { batch, name, limit, after } => {
                self.open_cursor(*batch, name, *limit, *after)?
            }
            Request::Fetch { name, limit } => self.fetch(name, *limit)?,
            Request::CloseCursor { name } => {
                self.close_cursor(name)?;
                Vec::new()
            }
            Request::Finish { batch } => int4(self.finish(*batch)?),
            Request::FinishFenced { member, batch } => int4(self.finish_fenced(member, *batch)?),
            Request::Beat { member, batch } => vec![vec![Value::Bool(self.beat(member, *batch)?)]],
            Request::TicksOf { queue } => self.ticks_of(queue),
            Request::BatchInfo { batch } => self.batch_info(*batch),
            Request::LockRecords { of } => {
                self.lock(&("pgq_ext".to_owned(), of.clone()))?;
                vec![vec!["".into()]]
            }
            Request::EventsDone { of, batch, events } => self.events_done(of, *batch, events),
            Request::SetEventsDone { of, batch, events } => {
                vec![vec![Value::Bool(self.set_events_done(of, *batch, events))]]
            }
            Request::RetryMeans { batch } => self.retry_means(*batch),
            Request::RetryAll { batch, seconds } => int4(self.retry_all(*batch, *seconds)?),
            Request::RetrySet { batch, events, seconds } => int4(self.retry_set(*batch, events, seconds)?),
            Request::AddLetters { .. } => int4(self.add_letters(request)?),
            Request::InsertSink { event, worker } => {
                self.changes.sink.push(SinkRow { event: *event, worker: worker.clone() });
                Vec::new()
            }
            other => panic!("{other:?} is no query"),
        })
    }

    fn insert(&mut self, queue: &str, event_type: &str, data: &str) -> Result<i64, Refusal> {
        let txid = self.database.next_txid();
        let Some(found) = self.database.queues.get_mut(queue) else {
            return Err(Refusal::Error(SqlError::new("P0001", format!("No such queue: {queue}"))));
        };
        found.last_event += 1;
        let event = Event {
            id: found.last_event,
            time: self.now,
            txid,
            owner: None,
            retry: None,
            event_type: Some(event_type.to_owned()),
            data: Some(data.to_owned()),
            extras: [const { None }; 4],
            commit: 0,
        };
        let id = event.id;
        self.changes.events.push((queue.to_owned(), event));
        Ok(id)
    }

    fn force_tick(&mut self, queue: &str) -> Option<i64> {
        let queue = self.database.queues.get_mut(queue)?;
        queue.last_event += Queue::FORCED;
        Some(queue.newest().id)
    }

    fn tick_if_due(&mut self, name: &str, ticked: &mut Vec<String>) -> Result<Option<i64>, Refusal> {
        let Some(queue) = self.queue(name) else { return Refusal::raise("no such queue") };
        if !queue.is_due(self.now) {
            return Ok(None);
        }
        let next = queue.newest().id + 1;
        ticked.push(name.to_owned());
        Ok(Some(next))
    }

    fn ticks_of(&self, name: &str) -> Vec<Row> {
        let Some(queue) = self.queue(name) else { return Vec::new() };
        let newest = queue.newest();
        let age = (self.now - newest.time) as f64 / 1e6;
        let waiting = queue.last_event - newest.event_seq;
        vec![vec![
            Value::Float8(age),
            Value::Int8(waiting),
            Value::Float8(3.0),
            Value::Bool(false),
            Value::Bool(false),
            Value::Null,
        ]]
    }

    fn claim(&mut self, key: &Key) -> bool {
        let (holder, times) = self.database.claims.entry(key.clone()).or_insert((self.session, 0));
        let is_own = *holder == self.session;
        *times += u32::from(is_own);
        is_own
    }

    fn unclaim(&mut self, key: &Key) -> bool {
        let Some((holder, times)) = self.database.claims.get_mut(key) else { return false };
        if *holder != self.session {
            return false;
        }
        *times -= 1;
        if *times == 0 {
            self.database.claims.remove(key);
        }
        true
    }

    /// Notes who is told of a batch.
    fn handed(&mut self, row: Row) -> Row {
        if let Some(Value::Int8(batch)) = row.first() {
            let name = self.database.name_of(self.session);
            self.database.handed.entry(*batch).or_default().insert(name);
        }
        row
    }
}
