use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll};

use pgq_async::pgq_core::{BatchId, Event};

use crate::fault::Fault;
use crate::host::{Handled, Host};
use crate::model::{Database, Member, Request};
use crate::script::{Script, Step};
use crate::server::Server;
use crate::task::Group;

/// A server in memory, with queue `q` and its consumer `c`, or the group `m`; shared by those who work on it.
#[derive(Clone)]
pub(crate) struct Bed(Arc<Shared>);

pub(crate) struct Shared {
    server: Mutex<Server>,
    /// Something may have come for a client on a thread.
    pub(crate) changed: Condvar,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    pauses: u32,
    polls: u64,
    /// The poll at which a pass is dropped.
    drop_at: Option<u64>,
    is_stuck: bool,
}

/// A run that passes so many points, or waits so often, does not get on.
const MOST_POINTS: u64 = 20_000;
const MOST_PAUSES: u32 = 3_000;
/// Microseconds from 2000 to some day of 2025.
const BEGINNING: i64 = 800_000_000_000_000;

impl Bed {
    pub(crate) fn new(group: Group, workers: usize, steps: Vec<Step>, faults: &[(u64, Fault)]) -> Self {
        let mut database = Database::default();
        database.now = BEGINNING;
        database.keeps_batch_ids = group == Group::MembersKeepingIds;
        database.create_queue("q");
        register(&mut database, group, workers);
        let script = Script::new(&mut database, steps);
        let server = Mutex::new(Server::new(Host::new(database, group, script, faults)));
        Self(Arc::new(Shared { server, changed: Condvar::new(), progress: Mutex::default() }))
    }

    /// Has the pass that is running at this poll be dropped.
    pub(crate) fn drop_at(self, poll: u64) -> Self {
        self.progress().drop_at = Some(poll);
        self
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.0.server.lock().expect("no statement has panicked")
    }

    pub(crate) fn changed(&self) -> &Condvar {
        &self.0.changed
    }

    /// Whether there is nothing more to do, or no hope.
    pub(crate) fn is_over(&self) -> bool {
        let server = self.server();
        let mut progress = self.progress();
        progress.is_stuck |= server.host.points > MOST_POINTS || progress.pauses > MOST_PAUSES;
        progress.is_stuck || server.host.is_over()
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.progress().is_stuck
    }

    pub(crate) fn polls(&self) -> u64 {
        self.progress().polls
    }

    /// There is nothing to do at the moment: the others go on.
    pub(crate) fn pause(&self) {
        self.server().step();
        self.progress().pauses += 1;
        self.0.changed.notify_all();
    }

    /// Waits until the server has noticed that the connections of this name are closed.
    pub(crate) fn wait_until_gone(&self, name: &str) {
        let mut server = self.server();
        while server.host.database.is_connected(name) {
            server = self.0.changed.wait(server).expect("no statement has panicked");
        }
    }

    /// Notes that a handler was done with a delivery.
    pub(crate) fn handled(&self, by: &str, batch: BatchId, event: &Event) {
        let retry = i32::try_from(event.retry).expect("few retries");
        let handled = Handled { by: by.to_owned(), batch: batch.0, event: event.id.0, retry };
        self.server().host.handled.push(handled);
    }

    /// The same, for who is not told which batch the event is of.
    pub(crate) fn handled_in_open_batch(&self, by: &str, event: &Event) {
        let open = self.server().host.database.batch_of(by);
        self.handled(by, BatchId(open), event);
    }

    /// Awaits a pass; `None` if it was dropped.
    pub(crate) async fn unless_dropped<T>(&self, pass: impl Future<Output = T>) -> Option<T> {
        Droppable { bed: self, pass: Some(Box::pin(pass)) }.await
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().expect("it is only counted here")
    }
}

fn register(database: &mut Database, group: Group, workers: usize) {
    let session = database.connect("setup");
    let requests: Vec<_> = match group {
        Group::Consumer => vec![Request::Register { key: ("q".to_owned(), "c".to_owned()), at: None }],
        Group::Members | Group::MembersKeepingIds => (0..workers)
            .map(|worker| Member { queue: "q".to_owned(), main: "m".to_owned(), sub: format!("w{worker}") })
            .map(|member| Request::RegisterMember { member })
            .collect(),
    };
    for request in requests {
        database.execute(session, &request).expect("a fresh database");
    }
    database.disconnect(session);
}

struct Droppable<'b, F> {
    bed: &'b Bed,
    pass: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Droppable<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let is_last = {
            let mut progress = self.bed.progress();
            progress.polls += 1;
            progress.drop_at == Some(progress.polls)
        };
        let pass = self.pass.as_mut().expect("a pass that is not dropped");
        let polled = pass.as_mut().poll(cx);
        if is_last && polled.is_pending() {
            self.pass = None;
            return Poll::Ready(None);
        }
        polled.map(Some)
    }
}
