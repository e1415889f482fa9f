use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pgq_core::fault_point::{Action, Hook, Point};
use pgq_core::{ChunkSize, tick};
use pgq_sync::postgres::{Client, NoTls};
use pgq_sync::{ClientExt, Consumer, Queue};
use pgq_testkit::{Database, Server};

/// How many events the queue has.
pub(crate) const EVENTS: i64 = 6;

/// The database, with queue `q`, its events, its consumer `c` and the table `seen`, whose key allows each event once.
pub(crate) struct Bed {
    pub(crate) database: Database,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let database = Server::shared().unwrap().database().unwrap();
        let bed = Self { database };
        bed.with(|db| {
            db.batch_execute("CREATE TABLE seen (id bigint PRIMARY KEY)").unwrap();
            Queue::new("q").create(db).unwrap();
            Consumer::new("q", "c").register(db).unwrap();
        });
        bed.insert();
        bed
    }

    /// One more batch.
    pub(crate) fn insert(&self) {
        self.with(|db| {
            for number in 0..EVENTS {
                Queue::new("q").insert_event(db, "test", &number.to_string()).unwrap();
            }
            db.call(tick::force("q")).unwrap();
            db.call(tick::queue("q")).unwrap();
        });
    }

    pub(crate) fn seen(&self) -> i64 {
        self.with(|db| db.query_one("SELECT count(*) FROM seen", &[]).unwrap().get(0))
    }

    /// On a thread of its own: the blocking client may not be used on one of a runtime.
    fn with<T: Send>(&self, work: impl FnOnce(&mut Client) -> T + Send) -> T {
        let conninfo = self.database.conninfo();
        let work = || work(&mut Client::connect(conninfo, NoTls).unwrap());
        thread::scope(|scope| scope.spawn(work).join().unwrap())
    }
}

pub(crate) fn chunk() -> ChunkSize {
    ChunkSize { events: 2, ..ChunkSize::default() }
}

/// Acts so at the point, once.
pub(crate) fn once(at: Point, action: Action) -> Hook {
    let is_over = AtomicBool::new(false);
    Hook::new(move |point| match point == at && !is_over.swap(true, Ordering::SeqCst) {
        true => action,
        false => Action::Go,
    })
}

/// Notes all points.
pub(crate) fn noted() -> (Hook, Arc<Mutex<Vec<Point>>>) {
    let points = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&points);
    let note = move |point| {
        noted.lock().unwrap().push(point);
        Action::Go
    };
    (Hook::new(note), points)
}
