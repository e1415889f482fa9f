pub(crate) use pgq_testkit::until;
use pgq_testkit::{Database, Engine, Server};

use crate::session::Session;

/// A database with the portable engine.
pub(crate) fn portable() -> Database {
    Server::shared().unwrap().new_database().engine(Engine::Portable).create().unwrap()
}

/// A database with the portable engine, queue `q` whose tables may rotate at any time, its consumer `c`, and a session.
pub(crate) struct Bed {
    pub(crate) db: Session,
    pub(crate) database: Database,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let database = portable();
        let mut db = Session::new(&database);
        db.check(&[
            ("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')", "1|1"),
            ("select pgq.set_queue_config('q', 'rotation_period', '0')", "1"),
        ]);
        Self { db, database }
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(&self.database)
    }

    /// Makes a tick on queue `q`.
    pub(crate) fn tick(&mut self) {
        tick(&mut self.db, "q");
    }

    /// The data of all events that are there for consumer `c`, and finishes them.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        drain(&mut self.db, "c")
    }

    /// Rotates the tables of `q`; that nobody is in the way is seen to before.
    pub(crate) fn rotate(&mut self) {
        const TABLE: &str = "select queue_cur_table from pgq.queue where queue_name = 'q'";
        let before = self.db.answer(TABLE);
        self.db.run("select pgq.maint_rotate_tables_step1('q')");
        self.db.run("select pgq.maint_rotate_tables_step2()");
        assert_ne!(self.db.answer(TABLE), before);
    }

    /// Moves the consumer so far that the tables can rotate: past all transactions from before the last rotation, also other tests'.
    pub(crate) fn pass_rotation(&mut self) {
        until("the consumer is past the last rotation", || {
            self.tick();
            assert_eq!(self.drain(), [""; 0]);
            self.is_past_rotation()
        });
    }

    /// Rotates, and moves the consumer past the rotation. A producer without a transaction id does not keep it from that, and what it then
    /// writes into the old table is not looked for there any more; one with an id does.
    pub(crate) fn rotate_away(&mut self) {
        const HELD: &str = "select exists (select from pg_stat_activity where backend_xid is not null \
             and datname = current_database() and pid <> pg_backend_pid())";
        self.rotate();
        until("the consumer is past the rotation, or held", || {
            self.tick();
            assert_eq!(self.drain(), [""; 0]);
            self.db.answer(HELD) == "t" || self.is_past_rotation()
        });
    }

    fn is_past_rotation(&mut self) -> bool {
        let past = "select txid_snapshot_xmin(tick_snapshot) > queue_switch_step2 from pgq.queue \
             join pgq.tick on tick_queue = queue_id \
             join pgq.subscription on sub_last_tick = tick_id and sub_queue = queue_id";
        self.db.answer(past) == "t"
    }
}

/// Makes a tick, whatever is there.
pub(crate) fn tick(db: &mut Session, queue: &str) {
    db.run(&format!("select pgq.force_tick('{queue}')"));
    assert_ne!(db.answer(&format!("select pgq.ticker('{queue}')")), "~");
}

/// The data of all events that are there for a consumer of `q`, and finishes them.
pub(crate) fn drain(db: &mut Session, consumer: &str) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let batch = db.answer(&format!("select pgq.next_batch('q', '{consumer}')"));
        if batch == "~" {
            return events;
        }
        let data = db.first_column(&format!("select ev_data from pgq.get_batch_events({batch})"));
        events.extend(data.split_terminator(',').map(str::to_owned));
        assert_eq!(db.answer(&format!("select pgq.finish_batch({batch})")), "1");
    }
}

/// Waits until `count` sessions of this database wait for a lock.
pub(crate) fn wait_for_waiters(db: &mut Session, count: usize) {
    let waiters = "select count(*) from pg_stat_activity \
         where wait_event_type = 'Lock' and datname = current_database()";
    until("the sessions wait for a lock", || db.answer(waiters) == count.to_string());
}
